// Pointer, wheel and keys on the picture, as pan(right, down) and zoom(factor, right, down), in widths of the picture and
// from its middle, and home().

const WHEEL = 0.0015; // of a pixel of the wheel
const LINE = 16; // pixels of a wheel that counts lines
const STEP = 0.1; // of the width, for an arrow key
const KEY_ZOOM = 1.5;

const ARROWS = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

function placeOf(element, { clientX, clientY }) {
  const box = element.getBoundingClientRect();
  return { right: (clientX - box.left - box.width / 2) / box.width, down: (clientY - box.top - box.height / 2) / box.width };
}

const between = (a, b) => ({ right: (a.right + b.right) / 2, down: (a.down + b.down) / 2 });
const apart = (a, b) => Math.hypot(a.right - b.right, a.down - b.down);

function onPointers(element, { pan, zoom }) {
  const held = new Map(); // by pointer, where it was

  function move(event) {
    if (!held.has(event.pointerId)) return;
    const was = held.get(event.pointerId);
    const now = placeOf(element, event);
    const other = [...held].find(([id]) => id !== event.pointerId)?.[1];
    held.set(event.pointerId, now);
    if (other === undefined) return pan(now.right - was.right, now.down - was.down);
    const from = between(was, other), to = between(now, other);
    pan(to.right - from.right, to.down - from.down);
    return zoom(apart(now, other) / Math.max(apart(was, other), 0.001), to.right, to.down);
  }
  function down(event) {
    if (event.button !== 0 || held.size === 2) return;
    element.setPointerCapture(event.pointerId);
    held.set(event.pointerId, placeOf(element, event));
    element.classList.add("held");
  }
  function up(event) {
    held.delete(event.pointerId);
    if (held.size === 0) element.classList.remove("held");
  }
  element.addEventListener("pointerdown", down);
  element.addEventListener("pointermove", move);
  element.addEventListener("pointerup", up);
  element.addEventListener("pointercancel", up);
}

function onKey(event, { pan, zoom, home }) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const arrow = ARROWS[event.key];
  const step = event.shiftKey ? 5 * STEP : STEP;
  if (arrow !== undefined) pan(arrow[0] * step, arrow[1] * step);
  else if (event.key === "+" || event.key === "=") zoom(KEY_ZOOM, 0, 0);
  else if (event.key === "-") zoom(1 / KEY_ZOOM, 0, 0);
  else if (event.key === "Home") home();
  else return;
  event.preventDefault();
}

export function onGestures(element, acts) {
  onPointers(element, acts);
  element.addEventListener("keydown", (event) => onKey(event, acts));
  element.addEventListener("dblclick", (event) => {
    const { right, down } = placeOf(element, event);
    acts.zoom(2, right, down);
  });
  element.addEventListener("wheel", (event) => {
    event.preventDefault();
    const { right, down } = placeOf(element, event);
    const pixels = event.deltaY * (event.deltaMode === 1 ? LINE : 1) * (event.ctrlKey ? 5 : 1);
    acts.zoom(Math.exp(-WHEEL * pixels), right, down);
  }, { passive: false });
}

// Buttons that do the same, for who cannot drag.
export const BUTTONS = [
  { label: "Zoom in", sign: "+", act: ({ zoom }) => zoom(2, 0, 0) },
  { label: "Zoom out", sign: "−", act: ({ zoom }) => zoom(0.5, 0, 0) },
  { label: "The whole picture", sign: "⌂", act: ({ home }) => home() },
  { label: "To the left", sign: "←", act: ({ pan }) => pan(2 * STEP, 0) },
  { label: "Up", sign: "↑", act: ({ pan }) => pan(0, 2 * STEP) },
  { label: "Down", sign: "↓", act: ({ pan }) => pan(0, -2 * STEP) },
  { label: "To the right", sign: "→", act: ({ pan }) => pan(-2 * STEP, 0) },
];
