// What came of it, where that is not the same each time: additions that were kept, workers that answered.

import { s } from "../dom.js";
import { count, percent } from "../format.js";
import { colourOf, titleOf } from "./experiments.js";

const ROW = 50, BAR = 18, RIGHT = 12;

const text = (x, y, content, attributes = {}) => s("text", { x, y, ...attributes }, content);

function additions(run, y, width) {
  const share = Number(run.result) / Number(run.expected), lost = Number(run.expected) - Number(run.result);
  const bar = s("rect", { x: 0, y, width: Math.max(1, share * width), height: BAR, rx: 2 });
  bar.style.fill = colourOf(run.mode);
  return s("g", {},
    text(0, y - 6, titleOf(run.mode)),
    text(width, y - 6, lost > 0 ? `${count(lost)} lost, ${percent(lost / Number(run.expected))}` : "none lost",
      { "text-anchor": "end", class: lost > 0 ? "bad" : "quiet" }),
    bar, lost > 0 && s("rect", { class: "lost", x: share * width, y: y + 0.75, width: Math.max(1, (1 - share) * width), height: BAR - 1.5, rx: 2 }));
}

function answers(run, y, width) {
  const answered = Number(run.result), all = Number(run.expected), size = Math.min(BAR, width / all - 6);
  const boxes = Array.from({ length: all }, (_, i) => {
    const x = i * (size + 6), box = s("rect", { x, y, width: size, height: size, rx: 2 });
    if (i >= all - answered) {
      box.style.fill = colourOf(run.mode);
      return box;
    }
    box.setAttribute("class", "lost");
    return [box, s("path", { class: "cross", d: `M${x + 4} ${y + 4}l${size - 8} ${size - 8}m0 ${8 - size}l${8 - size} ${size - 8}` })];
  });
  return s("g", {}, text(0, y - 6, titleOf(run.mode)),
    text(width, y - 6, `${answered} of ${all} answered`, { "text-anchor": "end", class: answered < all - 1 ? "bad" : "quiet" }), boxes);
}

export function keptOf(report, width) {
  const inner = width - RIGHT, draw = report.experiment === "race" ? additions : answers;
  const height = report.runs.length * ROW + 4;
  const label = report.runs.map((run) => `${titleOf(run.mode)}: ${count(Number(run.result))} of ${count(Number(run.expected))}`).join("; ");
  return s("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": label },
    report.runs.map((run, i) => draw(run, i * ROW + 22, inner)));
}
