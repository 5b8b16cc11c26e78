// Models as they are on the Hub, and their weighted sums: a style's strength (stylesr/blending.py).

/**
 * Read a safetensors file.
 * @param {ArrayBuffer} file
 * @param {[string, number][]} layout names of the parameters in the order that the graphs want, and
 *   how many numbers each has
 * @returns {Float32Array} all of them, one after the other
 */
export function readWeights(file, layout) {
  const head = Number(new DataView(file).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(file, 8, head)));
  const all = new Float32Array(layout.reduce((sum, [, count]) => sum + count, 0));
  let place = 0;
  for (const [name, count] of layout) {
    const { dtype, data_offsets: [start, stop] } = header[name] ?? { data_offsets: [] };
    const bytes = file.slice(8 + head + start, 8 + head + stop);
    const numbers = dtype === "F16" ? fromHalf(new Uint16Array(bytes)) : new Float32Array(bytes);
    if (!["F16", "F32"].includes(dtype) || numbers.length !== count) {
      throw new Error(`the model's ${name} is not of ${count} numbers`);
    }
    all.set(numbers, place);
    place += count;
  }
  return all;
}

/**
 * (1 - strength)·photo + strength·style, exact copies at 0 and 1.
 * Beyond 1 the skip's gain is kept from falling below 0: it would turn the picture into its negative.
 */
export function blend(photo, style, strength, layout) {
  if (strength === 0 || strength === 1) return strength ? style : photo;
  const sum = photo.map((value, k) => Math.fround(strength * style[k]) + Math.fround((1 - strength) * value));
  if (strength > 1) {
    let gain = 0;
    for (const [name, count] of layout) {
      if (name === "skip_gain") break;
      gain += count;
    }
    sum[gain] = Math.max(sum[gain], 0);
  }
  return sum;
}

/** Numbers of 16 bits as numbers of 32. */
function fromHalf(bits) {
  const table = fromHalf.table ??= Float32Array.from({ length: 1 << 16 }, (_, h) => {
    const sign = h & 0x8000 ? -1 : 1;
    const exponent = (h >> 10) & 31;
    const fraction = h & 1023;
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : 2 ** -14 * (fraction / 1024));
  });
  return Float32Array.from(bits, (h) => table[h]);
}
