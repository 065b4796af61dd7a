// The pages, one row each: what it is, when it was on its way, what came of it. A row is there from the beginning and is
// filled when its page lands.

import { asTable, h, tableOf } from "../dom.js";
import { bytes, count, milliseconds } from "../format.js";

const WORDS_SHOWN = 4;
const TICKS_MAX = 4;

const topOf = (row) => (Array.isArray(row.processed?.top) ? row.processed.top : []);
export const wordsOf = (row, most = Infinity) => topOf(row).slice(0, most).map(([word, n]) => `${word} ${count(n)}`).join(", ");

// A link out of here, if it is one; it tells nobody where it was clicked.
function linkTo(url, text = url) {
  const isWeb = /^https?:\/\//.test(url);
  return isWeb ? h("a", { href: url, rel: "noopener noreferrer nofollow", target: "_blank" }, text) : text;
}

// ---- one ----

function wordList(row) {
  return h("ul", { class: "word-list" }, topOf(row).map(([word, n]) => h("li", {}, h("b", {}, word), " ", h("span", {}, count(n)))));
}

function processedOf(row) {
  if (row.processed === null) return null;
  if (topOf(row).length > 0) return wordList(row);
  const text = JSON.stringify(row.processed, null, 1);
  return h("pre", {}, text.length > 4000 ? `${text.slice(0, 4000)}…` : text);
}

// What is seen when a row is opened.
function detailsOf(row) {
  const facts = [
    ["Address", row.final_url && linkTo(row.final_url)],
    ["Type", row.content_type && `${row.content_type}${row.charset ? `, read as ${row.charset}` : ""}`],
    ["Began", `${milliseconds(row.started_ms)} after the start`],
    ["Took", milliseconds(row.time_ms)],
    ["SHA-256", row.sha256 && h("span", { class: "mono" }, row.sha256)],
  ].filter(([, value]) => value);
  const more = row.links_total - row.links.length;
  return h("div", { class: "more stack" },
    h("dl", { class: "facts" }, facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
    processedOf(row),
    row.links.length > 0 && h("div", {},
      h("h3", {}, `Links${more > 0 ? `, ${count(more)} more` : ""}`),
      h("ul", { class: "links" }, row.links.map((link) => h("li", {}, linkTo(link))))));
}

function titleOf(row) {
  if (row.title) return row.title;
  if (row.error) return row.url;
  return row.final_url ?? row.url;
}

const shown = (url) => url.replace(/^https?:\/\//, "").replace(/\/$/, "");

function what(row, element) {
  const details = h("details", {}, h("summary", {}, titleOf(row)));
  details.addEventListener("toggle", () => {
    element.querySelector(".more")?.remove();
    if (details.open) element.append(detailsOf(row));
  });
  const words = wordsOf(row, WORDS_SHOWN);
  return [
    details,
    (titleOf(row) !== row.url || words !== "") && h("span", { class: "under" },
      titleOf(row) !== row.url && h("span", { class: "url" }, shown(row.url)), words !== "" && h("span", { class: "words" }, words)),
    row.error && h("span", { class: "why bad" }, h("strong", {}, row.error.code), ` ${row.error.detail}`),
    h("span", { class: "small-figures" }, row.error ? milliseconds(row.time_ms)
      : `${milliseconds(row.time_ms)} · ${bytes(row.bytes)} · ${count(row.links_total)} ${row.links_total === 1 ? "link" : "links"}`),
  ];
}

function lane(row) {
  const bar = h("i", {});
  bar.style.setProperty("--begun", row.started_ms);
  bar.style.setProperty("--took", row.time_ms);
  return h("div", {
    class: row.time_ms === 0 ? "lane instant" : "lane", role: "img",
    "aria-label": `from ${milliseconds(row.started_ms)} for ${milliseconds(row.time_ms)}`,
  }, bar);
}

function fill(element, row) {
  element.className = row.error ? "failed" : "";
  const isBad = row.status === null || row.status >= 400;
  element.replaceChildren(
    h("div", { class: "what" }, what(row, element)),
    lane(row),
    h("span", { class: isBad ? "number bad" : "number" }, row.status ?? "–"),
    h("span", { class: "number wide-figure" }, row.error ? "–" : bytes(row.bytes)),
    h("span", { class: "number wide-figure" }, row.error ? "–" : count(row.links_total)));
}

// ---- all ----

const orders = {
  asked: { title: "As asked", key: (row, index) => index },
  landed: { title: "As landed", key: (row, index) => (row ? row.started_ms + row.time_ms : 1e12 + index) },
  slowest: { title: "Slowest", key: (row, index) => (row ? -row.time_ms : 1e12 + index) },
};

// 1, 2 or 5 times a power of ten, so that there are no more ticks than fit.
function stepOf(total) {
  const power = 10 ** Math.floor(Math.log10(total / TICKS_MAX));
  return power * [1, 2, 5, 10].find((n) => total / (power * n) <= TICKS_MAX);
}

const COLUMNS = [
  { title: "URL", of: (row) => row.url },
  { title: "Title", of: (row) => row.title ?? "" },
  { title: "Status", number: true, of: (row) => row.status ?? "" },
  { title: "Began", number: true, of: (row) => milliseconds(row.started_ms) },
  { title: "Took", number: true, of: (row) => milliseconds(row.time_ms) },
  { title: "Bytes", number: true, of: (row) => count(row.bytes) },
  { title: "Links", number: true, of: (row) => count(row.links_total) },
  { title: "Commonest words", of: (row) => wordsOf(row) },
  { title: "Error", of: (row) => (row.error ? `${row.error.code}: ${row.error.detail}` : "") },
];

// {element, add(row), scale(ms), rows()} for these URLs; `tools` are buttons for its head.
export function pagesOf(urls, tools) {
  const found = new Array(urls.length);
  const elements = urls.map((url) => h("li", { class: "pending" },
    h("div", { class: "what" }, h("span", { class: "url" }, url)), h("div", { class: "lane" }),
    h("span", { class: "number" }), h("span", { class: "number wide-figure" }), h("span", { class: "number wide-figure" })));
  const list = h("ol", { class: "pages" }, elements);
  const axis = h("div", { class: "axis", "aria-hidden": "true" });
  let order = "asked";

  function sort(name) {
    order = name;
    const { key } = orders[name];
    const places = elements.map((element, i) => ({ element, key: key(found[i], i) })).sort((a, b) => a.key - b.key);
    list.append(...places.map(({ element }) => element));
    for (const button of choice.children) button.setAttribute("aria-pressed", String(button.dataset.order === name));
  }

  const choice = h("div", { class: "choice", role: "group", "aria-label": "Order" }, Object.entries(orders).map(([name, { title }]) =>
    h("button", { type: "button", "data-order": name, "aria-pressed": String(name === order), onclick: () => sort(name) }, title)));
  const rows = () => found.filter(Boolean);
  const element = [
    h("div", { class: "card-head" }, h("h2", { id: "pages-title" }, "Pages"), h("div", { class: "buttons" }, choice, tools)),
    h("div", { class: "scroller", tabindex: 0, role: "region", "aria-label": "Pages, on one scale of time" },
      h("div", { class: "pages-head", "aria-hidden": "true" }, h("span", {}), axis,
        h("span", { class: "number" }, "Status"), h("span", { class: "number" }, "Bytes"), h("span", { class: "number" }, "Links")),
      list),
    asTable(() => tableOf("Pages", COLUMNS, rows(), { class: "bare" })),
  ];

  return {
    element,
    rows,
    add(row) {
      if (found[row.index] !== undefined || elements[row.index] === undefined) return;
      found[row.index] = row;
      fill(elements[row.index], row);
    },
    // All bars are in parts of so much time.
    scale(ms) {
      const total = Math.max(ms, 1), step = stepOf(total);
      list.style.setProperty("--total", total);
      list.style.setProperty("--step", step / total);
      axis.replaceChildren(...Array.from({ length: Math.floor(total / step) + 1 }, (_, i) => {
        const tick = h("span", { class: step * i > 0.88 * total ? "last" : undefined }, i === 0 ? "0" : milliseconds(step * i));
        tick.style.left = `${(100 * step * i) / total}%`;
        return tick;
      }));
    },
    // At the end, and when somebody asks for it; not while rows come, which would move what is read.
    sortAgain: () => sort(order),
  };
}
