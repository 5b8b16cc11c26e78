// What the work can run on.

/** Whether there is a graphics card that the browser lends; one that is only simulated is slower. */
export async function hasGPU() {
  const adapter = await navigator.gpu?.requestAdapter();
  return Boolean(adapter) && !adapter.info?.isFallbackAdapter;
}
