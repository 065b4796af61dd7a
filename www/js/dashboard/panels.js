// The figures of this second, and the four charts.

import { timeChart } from "../charts.js";
import { h, setText } from "../dom.js";
import { bytes, count, milliseconds, number, short } from "../format.js";

const last = (values) => values.findLast((value) => value !== null) ?? null;
const ends = (columns, key) => columns[key].at(-1);

const CHARTS = [
  {
    title: "Throughput", format: short, least: 5,
    lines: [
      { key: "errors_per_s", title: "errors/s", colour: "--chart-2" },
      { key: "requests_per_s", title: "requests/s", colour: "--chart-1", fill: true },
      { key: "runs_per_s", title: "runs/s", colour: "--chart-3" },
    ],
    summary: (columns) => `${number(ends(columns, "requests_per_s"))}/s`,
  },
  {
    title: "Latency", format: milliseconds,
    lines: [
      { key: "p50_ms", title: "p50", colour: "--chart-1" },
      { key: "p99_ms", title: "p99", colour: "--chart-2" },
    ],
    summary: (columns) => `p99 ${milliseconds(last(columns.p99_ms))}`,
  },
  {
    title: "Queue", format: short, least: 4,
    lines: [
      { key: "queue_high", title: "high", colour: "--chart-2" },
      { key: "queue_normal", title: "normal", colour: "--chart-1", fill: true },
      { key: "queue_low", title: "low", colour: "--chart-3" },
    ],
    summary: (columns) => {
      const waiting = ends(columns, "queue_high") + ends(columns, "queue_normal") + ends(columns, "queue_low");
      return `${number(waiting)} waiting`;
    },
  },
  {
    title: "Work", format: number, least: 1,
    lines: [
      { key: "cpu_cores", title: "cores used", colour: "--chart-1", fill: true },
      { key: "busy", title: "workers busy", colour: "--chart-3" },
    ],
    summary: (columns) => `${number(ends(columns, "cpu_cores"), 2)} cores`,
  },
];

// {element: the figures, charts: elements, showColumns(columns), showSample(sample), showStatus(status)}
export function panelsOf() {
  const charts = CHARTS.map(timeChart);
  const figure = (title) => {
    const value = h("dd", {}, "–"), more = h("small", {});
    return { element: h("div", {}, h("dt", {}, title), value), value, more };
  };
  const figures = {
    requests: figure("Requests/s"), runs: figure("Runs/s"), p50: figure("Latency p50"), p99: figure("Latency p99"),
    queued: figure("Waiting"), busy: figure("Workers busy"), cpu: figure("Cores used"), rss: figure("Workers' memory"),
  };
  const set = ({ value, more }, text, beside = "") => {
    if (value.firstChild?.nodeType !== Node.TEXT_NODE || value.childNodes.length !== 2) value.replaceChildren("", more);
    if (value.firstChild.data !== text) value.firstChild.data = text;
    setText(more, beside);
  };
  let cores = null, workers = null, capacity = null;

  function showSample(sample) {
    set(figures.requests, number(sample.requests_per_s), sample.errors_per_s > 0 ? ` ${number(sample.errors_per_s)} errors` : "");
    set(figures.runs, number(sample.runs_per_s));
    set(figures.p50, milliseconds(sample.p50_ms));
    set(figures.p99, milliseconds(sample.p99_ms));
    set(figures.queued, number(sample.queue_high + sample.queue_normal + sample.queue_low), capacity && ` of ${count(capacity)}`);
    set(figures.busy, number(sample.busy, 2), workers && ` of ${count(workers)}`);
    set(figures.cpu, number(sample.cpu_cores, 2), cores && ` of ${number(cores)}`);
    set(figures.rss, bytes(sample.rss_bytes));
  }

  function showStatus(status) {
    const { affinity, quota } = status.machine;
    cores = quota === null ? affinity : Math.min(affinity, quota);
    workers = status.workers.length;
    capacity = status.queue.capacity;
  }

  return {
    figures: h("dl", { class: "figures" }, Object.values(figures).map(({ element }) => element)),
    charts: charts.map(({ element }) => h("div", { class: "card" }, element)),
    showColumns: (columns) => charts.forEach(({ show }) => show(columns)),
    showSample, showStatus,
  };
}
