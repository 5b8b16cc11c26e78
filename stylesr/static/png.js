// Marks in a PNG file: the settings, and that a model made the picture, as the package writes them.

const AFTER_HEADER = 8 + 25; // signature and IHDR

/**
 * @param {Blob} png
 * @param {string} description the settings
 * @param {string} source an IPTC code, such as compositeWithTrainedAlgorithmicMedia
 * @returns {Promise<Blob>} the same picture, with the marks
 */
export async function mark(png, description, source) {
  const xmp =
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">' +
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">' +
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">' +
    "<Iptc4xmpExt:DigitalSourceType>http://cv.iptc.org/newscodes/digitalsourcetype/" +
    `${source}</Iptc4xmpExt:DigitalSourceType></rdf:Description></rdf:RDF></x:xmpmeta>`;
  const texts = [
    ["tEXt", `Software\0stylesr`],
    ["tEXt", `Description\0${description}`],
    ["iTXt", `XML:com.adobe.xmp\0\0\0\0\0${xmp}`],
  ];
  const chunks = texts.map(([kind, text]) => chunk(kind + text));
  return new Blob([png.slice(0, AFTER_HEADER), ...chunks, png.slice(AFTER_HEADER)], { type: "image/png" });
}

/** Length, kind and content, checksum. */
function chunk(text) {
  const body = new TextEncoder().encode(text);
  const bytes = new Uint8Array(body.length + 8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, body.length - 4);
  bytes.set(body, 4);
  view.setUint32(body.length + 4, crc(body));
  return bytes;
}

function crc(bytes) {
  let sum = ~0;
  for (const byte of bytes) {
    sum ^= byte;
    for (let k = 0; k < 8; k++) sum = sum & 1 ? (sum >>> 1) ^ 0xedb88320 : sum >>> 1;
  }
  return ~sum >>> 0;
}
