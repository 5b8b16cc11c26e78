// The page: what a visitor chooses goes to the worker, and tiles of the result come back.

import { hasGPU } from "./device.js";
import { defaultBrush } from "./passes.js";
import { mark } from "./png.js";
import { WORDS, say } from "./words.js";

const MADE_BY_MODEL = "compositeWithTrainedAlgorithmicMedia";
const AT_ONCE = 16_000_000; // pixels: the size proposed for a photo makes no more
// Canvases of phones end at 2^24 pixels.
const MOST = matchMedia("(pointer: coarse)").matches ? 16_777_216 : 64_000_000;

const $ = (selector) => document.querySelector(selector);
const site = await (await fetch("models/models.json")).json();
const state = {
  photo: null, // {source: Blob, name, size: [height, width]} as it will be worked on
  worker: null,
  run: null, // what is being painted: {start, name, choices}
  status: () => words().begin, // what #plan says, in any language
  shown: site.example, // what stands in the slider: {style, photo}
};

// -- language -------------------------------------------------------------------------------------

const words = () => WORDS[document.documentElement.lang.slice(0, 2)];

function speak(language) {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const element of document.querySelectorAll("[data-say]")) {
    element.textContent = words()[element.dataset.say];
  }
  for (const [k, name] of document.querySelectorAll("#styles span").entries()) {
    name.textContent = site.models[k].title[language];
  }
  for (const [k, button] of document.querySelectorAll("#examples button").entries()) {
    button.firstChild.alt = site.examples[k].title[language];
  }
  $("#position").ariaLabel = words().divider;
  $("#left-name").textContent = words().photo;
  $("#right-name").textContent = words().result;
  caption();
  update();
  finished();
}

const named = (name) => site.models.find((model) => model.name === name);
const title = (name) => named(name).title[document.documentElement.lang.slice(0, 2)];

/** What stands in the slider, for eyes and for screen readers. */
function caption() {
  const { style, photo, isExample } = state.shown;
  const name = photo?.title?.[document.documentElement.lang.slice(0, 2)] ?? words().yourPhoto;
  const made = style && title(style);
  $("#shown").textContent = isExample
    ? say(named(style).paints ? words().painted : words().example, { style: made })
    : (made ?? "");
  $("#before").alt = name;
  $("#after").hidden = !style;
  $("#after").ariaLabel = say(words().alt, { style: made, photo: name });
}

// -- choices --------------------------------------------------------------------------------------

const chosen = (name) => $(`input[name=${name}]:checked`).value;
const megapixels = (pixels) => (pixels / 1e6).toFixed(0);
const pixels = ([height, width]) => `${width} × ${height}`;

function choices() {
  return {
    style: chosen("style"),
    strength: Number($("#strength").value),
    scale: Number(chosen("scale")),
    brush: Number(chosen("brush")),
    seed: Number($("#seed").value),
  };
}

/** Leave out what has no meaning for the choice; say what it will make, or why it cannot. */
function update() {
  const { name, paints } = named(chosen("style"));
  $("#strength-row").hidden = name === site.base;
  $("#strength-label").textContent = paints ? words().strength : words().detail;
  $("#strength").max = paints ? 1.5 : 1;
  $("#brush").hidden = $("#seed-row").hidden = !paints;
  $("details").hidden = !paints && $("#device").hidden;
  for (const output of document.querySelectorAll("output")) {
    output.value = $(`#${output.htmlFor}`).value;
  }
  $("#start").textContent = paints ? words().paint : words().enlarge;
  const target = state.photo?.size.map((side) => side * choices().scale);
  const fits = target && target[0] * target[1] <= MOST;
  $("#start").disabled = !fits;
  $("#plan").textContent =
    target && !fits ? say(words().tooLarge, { to: pixels(target), most: megapixels(MOST) }) : state.status();
}

function proposal() {
  const { size, notice } = state.photo;
  const target = size.map((side) => side * choices().scale);
  const plan = say(words().plan, { from: pixels(size), to: pixels(target) });
  return notice ? `${plan} · ${say(words().reduced, { to: pixels(size) })}` : plan;
}

// -- the photo ------------------------------------------------------------------------------------

/** Take a file or an example; `about` is the example. */
async function take(source, name, about = null) {
  const address = URL.createObjectURL(source);
  state.taking = address;
  const image = new Image();
  image.src = address;
  try {
    await image.decode();
  } catch {
    state.status = () => say(words().unreadable, { name });
    update();
    return;
  }
  if (state.taking !== address) return; // another one came meanwhile
  halt();
  state.result = null;
  const full = [image.naturalHeight, image.naturalWidth]; // turned as it was held
  const shrink = Math.min(1, Math.sqrt(AT_ONCE / (full[0] * full[1])));
  const size = full.map((side) => Math.max(1, Math.floor(side * shrink)));
  if (state.photo) URL.revokeObjectURL(state.photo.address);
  state.photo = { source, address, name, about, size, notice: shrink < 1 };
  state.status = proposal;
  $("#chosen").src = address;
  $("#chosen").alt = name;
  $("#chosen").hidden = false;
  const fits = (scale) => size[0] * size[1] * scale ** 2 <= AT_ONCE;
  const scale = [4, 2, 1].find(fits) ?? 1;
  if (scale < Number(chosen("scale"))) $(`input[name=scale][value="${scale}"]`).checked = true;
  state.shown = { style: null, photo: about };
  $("#before").src = address;
  stage(size);
  compare(false);
  caption();
  finished();
  update();
}

function takeFile(file) {
  if (file) take(file, file.name || "photo");
}

// -- painting -------------------------------------------------------------------------------------

async function start() {
  const { photo } = state;
  const [height, width] = photo.size;
  const order = choices();
  const run = { start: performance.now(), photo, order, target: photo.size.map((n) => n * order.scale) };
  state.run = run;
  state.result = null;
  state.shown = { style: order.style, photo: photo.about };
  busy(true);
  tell(words().loading);
  stage(state.run.target);
  compare(false); // the painting is seen as it grows over the photo
  caption();
  finished();
  $("#compare").scrollIntoView({ behavior: "smooth", block: "nearest" });
  if (!state.worker) {
    state.worker = new Worker("worker.js", { type: "module" });
    state.worker.onmessage = ({ data }) => HEAR[data.kind](data);
    state.worker.onerror = ({ message }) => HEAR.error({ message: message ?? "worker.js" });
  }
  const options = { resizeWidth: width, resizeHeight: height, resizeQuality: "high" };
  const bitmap = await createImageBitmap(photo.source, photo.notice ? options : {});
  const useGPU = !$("#device").hidden && chosen("device") === "gpu";
  if (state.run !== run) return; // stopped meanwhile
  state.worker.postMessage({ photo: bitmap, choices: order, useGPU }, [bitmap]);
}

const HEAR = {
  ready({ provider, threads }) {
    state.run.where = { provider, threads };
  },
  tile({ tile, x, y, done, total }) {
    if (tile) $("#after").getContext("2d").putImageData(tile, x, y);
    state.run.firstTile ??= performance.now(); // before it, networks are fetched and made ready
    const now = performance.now();
    const [seconds, since] = [(now - state.run.start) / 1000, (now - state.run.firstTile) / 1000];
    const text = [say(words().tile, { done, total, seconds: seconds.toFixed(0) })];
    if (done > 1 && done < total) {
      text.push(say(words().left, { left: ((since / (done - 1)) * (total - done)).toFixed(0) }));
    }
    tell(text.join(", "), done / total);
  },
  async done() {
    const { run } = state;
    run.seconds = (performance.now() - run.start) / 1000;
    tell(words().writing, 1);
    const file = await new Promise((answer) => $("#after").toBlob(answer, "image/png"));
    const { style, strength, scale, brush, seed } = run.order;
    const used = named(style).paints ? `, brush ${brush || defaultBrush(run.target)}, variation ${seed}` : "";
    const settings = `${style} x${scale}, strength ${strength}${used}`;
    if (state.run !== run) return; // another photo came, or Stop
    state.run = null;
    const marked = await mark(file, settings, MADE_BY_MODEL);
    state.result = { ...run, file: marked };
    state.status = () => say(words().done, { seconds: run.seconds.toFixed(1), where: where(run) });
    busy(false);
    compare(true);
    update();
    finished();
  },
  error({ message }) {
    halt(() => say(words().failed, { message }));
  },
};

function where({ where: { provider, threads } }) {
  if (provider === "webgpu") return words().onGPU;
  return threads > 1 ? `${words().onCPU}, ${say(words().threads, { threads })}` : words().onCPU;
}

/** End the work, whatever it is doing; the next picture starts a new worker. */
function halt(status = null) {
  if (!state.run) return;
  state.worker?.terminate();
  state.worker = null;
  state.run = null;
  state.status = status ?? (() => words().stopped);
  busy(false);
  update();
}

function busy(isBusy) {
  $("#start").hidden = isBusy;
  $("#plan").hidden = isBusy;
  $("#stop").hidden = $("#working").hidden = !isBusy;
}

function tell(text, share) {
  $("#progress-text").textContent = text;
  if (share === undefined) $("progress").removeAttribute("value");
  else $("progress").value = share;
}

/** Offer the file, if there is one. */
function finished() {
  const link = $("#download");
  URL.revokeObjectURL(link.href);
  link.hidden = !state.result;
  if (!state.result) return;
  const { file, photo, order, target } = state.result;
  const stem = photo.name.replace(/\.\w+$/, "").replace(/[^\p{L}\p{N}_-]+/gu, "-") || "photo";
  link.href = URL.createObjectURL(file);
  link.download = `${stem}-${order.style}-x${order.scale}.png`;
  link.textContent = say(words().download, { to: pixels(target), size: (file.size / 1e6).toFixed(1) });
}

// -- before and after -----------------------------------------------------------------------------

/** An empty result of a size. */
function stage([height, width]) {
  const canvas = $("#after");
  [canvas.width, canvas.height] = [width, height];
  $("#compare").style.setProperty("--ratio", width / height);
}

/** Whether there are two pictures to compare; otherwise the result covers the photo. */
function compare(isOn, percent = 50) {
  $("#compare").classList.toggle("single", !isOn);
  $("#left-name").hidden = $("#right-name").hidden = !isOn;
  divide(isOn ? percent : 0);
}

function divide(percent) {
  $("#position").value = percent;
  $("#compare").style.setProperty("--at", `${percent}%`);
}

/** The picture that is there before the first photo. */
async function showExample() {
  const [before, after] = [new Image(), new Image()];
  [before.src, after.src] = [site.example.before, site.example.after];
  await Promise.all([before.decode(), after.decode()]);
  if (!state.shown.isExample) return; // a photo came first
  stage([after.naturalHeight, after.naturalWidth]);
  $("#before").src = before.src;
  $("#after").getContext("2d").drawImage(after, 0, 0);
  compare(true, 30);
}

// -- wiring ---------------------------------------------------------------------------------------

for (const { name, thumbnail } of site.models) {
  const label = document.createElement("label");
  const radio = Object.assign(document.createElement("input"), { type: "radio", name: "style", value: name });
  radio.checked = name === site.example.style;
  const picture = Object.assign(new Image(), { src: thumbnail, alt: "", width: 96, height: 96 });
  label.append(radio, document.createElement("span"));
  label.prepend(picture);
  $("#styles").append(label);
}
for (const example of site.examples) {
  const button = Object.assign(document.createElement("button"), { type: "button" });
  button.append(Object.assign(new Image(), { src: example.file, width: 64, height: 64 }));
  button.onclick = async () => {
    const file = await (await fetch(example.file)).blob();
    await take(file, example.name, example);
  };
  $("#examples").append(button);
}
site.example.photo = site.examples[0];
site.example.isExample = true;

$("#inputs").addEventListener("submit", (event) => event.preventDefault());
$("#inputs").addEventListener("input", ({ target }) => {
  if (target.type === "file") return;
  if (state.photo && !state.run) state.status = proposal;
  update();
});
$("#language").onchange = ({ target }) => {
  try {
    localStorage.setItem("stylesr-language", target.value);
  } catch {} // where storage is forbidden, the choice is not remembered
  speak(target.value);
};
$("#file").onchange = ({ target }) => takeFile(target.files[0]);
$("#start").onclick = () => start().catch((error) => HEAR.error({ message: error.message }));
$("#stop").onclick = () => halt();
$("#position").oninput = ({ target }) => divide(target.value);
document.onpaste = ({ clipboardData }) => takeFile(clipboardData.files[0]);
document.ondragover = (event) => {
  event.preventDefault();
  $("#drop").classList.add("over");
};
document.ondragleave = () => $("#drop").classList.remove("over");
document.ondrop = (event) => {
  event.preventDefault();
  $("#drop").classList.remove("over");
  takeFile(event.dataTransfer.files[0]);
};
for (const radio of document.querySelectorAll("input[name=device]")) {
  radio.addEventListener("change", () => {
    if (!state.run) {
      state.worker?.terminate(); // the other one needs another runtime
      state.worker = null;
    }
  });
}

let language = navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
try {
  language = localStorage.getItem("stylesr-language") ?? language;
} catch {} // as above
$(`#language input[value=${language}]`).checked = true;
speak(language);
showExample();
if (await hasGPU()) {
  $("#device").hidden = false;
  update();
}
