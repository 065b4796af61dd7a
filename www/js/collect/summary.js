// What fetching them at once bought: the pages' own times added up, beside the time that it took.

import { h } from "../dom.js";
import { bytes, count, milliseconds, number } from "../format.js";

const sum = (list, of) => list.reduce((total, item) => total + of(item), 0);

const factorOf = ({ sum_ms, wall_ms }) => (wall_ms > 0 ? sum_ms / wall_ms : NaN);
export const factorText = (sums) => (Number.isFinite(factorOf(sums)) ? `×${number(factorOf(sums))}` : "–");

// "3 failed: 2 timeout, 1 dns", or "".
export function failuresText(rows) {
  const codes = new Map();
  for (const { error } of rows) if (error) codes.set(error.code, (codes.get(error.code) ?? 0) + 1);
  const failed = sum([...codes.values()], (n) => n);
  return failed === 0 ? "" : `${count(failed)} failed: ${[...codes].map(([code, n]) => `${count(n)} ${code}`).join(", ")}`;
}

function bar(title, ms, longest, ours) {
  const fill = h("span", { class: ours ? "bar ours" : "bar" });
  fill.style.setProperty("--share", longest > 0 ? ms / longest : 0);
  return [h("dt", {}, title), h("dd", { class: "track", "aria-hidden": "true" }, fill), h("dd", {}, milliseconds(ms))];
}

const figure = (title, value) => h("div", {}, h("dt", {}, title), h("dd", {}, value));

// `sums` has wall_ms, sum_ms and total; `rows` are those that have landed.
export function summaryOf(rows, sums, isRunning) {
  const longest = Math.max(sums.sum_ms, sums.wall_ms);
  const words = sum(rows, (row) => row.processed?.words ?? 0);
  return [
    h("div", { class: "bought-head" },
      h("h2", { id: "bought-title" }, isRunning ? "Concurrency has bought so far" : "Concurrency bought"),
      h("span", { class: "factor" }, factorText(sums)),
      h("span", { class: "note" }, isRunning ? "while they come" : `${milliseconds(Math.max(0, sums.sum_ms - sums.wall_ms))} of waiting were spared`)),
    h("dl", { class: "versus" },
      bar("One after the other", sums.sum_ms, longest, false),
      bar("All at once", sums.wall_ms, longest, true)),
    h("dl", { class: "figures" },
      figure("Pages", [count(rows.length), h("small", {}, ` of ${count(sums.total)}`)]),
      figure("Failed", count(rows.filter((row) => row.error).length)),
      figure("Bytes", bytes(sum(rows, (row) => row.bytes))),
      figure("Words", words > 0 ? count(words) : "–"),
      figure("Links", count(sum(rows, (row) => row.links_total)))),
  ];
}
