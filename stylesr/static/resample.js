// Bicubic resampling in the convention of MATLAB's imresize, as stylesr/resample.py does it: cubic
// kernel with a = -0.5, widened for antialiasing when the picture shrinks, symmetric borders.

/**
 * @param {Float32Array} plane height × width
 * @returns {Float32Array} of the new size, clamped to [0, 1]
 */
export function resize(plane, [height, width], [newHeight, newWidth]) {
  if (newHeight !== height) plane = resizeRows(plane, height, width, newHeight);
  if (newWidth !== width) plane = resizeColumns(plane, newHeight, width, newWidth);
  for (let k = 0; k < plane.length; k++) plane[k] = Math.min(Math.max(plane[k], 0), 1);
  return plane;
}

function resizeRows(plane, height, width, length) {
  const result = new Float32Array(length * width);
  const { taps, indices, count } = weights(height, length);
  for (let y = 0; y < length; y++) {
    const row = result.subarray(y * width, (y + 1) * width);
    for (let k = y * count; k < (y + 1) * count; k++) {
      const source = indices[k] * width;
      if (taps[k] !== 0) for (let x = 0; x < width; x++) row[x] += taps[k] * plane[source + x];
    }
  }
  return result;
}

function resizeColumns(plane, height, width, length) {
  const result = new Float32Array(height * length);
  const { taps, indices, count } = weights(width, length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < length; x++) {
      let sum = 0;
      for (let k = x * count; k < (x + 1) * count; k++) sum += taps[k] * plane[y * width + indices[k]];
      result[y * length + x] = sum;
    }
  }
  return result;
}

/** For each result pixel `count` taps and the source index of each, mirrored at the borders. */
function weights(source, target) {
  const scale = target / source;
  const stretch = Math.min(scale, 1);
  const support = 4 / stretch;
  const count = Math.ceil(support) + 2;
  const taps = new Float32Array(target * count);
  const indices = new Int32Array(target * count);
  for (let x = 0; x < target; x++) {
    const centre = (x + 0.5) / scale - 0.5;
    const left = Math.floor(centre - support / 2);
    const each = Array.from({ length: count }, (_, k) => cubic((centre - left - k) * stretch));
    const sum = each.reduce((a, b) => a + b);
    each.forEach((tap, k) => {
      taps[x * count + k] = tap / sum;
      indices[x * count + k] = mirrored(left + k, source);
    });
  }
  return { taps, indices, count };
}

function mirrored(index, length) {
  const place = ((index % (2 * length)) + 2 * length) % (2 * length);
  return place < length ? place : 2 * length - 1 - place;
}

function cubic(x) {
  x = Math.abs(x);
  if (x <= 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
}
