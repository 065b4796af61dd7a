// Who worked when: a row for each thread or process, of the run of each mode that took the middle of the times.

import { s } from "../dom.js";
import { duration } from "../format.js";
import { colourOf, titleOf } from "./experiments.js";
import { anchorOf, scaleTo } from "./scale.js";

const LANE = 16, GAP = 4, HEAD = 22, AFTER = 12, AXIS = 26, RIGHT = 12;

const nameOf = (lane) => (lane.kind === "process" ? `pid ${lane.pid}` : `pid ${lane.pid} · tid ${lane.tid}`);

function laneOf(lane, mode, y, x, labels, width) {
  const bars = lane.spans.map(([start, end]) => {
    const bar = s("rect", { x: labels + x(start), y, width: Math.max(0.75, x(end) - x(start)), height: LANE });
    bar.style.fill = colourOf(mode);
    bar.style.fillOpacity = lane.lane % 2 ? 0.72 : 1;
    return bar;
  });
  return s("g", {},
    s("rect", { class: "track", x: labels, y, width, height: LANE, rx: 2 }),
    labels > 0 && s("text", { x: 0, y: y + LANE - 4, class: "quiet" }, nameOf(lane)), bars);
}

const heightOf = (run) => HEAD + run.lanes.length * (LANE + GAP) + AFTER;
const endOf = (runs) => Math.max(...runs.flatMap((run) => run.lanes.flatMap((lane) => lane.spans.map(([, end]) => end))), 0);

function summaryOf(runs) {
  return runs.map((run) => `${titleOf(run.mode)}: ${run.lanes.length} ${run.lanes[0]?.kind === "process" ? "processes" : "threads"}`
    + (run.switches ? `, the lock changed hands ${run.switches[run.typical ?? 0]} times` : "")).join("; ");
}

export function ganttOf(family, width) {
  const runs = family.runs.filter((run) => run.lanes.length > 0);
  const labels = width > 460 ? 150 : 0, inner = width - labels - RIGHT;
  const { x, ticks } = scaleTo(endOf(runs), inner);
  const height = runs.reduce((sum, run) => sum + heightOf(run), AXIS), bottom = height - AXIS;
  let y = 0;
  const blocks = runs.map((run) => {
    const top = y;
    y += heightOf(run);
    const handed = run.switches?.[run.typical ?? 0];
    return s("g", {},
      s("text", { x: 0, y: top + 15 }, titleOf(run.mode),
        handed > 0 && s("tspan", { class: "quiet", dx: 8 }, width > 460 ? `the lock changed hands ${handed} times` : `${handed} hand-overs`)),
      run.lanes.map((lane, i) => laneOf(lane, run.mode, top + HEAD + i * (LANE + GAP), x, labels, inner)));
  });
  return s("svg", { viewBox: `0 0 ${width} ${height}`, height, role: "img", "aria-label": summaryOf(runs) },
    blocks,
    ticks.map((tick) => [
      s("path", { class: "axis", d: `M${labels + x(tick)} ${bottom - AFTER + 4}v6` }),
      s("text", { x: labels + x(tick), y: bottom + 14, class: "quiet", "text-anchor": anchorOf(x(tick), inner) }, duration(tick))]));
}
