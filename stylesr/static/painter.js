// Photo in, tiles of the result out: what stylesr/pipeline.py does, with onnxruntime-web.

import { noiseField } from "./noise.js";
import { TRUNK, plan, result, tiles } from "./passes.js";
import { resize } from "./resample.js";
import { blend, readWeights } from "./weights.js";

const WEIGHTS = "weights.bin"; // the name under which the graphs ask for them
const KEPT = 3; // sessions: a style's, and those that enlarge

export class Painter {
  /**
   * @param {object} ort onnxruntime-web
   * @param {string} provider "webgpu" or "wasm"
   * @param {object} site what models.json says
   */
  constructor(ort, provider, site) {
    Object.assign(this, { ort, provider, site });
    this.graphs = new Map();
    this.weights = new Map();
    this.sessions = new Map();
  }

  /**
   * @param {{data: Uint8ClampedArray, width: number, height: number}} photo RGBA
   * @param {{style: string, strength: number, scale: number, brush: number, seed: number,
   *   tileSize?: number}} choices brush 0 is chosen by the size
   * @param {(tile: ImageData | null, place: {x: number, y: number}, done: number, total: number)
   *   => void} show called after each tile; those of the last pass are parts of the result
   */
  async paint(photo, choices, show) {
    const size = [photo.height, photo.width];
    const target = size.map((side) => side * choices.scale);
    const { base, radius } = this.site;
    const style = this.site.models.find((model) => model.name === choices.style);
    const alone = style.name === base || choices.strength === 0;
    const passes = plan(size, target, { alone, paints: style.paints, brush: choices.brush });
    const works = passes.map((pass) => tiles(pass, radius, choices.tileSize));
    const total = works.reduce((sum, work) => sum + work.tiles.length, 0);
    let done = 0;
    let picture = null; // three planes in [0, 1], once a network has run
    let pictureSize = size;
    for (const [k, pass] of passes.entries()) {
      const blended = pass.network === "photo" ? [base, 1] : [style.name, choices.strength];
      const session = await this.session(...blended, pass.factor);
      picture = fit(picture ?? planesOf(photo), pictureSize, pass.source);
      pictureSize = result(pass);
      const isLast = k === passes.length - 1 && String(pictureSize) === String(target);
      const made = isLast ? null : planes(pictureSize);
      for (const tile of works[k].tiles) {
        const part = await this.run(session, picture, pass, tile, works[k].before, choices.seed);
        const pixels = isLast ? toImage(part) : place(part, made, pictureSize);
        show(pixels, part, ++done, total);
      }
      picture = made;
    }
    if (picture) {
      const whole = { x: 0, y: 0, height: target[0], width: target[1] };
      show(toImage({ ...whole, planes: fit(picture, pictureSize, target) }), whole, done, total);
    }
  }

  /** One tile: what lies between window and core is cut off, and so is the border. */
  async run(session, picture, pass, { rows, columns }, before, seed) {
    const { factor, source: [height, width] } = pass;
    const [h, w] = [rows.windowStop - rows.windowStart, columns.windowStop - columns.windowStart];
    const [ys, xs] = [mirrored(height, rows, before), mirrored(width, columns, before)];
    const image = new Float32Array(3 * h * w);
    let k = 0;
    for (const plane of picture) {
      for (const y of ys) for (const x of xs) image[k++] = plane[y * width + x];
    }
    const block = TRUNK / factor;
    const feeds = { image: new this.ort.Tensor("float32", image, [1, 3, h, w]) };
    const levels = this.site.noiseLevels;
    if (levels) {
      const [n, m] = [h / block, w / block];
      const noise = noiseField(n, m, levels, seed, rows.windowStart / block, columns.windowStart / block);
      feeds.noise = new this.ort.Tensor("float32", noise, [1, levels, n, m]);
    }
    const { result: output } = await session.run(feeds);
    const y0 = Math.max(rows.start, before), y1 = Math.min(rows.stop, before + height);
    const x0 = Math.max(columns.start, before), x1 = Math.min(columns.stop, before + width);
    const part = {
      y: (y0 - before) * factor,
      x: (x0 - before) * factor,
      height: Math.max(y1 - y0, 0) * factor,
      width: Math.max(x1 - x0, 0) * factor,
    };
    const top = (y0 - rows.windowStart) * factor, left = (x0 - columns.windowStart) * factor;
    part.planes = [0, 1, 2].map((channel) => {
      const plane = new Float32Array(part.height * part.width);
      for (let y = 0; y < part.height; y++) {
        const start = (channel * h * factor + top + y) * w * factor + left;
        plane.set(output.data.subarray(start, start + part.width), y * part.width);
      }
      return clamp(plane);
    });
    output.dispose();
    return part;
  }

  /** A factor's graph with the weights of a model at a strength; the last few are kept. */
  async session(name, strength, factor) {
    const key = `${name} ${strength} ${factor}`;
    const found = this.sessions.get(key) ?? (await this.open(name, strength, factor));
    this.sessions.delete(key);
    this.sessions.set(key, found); // the newest is last
    if (this.sessions.size > KEPT) {
      const [oldest, session] = this.sessions.entries().next().value;
      this.sessions.delete(oldest);
      await session.release();
    }
    return found;
  }

  async open(name, strength, factor) {
    const { base, layout } = this.site;
    const [graph, photo, style] = await Promise.all([
      kept(this.graphs, `models/x${factor}.onnx`, (bytes) => new Uint8Array(bytes)),
      ...[base, name].map((model) =>
        kept(this.weights, `models/${model}.safetensors`, (bytes) => readWeights(bytes, layout)),
      ),
    ]);
    const data = new Uint8Array(blend(photo, style, strength, layout).slice().buffer);
    return this.ort.InferenceSession.create(graph, {
      executionProviders: [this.provider],
      externalData: [{ path: WEIGHTS, data }],
    });
  }
}

/** What an address holds, fetched once. */
function kept(store, address, read) {
  if (!store.has(address)) {
    const loading = (async () => {
      const answer = await fetch(address);
      if (!answer.ok) throw new Error(`${address}: ${answer.status} ${answer.statusText}`);
      return read(await answer.arrayBuffer());
    })();
    loading.catch(() => store.delete(address)); // so that one may try again
    store.set(address, loading);
  }
  return store.get(address);
}

/** The picture's index for each pixel of a window: reflected where there is room, else repeated. */
function mirrored(length, { windowStart, windowStop, padded }, before) {
  const after = padded - length - before;
  const reflects = length > Math.max(before, after);
  return Int32Array.from({ length: windowStop - windowStart }, (_, k) => {
    const place = windowStart + k - before;
    if (!reflects) return Math.min(Math.max(place, 0), length - 1);
    const inside = Math.abs(place);
    return inside < length ? inside : 2 * (length - 1) - inside;
  });
}

function planes([height, width]) {
  return [0, 1, 2].map(() => new Float32Array(height * width));
}

function planesOf({ data, width, height }) {
  const all = planes([height, width]);
  for (const [channel, plane] of all.entries()) {
    for (let k = 0; k < plane.length; k++) plane[k] = data[4 * k + channel] / 255;
  }
  return all;
}

function fit(picture, size, newSize) {
  return String(size) === String(newSize) ? picture : picture.map((p) => resize(p, size, newSize));
}

/** Copy a part to its place in the whole. */
function place(part, whole, [, width]) {
  part.planes.forEach((plane, channel) => {
    for (let y = 0; y < part.height; y++) {
      const row = plane.subarray(y * part.width, (y + 1) * part.width);
      whole[channel].set(row, (part.y + y) * width + part.x);
    }
  });
  return null;
}

function toImage({ planes: [red, green, blue], width, height }) {
  const data = new Uint8ClampedArray(4 * width * height);
  for (let k = 0, n = 0; n < red.length; n++) {
    for (const plane of [red, green, blue]) data[k++] = Math.floor(plane[n] * 255 + 0.5);
    data[k++] = 255;
  }
  return new ImageData(data, width, height);
}

function clamp(plane) {
  for (let k = 0; k < plane.length; k++) plane[k] = Math.min(Math.max(plane[k], 0), 1);
  return plane;
}
