// A linear scale from 0, with ticks at round figures.

const LEAST = 1e-9; // below it a step could round to 0
const STEPS = [1, 2, 2.5, 5, 10];

export function roundStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * STEPS.find((step) => step * power >= rough * (1 - 1e-9));
}

// `max` becomes `width` pixels; about one tick in `gap` pixels.
export function scaleTo(max, width, gap = 110) {
  const end = max > LEAST && Number.isFinite(max) ? max : 1;
  const step = roundStep(end / Math.max(2, Math.floor(width / gap)));
  const ticks = [];
  for (let i = 0; i * step <= end * (1 + 1e-9); i++) ticks.push(i * step);
  return { x: (value) => (Math.min(value, end) / end) * width, ticks };
}

// Where the text of a tick stays within the drawing.
export const anchorOf = (at, width) => (at < 20 ? "start" : at > width - 20 ? "end" : "middle");
