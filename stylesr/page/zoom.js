// Side by side: both pictures of #pair zoom and move together, by pointer, wheel, fingers and keys.
// Keys work where the focus is in #zoom, its buttons; styles read --zoom, --x and --y.
() => {
  const MOST = 16, STEP = 0.1;
  let zoom = 1, x = 0.5, y = 0.5; // the point of both pictures in the middle of their views, 0 to 1
  const fingers = new Map();

  const show = () => {
    const edge = 0.5 / zoom;
    [x, y] = [x, y].map((at) => Math.min(Math.max(at, edge), 1 - edge));
    const pair = document.querySelector("#pair");
    pair.style.setProperty("--zoom", zoom);
    pair.style.setProperty("--x", x);
    pair.style.setProperty("--y", y);
    pair.classList.toggle("zoomed", zoom > 1);
    document.querySelector("#zoom output").textContent = `${Math.round(100 * zoom)} %`;
  };
  const move = (right, down) => {
    [x, y] = [x + right, y + down];
    show();
  };
  const zoomBy = (factor, atX = x, atY = y) => { // the given point of the pictures stays in place
    const before = zoom;
    zoom = Math.min(Math.max(zoom * factor, 1), MOST);
    x = atX + (x - atX) * before / zoom;
    y = atY + (y - atY) * before / zoom;
    show();
  };
  const picture = (event) => event.target.closest("#pair .block")?.querySelector("img");
  const zoomAt = (event, factor) => {
    const box = picture(event).getBoundingClientRect();
    zoomBy(factor, (event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height);
  };
  const spread = () => {
    const [a, b] = [...fingers.values()];
    return Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
  };

  const keys = {
    "+": () => zoomBy(2), "=": () => zoomBy(2), "-": () => zoomBy(0.5), "0": () => zoomBy(1 / MOST),
    ArrowLeft: () => move(-STEP / zoom, 0), ArrowRight: () => move(STEP / zoom, 0),
    ArrowUp: () => move(0, -STEP / zoom), ArrowDown: () => move(0, STEP / zoom),
  };
  document.addEventListener("keydown", (event) => {
    if (!event.target.closest("#zoom") || event.ctrlKey || event.metaKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("#zoom button");
    if (button) keys[button.dataset.key]();
  });
  document.addEventListener("wheel", (event) => {
    if (!picture(event)) return;
    event.preventDefault();
    zoomAt(event, 2 ** (-event.deltaY / 300));
  }, { passive: false });

  document.addEventListener("pointerdown", (event) => {
    if (picture(event)) fingers.set(event.pointerId, event);
  });
  document.addEventListener("pointermove", (event) => {
    const last = fingers.get(event.pointerId);
    if (!last) return;
    const before = fingers.size === 2 ? spread() : 0;
    fingers.set(event.pointerId, event);
    if (fingers.size === 2 && picture(event)) zoomAt(event, spread() / before);
    if (fingers.size !== 1 || zoom === 1) return;
    const box = document.querySelector("#pair img").getBoundingClientRect();
    move((last.clientX - event.clientX) / box.width, (last.clientY - event.clientY) / box.height);
  });
  for (const end of ["pointerup", "pointercancel"])
    document.addEventListener(end, (event) => fingers.delete(event.pointerId));
  document.addEventListener("dragstart", (event) => { if (picture(event)) event.preventDefault(); });
}
