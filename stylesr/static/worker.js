// The work, beside the page so that it stays responsive. It is stopped by ending this worker.
//
// A job comes in with a photo, an ImageBitmap. Out go {kind: "ready", provider, threads},
// {kind: "tile", tile, x, y, done, total} for each tile, {kind: "done"} or {kind: "error", message}.

import { hasGPU } from "./device.js";
import { Painter } from "./painter.js";

const MOST_THREADS = 8;
let painter = null;

onmessage = async ({ data: { photo, choices, useGPU } }) => {
  try {
    painter ??= await makePainter(useGPU);
    const { provider, ort } = painter;
    postMessage({ kind: "ready", provider, threads: ort.env.wasm.numThreads });
    await painter.paint(pixelsOf(photo), choices, (tile, { x, y }, done, total) => {
      postMessage({ kind: "tile", tile, x, y, done, total }, tile ? [tile.data.buffer] : []);
    });
    postMessage({ kind: "done" });
  } catch (error) {
    postMessage({ kind: "error", message: String(error.message ?? error) });
  }
};

/** On the graphics card where there is one that the browser lends, else on the processor. */
async function makePainter(useGPU) {
  const provider = useGPU && (await hasGPU()) ? "webgpu" : "wasm";
  const ort = await import(`./ort/ort.${provider}.min.mjs`);
  ort.env.logLevel = "error";
  ort.env.wasm.wasmPaths = new URL("ort/", import.meta.url).href;
  ort.env.wasm.numThreads = self.crossOriginIsolated
    ? Math.min(navigator.hardwareConcurrency, MOST_THREADS)
    : 1;
  const site = await (await fetch("models/models.json")).json();
  return new Painter(ort, provider, site);
}

/** RGBA; transparent parts become white. */
function pixelsOf(photo) {
  const canvas = new OffscreenCanvas(photo.width, photo.height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, photo.width, photo.height);
  context.drawImage(photo, 0, 0);
  photo.close();
  return context.getImageData(0, 0, canvas.width, canvas.height);
}
