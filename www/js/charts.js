// Lines over time, by uPlot (a global, from its own script), in the page's colours, with its figures as a table.

import { asTable, h, setText, tableOf } from "./dom.js";
import { clock, number } from "./format.js";

const HEIGHT = 180;

const hours = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const seconds = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const timesOf = (splits, step) => splits.map((t) => (step < 60 ? seconds : hours).format(t * 1000));

// Between two that are not known a value would be a line without length: it becomes a point.
const isolated = (chart, series) => {
  const values = chart.data[series];
  const isKnown = (i) => values[i] !== null && values[i] !== undefined;
  return values.flatMap((_, i) => (isKnown(i) && !isKnown(i - 1) && !isKnown(i + 1) ? [i] : []));
};

function axes(format) {
  const ink = resolve("--quiet"), line = resolve("--line");
  const common = { stroke: ink, font: "11px system-ui", grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1, size: 4 } };
  return [
    { ...common, size: 30, space: 56, grid: { show: false }, values: (_, splits, __, ___, step) => timesOf(splits, step) },
    { ...common, size: 52, values: (_, splits) => splits.map((v) => format(v)) },
  ];
}

// The value of a custom property as the look that is on makes it; light-dark() is worked out by the browser alone.
function resolve(name) {
  const probe = h("span", { hidden: true });
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value || colour(name);
}

function seriesOf(lines) {
  return lines.map(({ title, colour: name, fill, dash }) => {
    const stroke = resolve(name);
    return {
      label: title, stroke, width: 1.5, dash, points: { show: true, size: 4, width: 0, fill: stroke, filter: isolated }, spanGaps: false,
      fill: fill ? stroke.replace(/^rgb\((.*)\)$/, "rgba($1, 0.14)") : undefined,
    };
  });
}

// {title, lines: [{key, title, colour: "--chart-1", fill, dash}], format: (value) => text, summary: (columns) => text,
// least: what the scale reaches at least}
// gives {element, show(columns)}: columns are arrays by name, "t" in Unix seconds among them, oldest first. `summary` is
// what the caption says now, for who cannot see the lines.
export function timeChart({ title, lines, format = number, summary, least = 0 }) {
  const plot = h("div", { class: "plot", role: "img" });
  const now = h("span", { class: "now" });
  const legend = h("span", { class: "legend" }, lines.map(({ title: text, colour: name }) => {
    const key = h("i", {});
    key.style.background = `var(${name})`;
    return h("span", {}, key, text);
  }));
  let columns = null, chart = null;
  const rows = () => columns.t.map((t, i) => ({ t, i })).reverse();
  const table = asTable(() => tableOf(title,
    [{ title: "Time", of: (row) => clock(row.t) },
      ...lines.map(({ key, title: text }) => ({ title: text, number: true, of: (row) => format(columns[key][row.i]) }))],
    columns === null ? [] : rows(), { class: "bare" }));
  const element = h("figure", { class: "chart" },
    h("figcaption", {}, h("strong", {}, title), now, legend), plot, table);

  const data = () => [columns.t, ...lines.map(({ key }) => columns[key])];
  const width = () => Math.max(160, plot.clientWidth);

  function draw() {
    if (columns === null || plot.clientWidth === 0) return;
    chart?.destroy();
    chart = new uPlot({
      width: width(), height: HEIGHT, legend: { show: false }, cursor: { y: false, points: { size: 6 } },
      scales: { y: { range: (_, low, high) => [0, Math.max(least, high * 1.1) || 1] } },
      series: [{}, ...seriesOf(lines)], axes: axes(format),
    }, data(), plot);
  }

  new ResizeObserver(() => {
    if (chart === null) draw();
    else chart.setSize({ width: width(), height: HEIGHT });
  }).observe(plot);
  document.addEventListener("themechange", draw);

  function show(given) {
    columns = given;
    const text = summary?.(columns) ?? "";
    setText(now, text);
    plot.setAttribute("aria-label", text === "" ? title : `${title}: ${text}`);
    if (chart === null) draw();
    else chart.setData(data());
  }

  return { element, show };
}
