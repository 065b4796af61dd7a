// What a run cost, as figures and as a bar of where its time went. A receipt is {wait_ms, run_ms, cpu_ms, max_rss_kb,
// chunks, retries, workers, missing}.

import { h } from "./dom.js";
import { bytes, count, milliseconds, number, percent } from "./format.js";

// Out of the header Prong-Receipt; null when there is none.
export function receiptOf(header) {
  if (!header) return null;
  return Object.fromEntries(header.split(",").map((field) => field.trim().split("=")).map(([name, value]) => [name, Number(value)]));
}

export const coresOf = ({ run_ms: run, cpu_ms: cpu }) => (run > 0 ? cpu / run : null);

// As <dt>, <dd> pairs for dl.figures: [title, value, what small print follows].
export function figuresOf(receipt) {
  const rows = [
    ["Waited", milliseconds(receipt.wait_ms)],
    ["Ran", milliseconds(receipt.run_ms)],
    ["CPU", milliseconds(receipt.cpu_ms)],
    ["Cores used", number(coresOf(receipt), 2)],
    ["Memory", receipt.max_rss_kb > 0 ? bytes(receipt.max_rss_kb * 1024) : "–"],
    ["Chunks", count(receipt.chunks)],
    ["Workers", count(receipt.workers)],
    ["Retries", count(receipt.retries)],
  ];
  if (receipt.missing > 0) rows.push(["Missing units", count(receipt.missing)]);
  return rows;
}

export const figures = (rows) =>
  h("dl", { class: "figures" }, rows.map(([title, value]) => h("div", {}, h("dt", {}, title), h("dd", {}, value))));

const PARTS = [
  ["wait", "waited for a worker", "--chart-5"],
  ["run", "ran", "--chart-1"],
  ["rest", "HTTP and the browser", "--chart-6"],
];

function piece(name, ms, whole) {
  const element = h("span", { class: `time-${name}` });
  element.style.width = `${(100 * ms) / whole}%`;
  element.style.background = `var(${PARTS.find(([of]) => of === name)[2]})`;
  return element;
}

// The bar over `round_ms`, what it took for the client; null when that is not known (a durable job): then over waiting
// and running alone.
export function timeBar(receipt, roundMs) {
  const whole = Math.max(roundMs ?? 0, receipt.wait_ms + receipt.run_ms);
  if (!(whole > 0)) return null;
  const times = { wait: receipt.wait_ms, run: receipt.run_ms };
  if (roundMs !== null) times.rest = whole - receipt.wait_ms - receipt.run_ms;
  const shown = PARTS.filter(([name]) => times[name] !== undefined);
  const words = shown.map(([name, title]) => `${title} ${milliseconds(times[name])} (${percent(times[name] / whole)})`);
  return h("figure", { class: "times" },
    h("div", { class: "time-bar", role: "img", "aria-label": `Of ${milliseconds(whole)}: ${words.join(", ")}` },
      shown.map(([name]) => piece(name, times[name], whole))),
    h("figcaption", { class: "legend", "aria-hidden": "true" }, shown.map(([, , colour], i) => {
      const key = h("i", {});
      key.style.background = `var(${colour})`;
      return h("span", {}, key, words[i]);
    })));
}
