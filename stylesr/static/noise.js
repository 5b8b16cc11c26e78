// The noise beside the picture: a function of seed, level, row and column, the same hash as in
// Python (stylesr/models/stylesr_net.py), so that every tile and every device draws the same.

const STEP = 4; // each level is this many times coarser than the one before it

/**
 * @param {number} height, width of the window, in trunk pixels
 * @param {number} levels channels
 * @param {number} seed a whole number
 * @param {number} top, left of the window in the whole picture
 * @returns {Float32Array} levels × height × width, uniform with unit variance
 */
export function noiseField(height, width, levels, seed, top, left) {
  const field = new Float32Array(levels * height * width);
  const root3 = Math.fround(Math.sqrt(3));
  for (let level = 0; level < levels; level++) {
    const step = STEP ** (level + 1);
    const rows = lattice(height, top, step);
    const columns = lattice(width, left, step);
    const first = columns.before[0];
    const count = columns.before[width - 1] - first + 2;
    let place = level * height * width;
    let row = null;
    let above, below;
    for (let y = 0; y < height; y++) {
      if (rows.before[y] !== row) {
        row = rows.before[y];
        above = hashRow(seed, level, row, first, count);
        below = hashRow(seed, level, row + 1, first, count);
      }
      const between = above.map((value, k) => lerp(value, below[k], rows.weight[y]));
      for (let x = 0; x < width; x++) {
        const k = columns.before[x] - first;
        field[place++] = root3 * lerp(between[k], between[k + 1], columns.weight[x]);
      }
    }
  }
  return field;
}

/** For each pixel the lattice point before it and how far it is towards the next one. */
function lattice(length, start, step) {
  const before = new Int32Array(length);
  const weight = new Float32Array(length);
  for (let k = 0; k < length; k++) {
    const place = 2 * (start + k) + 1 - step; // centres, doubled
    before[k] = Math.floor(place / (2 * step));
    weight[k] = (place - before[k] * 2 * step) / (2 * step);
  }
  return { before, weight };
}

function lerp(a, b, weight) {
  return Math.fround(weight < 0.5 ? a + weight * (b - a) : b - (b - a) * (1 - weight));
}

function hashRow(seed, level, row, first, count) {
  return Float32Array.from({ length: count }, (_, k) => hash(seed, level, row, first + k));
}

/** Integer hash of 32 bits (the finaliser of MurmurHash3), as a number in [-1, 1). */
export function hash(seed, level, row, column) {
  let h = (Math.imul(seed, 0x9e3779b1) + Math.imul(level, 0x85ebca77)) >>> 0;
  for (const value of [row, column]) {
    h = (h ^ Math.imul(value, 0xc2b2ae3d)) >>> 0;
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b) >>> 0;
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35) >>> 0;
    h = (h ^ (h >>> 16)) >>> 0;
  }
  return (h >>> 8) / 2 ** 23 - 1;
}
