// What a lab has found, laid out: the advice, the charts, the machine, and all figures as a table and as files.

import { asTable, csvOf, download, h, tableOf } from "../dom.js";
import { bytes, count, duration, number, times } from "../format.js";
import { copyButton } from "../shell.js";
import { barsOf, ceilingOf } from "./bars.js";
import { EXPERIMENTS, familiesOf, titleOf } from "./experiments.js";
import { ganttOf } from "./gantt.js";
import { keptOf } from "./kept.js";

// Sums may be larger than a number of JavaScript can hold, and are texts then.
const exactly = (value) => (typeof value === "string" && /^\d+$/.test(value) ? BigInt(value).toLocaleString() : count(value));

// Drawn for the width that there is, and anew when that changes.
function drawing(caption, hint, draw) {
  const box = h("div", {});
  let width = 0;
  new ResizeObserver(() => {
    const now = Math.floor(box.clientWidth);
    if (now === width || now === 0) return;
    width = now;
    box.replaceChildren(draw(width));
  }).observe(box);
  return h("figure", { class: "drawing" }, h("figcaption", {}, caption && h("strong", {}, caption), h("span", {}, hint)), box);
}

function runsTable(report) {
  return tableOf("Times, results and how many times faster", [
    { title: "Mode", of: (run) => titleOf(run.mode) },
    { title: "Median", number: true, of: (run) => duration(run.median_s) },
    { title: "Fastest", number: true, of: (run) => duration(Math.min(...run.wall_s)) },
    { title: "Slowest", number: true, of: (run) => duration(Math.max(...run.wall_s)) },
    { title: "CPU time", number: true, of: (run) => duration(run.cpu_s[run.typical ?? 0]) },
    { title: "Faster", number: true, of: (run) => times(run.speedup) },
    { title: "At best", number: true, of: (run) => times(run.ideal) },
    { title: "Result", number: true, of: (run) => exactly(run.result) },
    { title: "Expected", number: true, of: (run) => exactly(run.expected) },
  ], report.runs.filter((run) => run.wall_s.length > 0), { class: "bare" });
}

function lanesTable(report) {
  const rows = report.runs.flatMap((run) => run.lanes.map((lane) => ({ ...lane, mode: run.mode })));
  return tableOf("Who worked, and when", [
    { title: "Mode", of: (lane) => titleOf(lane.mode) },
    { title: "Kind", of: (lane) => lane.kind },
    { title: "pid", number: true, of: (lane) => String(lane.pid) },
    { title: "tid", number: true, of: (lane) => String(lane.tid) },
    { title: "Spans", number: true, of: (lane) => count(lane.spans.length) },
    { title: "From", number: true, of: (lane) => duration(lane.spans[0]?.[0]) },
    { title: "To", number: true, of: (lane) => duration(lane.spans.at(-1)?.[1]) },
    { title: "In all", number: true, of: (lane) => duration(lane.spans.reduce((sum, [a, b]) => sum + b - a, 0)) },
  ], rows, { class: "bare" });
}

// ---- cards ----

function saveButtons(report, link) {
  const name = `prong-lab-${report.experiment}`;
  const rows = report.runs.flatMap((run) => run.wall_s.map((wall, i) =>
    [run.mode, i + 1, wall, run.cpu_s[i], run.results?.[i] ?? run.result, run.expected]));
  const csv = () => csvOf(["mode", "repeat", "wall_s", "cpu_s", "result", "expected"], rows);
  return h("div", { class: "buttons" },
    copyButton(link, "Copy link"),
    h("button", { class: "quiet small", type: "button", onclick: () => download(`${name}.csv`, "text/csv", csv()) }, "CSV"),
    h("button", { class: "quiet small", type: "button",
      onclick: () => download(`${name}.json`, "application/json", JSON.stringify(report, null, 1)) }, "JSON"));
}

function findingCard(report, link, origin) {
  const notes = report.runs.filter((run) => run.note).map((run) => h("p", { class: "note" }, `${titleOf(run.mode)}: ${run.note}`));
  const left = report.left_out?.length > 0
    && h("p", { class: "note" }, `Left out: ${report.left_out.map(({ mode }) => titleOf(mode)).join(", ")}. ${report.left_out[0].why}`);
  return h("section", { class: "card finding", "aria-labelledby": "finding" },
    h("h2", { id: "finding" }, report.advice.headline), h("p", {}, report.advice.text), notes, left, saveButtons(report, link),
    origin && h("p", { class: "note origin" }, origin));
}

function timesCard(report) {
  const families = familiesOf(report);
  const hint = report.runs.some((run) => run.wall_s.length > 1) ? "bar: median, whisker: fastest to slowest, points: each run" : "each run once";
  const drawings = families.map((family, i) => drawing(family.title, i === 0 ? hint : "", (width) => barsOf(family, width)));
  const hasCeiling = report.machine !== null && families.some(ceilingOf);
  return h("section", { class: "card", "aria-labelledby": "times" },
    h("h2", { id: "times" }, "Time that passed"), drawings,
    hasCeiling && h("p", { class: "note" },
      `The dotted line is what ${report.workers} workers can reach on the ${number(report.machine.ceiling)} cores that this server may use.`),
    asTable(() => runsTable(report)));
}

function keptCard(report) {
  const isRace = report.experiment === "race";
  return h("section", { class: "card", "aria-labelledby": "kept" },
    h("h2", { id: "kept" }, isRace ? "Additions that were kept" : "Who answered"),
    drawing("", isRace ? "of the run that lost most" : "a cross: gone without an answer", (width) => keptOf(report, width)));
}

function lanesCard(report) {
  const word = EXPERIMENTS[report.experiment]?.lane ?? "working";
  const drawings = familiesOf(report).filter((family) => family.runs.some((run) => run.lanes.length > 0))
    .map((family, i) => drawing(family.title, i === 0 ? `filled: ${word}` : "", (width) => ganttOf(family, width)));
  return drawings.length > 0 && h("section", { class: "card", "aria-labelledby": "lanes" },
    h("h2", { id: "lanes" }, "Who worked when"), drawings, asTable(() => lanesTable(report)));
}

function machineCard(report) {
  const m = report.machine;
  const libraries = Object.entries(m.libraries ?? {}).map(([name, version]) => `${name} ${version}`).join(", ");
  const facts = [
    ["Processor", m.cpu_model ?? "unknown"],
    ["Cores", count(m.cores)],
    ["… that the server may use", m.quota ? `${count(m.affinity)}, a quota of ${number(m.quota)}` : count(m.affinity)],
    ["Used by others meanwhile", `${number(m.background_cores, 2)} of them`],
    ["Memory", bytes(m.memory_bytes)],
    ["System", m.kernel ?? "unknown"],
    ["Python", m.python ?? "none was run"],
    ["Libraries", libraries],
    ["Order", `${report.order?.length ?? 0} runs with the warm-ups, by seed ${report.seed}`],
  ];
  return h("section", { class: "card", "aria-labelledby": "machine" },
    h("h2", { id: "machine" }, "Measured on"),
    h("dl", { class: "facts" }, facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])));
}

// While it runs: what has come so far.
export const liveCards = (report) => [timesCard(report)];

// `link()` gives the address of this very report; `origin` says where it is from when that is not here.
export function reportCards(report, link, origin = null) {
  const hasKept = report.experiment === "race" || report.experiment === "crash";
  return [findingCard(report, link, origin), hasKept && keptCard(report), timesCard(report), lanesCard(report), machineCard(report)]
    .filter(Boolean);
}
