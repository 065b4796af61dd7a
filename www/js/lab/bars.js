// How long each mode took: a bar to the median, a whisker from the fastest run to the slowest, a point for every run, how many
// times faster than one thread, and as a line what this machine allows at best.

import { s } from "../dom.js";
import { duration, times } from "../format.js";
import { colourOf, titleOf } from "./experiments.js";
import { anchorOf, scaleTo } from "./scale.js";

const ROW = 50, BAR = 18, TOP = 20, AXIS = 26, RIGHT = 12;

const text = (x, y, content, attributes = {}) => s("text", { x, y, ...attributes }, content);

// The shortest time that is possible, by the server's own figure; null when nothing is compared.
export function ceilingOf(family) {
  const base = family.runs.find((run) => run.mode.endsWith("sequential"));
  const ideal = Math.max(...family.runs.map((run) => run.ideal ?? 0));
  return base?.median_s && ideal > 1 ? { at: base.median_s / ideal, ideal } : null;
}

function whisker(run, y, x) {
  const low = x(Math.min(...run.wall_s)), high = x(Math.max(...run.wall_s)), middle = y + BAR / 2;
  return s("path", { class: "whisker", d: `M${low} ${middle - 5}v10M${low} ${middle}H${high}M${high} ${middle - 5}v10` });
}

function row(run, y, x, width) {
  const known = run.wall_s.length > 0;
  const bar = s("rect", { x: 0, y, width: known ? Math.max(1.5, x(run.median_s)) : 0, height: BAR, rx: 2 });
  bar.style.fill = colourOf(run.mode);
  return s("g", {},
    text(0, y - 6, titleOf(run.mode)),
    text(width, y - 6, known ? duration(run.median_s) : "…", { "text-anchor": "end", class: "quiet" }),
    run.speedup && text(width - 84, y - 6, times(run.speedup), { "text-anchor": "end", class: "strong" }),
    s("rect", { class: "track", x: 0, y, width, height: BAR, rx: 2 }), bar,
    known && run.wall_s.length > 1 && whisker(run, y, x),
    run.wall_s.map((wall) => s("circle", { class: "raw", cx: x(wall), cy: y + BAR / 2, r: 2.5 })));
}

// Across the bars, and not across their names.
function ceilingLine(ceiling, x, rows, width) {
  const at = x(ceiling.at), isLeft = at < width / 2;
  return [s("path", { class: "ceiling", d: [...rows.map((y) => `M${at} ${y - 3}v${BAR + 6}`), `M${at} 2v12`].join("") }),
    text(at + (isLeft ? 5 : -5), 11, `at best ${duration(ceiling.at)}, ${times(ceiling.ideal)}`,
      { class: "quiet", "text-anchor": isLeft ? "start" : "end" })];
}

function summaryOf(family) {
  return family.runs.filter((run) => run.wall_s.length > 0)
    .map((run) => `${titleOf(run.mode)}: ${duration(run.median_s)}${run.speedup ? `, ${times(run.speedup)}` : ""}`).join("; ");
}

export function barsOf(family, width) {
  const inner = width - RIGHT, ceiling = ceilingOf(family), top = ceiling ? TOP : 4;
  const height = top + family.runs.length * ROW + AXIS, bottom = height - AXIS;
  const ys = family.runs.map((_, i) => top + i * ROW + 26);
  const { x, ticks } = scaleTo(Math.max(...family.runs.flatMap((run) => run.wall_s), 0), inner);
  return s("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": summaryOf(family) || "Nothing yet" },
    ticks.map((tick) => [
      s("path", { class: "axis", d: `M${x(tick)} ${top}V${bottom + 4}` }),
      text(x(tick), bottom + 18, duration(tick), { class: "quiet", "text-anchor": anchorOf(x(tick), inner) })]),
    family.runs.map((run, i) => row(run, ys[i], x, inner)),
    ceiling && ceilingLine(ceiling, x, ys, inner));
}
