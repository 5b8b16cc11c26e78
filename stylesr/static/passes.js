// A picture's way through the networks, as stylesr/passes.py and stylesr/tiling.py plan it: which
// networks run at which sizes, in which tiles. Sizes are [height, width].

export const TRUNK = 4; // a result is this many times the size of the network's trunk
export const BORDER = 12; // trunk pixels around a picture that is painted
const SCALES = [1, 2, 4];
const BRUSHES = [1, 2, 4];
const FINE_SIDE = 1448; // longest side painted at full size
const TILE = 1024 + 2 * BORDER * TRUNK; // result pixels: 2048 and 4096 divide evenly
const WHOLE = 1536; // result pixels up to which a picture is not divided
const LEAST = 4; // pixels that a network takes

/** The brush that keeps strokes about the same size relative to the picture. */
export function defaultBrush(target) {
  return BRUSHES.find((brush) => Math.max(...target) <= FINE_SIDE * brush) ?? BRUSHES.at(-1);
}

/**
 * The runs of networks that make the picture.
 * @param {boolean} paints whether a style takes part: only then are there brushes
 * @returns {{network: string, source: number[], factor: number, border: number}[]}
 */
export function plan(size, target, { alone, paints, brush }) {
  if (alone) return photoPasses(size, target);
  brush = paints ? brush || defaultBrush(target) : 1;
  return stylePasses(size, target, brush, paints ? BORDER : 0);
}

function photoPasses(size, target) {
  const passes = [first("photo", size, target, 0)];
  while (needed(result(passes.at(-1)), target) > 1) {
    passes.push(first("photo", result(passes.at(-1)), target, 0));
  }
  return passes;
}

/** Paint at the target divided by the brush, and enlarge the rest. */
function stylePasses(size, target, brush, border) {
  const painted = target.map((side) => Math.ceil(side / brush));
  const passes = [first("style", size, painted, border)];
  if (needed(result(passes[0]), painted) > 1) {
    passes.push({ network: "photo", source: result(passes[0]), factor: 2, border: 0 });
  }
  if (brush > 1) passes.push({ network: "photo", source: painted, factor: brush, border: 0 });
  return passes;
}

/** By the smallest factor that reaches the target, or by the largest one. */
function first(network, size, target, border) {
  const factor = SCALES.find((n) => n >= needed(size, target)) ?? SCALES.at(-1);
  return { network, source: factor === 1 ? target : size, factor, border };
}

function needed(size, target) {
  return Math.max(target[0] / size[0], target[1] / size[1]);
}

/** The size of what a pass makes. */
export function result(pass) {
  return pass.source.map((side) => side * pass.factor);
}

/**
 * The tiles of a pass over its padded picture: cores that cover it, in windows with context.
 * @param {number} radius trunk pixels that a result depends on, on each side
 * @param {number} [tileSize] in result pixels
 * @returns {{before: number, tiles: {rows: object, columns: object}[]}} in input pixels
 */
export function tiles(pass, radius, tileSize) {
  const multiple = TRUNK / pass.factor;
  const before = pass.border * multiple;
  const padded = pass.source.map(
    (side) => Math.ceil(Math.max(side + 2 * before, LEAST) / multiple) * multiple,
  );
  const isWhole = !tileSize && Math.max(...result(pass)) <= WHOLE;
  const [rows, columns] = padded.map((length) => {
    const side = isWhole ? length : Math.floor((tileSize || TILE) / pass.factor);
    return spans(length, side, radius * multiple, multiple);
  });
  return { before, tiles: rows.flatMap((row) => columns.map((column) => ({ rows: row, columns: column }))) };
}

function spans(length, tileSize, overlap, multiple) {
  const count = Math.ceil(length / tileSize);
  const edge = (k) => Math.floor(((length / multiple) * k) / count) * multiple;
  return Array.from({ length: count }, (_, k) => ({
    start: edge(k),
    stop: edge(k + 1),
    windowStart: Math.max(edge(k) - overlap, 0),
    windowStop: Math.min(edge(k + 1) + overlap, length),
    padded: length,
  }));
}
