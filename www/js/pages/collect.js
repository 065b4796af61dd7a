// Data collection: asks for pages, shows each as it lands, and what fetching them at once bought.

import { curlOf, events, getJson } from "../api.js";
import { askedIn, DEFAULTS, hashOf } from "../collect/address.js";
import { EXAMPLES } from "../collect/examples.js";
import { pagesOf, wordsOf } from "../collect/rows.js";
import { factorText, failuresText, summaryOf } from "../collect/summary.js";
import { $, csvOf, download, h, setText } from "../dom.js";
import { isRunning, offerStop, runErrand, showProgress, showState } from "../errand.js";
import { bytes, count, milliseconds } from "../format.js";
import { copyButton, notice, startPage, trying } from "../shell.js";

const URLS_MAX = 1000;
const DRAW_EVERY_MS = 200;
const SIZES = [64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20];

const narrow = matchMedia("(max-width: 60rem)"); // the result is below the form then

// ---- the form ----

const urlsAsked = () => $("urls").value.split("\n").map((line) => line.trim()).filter((line) => line !== "");

function asked() {
  return {
    urls: urlsAsked(),
    concurrency: Number($("concurrency").value),
    timeout: Number($("timeout").value.replace(",", ".")),
    max_bytes: Number($("max_bytes").value),
    process: $("process").value === "" ? null : $("process").value,
  };
}

function showCount() {
  const n = urlsAsked().length;
  setText($("urls-count"), n === 0 ? "1 to 1000" : `${count(n)} of at most 1000`);
}

const showConcurrency = () => setText($("concurrency-shown"), $("concurrency").value);

function complain(id, text) {
  $(id).setAttribute("aria-invalid", String(text !== ""));
  setText($(`${id}-trouble`), text);
  $(`${id}-trouble`).hidden = text === "";
}

// False after having said what is wrong; what is about a URL is the server's to say, in its row.
function check({ urls, timeout }) {
  complain("urls", urls.length === 0 ? "Name a page at least." : urls.length > URLS_MAX ? `These are ${count(urls.length)}; 1000 can be asked for at a time.` : "");
  complain("timeout", timeout >= 0.001 && timeout <= 60 ? "" : "A number from 0.001 to 60.");
  document.querySelector("#ask [aria-invalid=true]")?.focus();
  return $("urls-trouble").hidden && $("timeout-trouble").hidden;
}

function fillForm({ urls, concurrency, timeout, max_bytes, process }) {
  const option = (select, value, text) => {
    if (![...select.options].some((one) => one.value === String(value))) select.append(h("option", { value }, text));
    select.value = value;
  };
  $("urls").value = urls.join("\n");
  $("concurrency").value = concurrency;
  $("timeout").value = timeout;
  option($("max_bytes"), max_bytes, bytes(max_bytes));
  option($("process"), process ?? "", process ?? "nothing");
  showCount();
  showConcurrency();
}

// Kernels that can be given a text and nothing else.
async function fillKernels() {
  const { kernels } = await getJson("/compute");
  const fit = kernels.filter((kernel) => kernel.takes_raw && !kernel.broken && kernel.name !== "page"
    && !(kernel.params.required?.length > 0) && kernel.media_type.startsWith("application/json"));
  $("process").replaceChildren(...fit.map(({ name }) => h("option", { value: name }, name)), h("option", { value: "" }, "nothing"));
}

function makeForm() {
  $("max_bytes").replaceChildren(...SIZES.map((size) => h("option", { value: size }, bytes(size))));
  $("urls").addEventListener("input", showCount);
  $("concurrency").addEventListener("input", showConcurrency);
  $("example").addEventListener("click", () => {
    $("urls").value = EXAMPLES.join("\n");
    showCount();
  });
  $("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    if (!isRunning() && check(asked())) run(asked());
  });
  offerStop();
  $("curl").addEventListener("click", () => trying(async () => {
    await navigator.clipboard.writeText(curlOf("/fetch", { json: asked() }));
    notice("Copied.");
  }));
}

// ---- what is shown ----

const csvColumns = ["url", "final_url", "status", "content_type", "charset", "bytes", "sha256", "title", "links_total", "started_ms", "time_ms", "words", "top", "error", "detail"];

const csvRow = (row) => [row.url, row.final_url, row.status, row.content_type, row.charset, row.bytes, row.sha256, row.title,
  row.links_total, row.started_ms, row.time_ms, row.processed?.words, wordsOf(row), row.error?.code, row.error?.detail];

function toolsOf(view) {
  const json = () => JSON.stringify({ results: view.pages.rows(), ...view.sums }, null, 1);
  return [
    h("button", { class: "quiet small", type: "button", onclick: () => download("pages.csv", "text/csv", csvOf(csvColumns, view.pages.rows().map(csvRow))) }, "CSV"),
    h("button", { class: "quiet small", type: "button", onclick: () => download("pages.json", "application/json", json()) }, "JSON"),
    copyButton(() => location.href, "Link"),
  ];
}

function showNothing() {
  $("waiting").hidden = false;
  $("bought").hidden = $("pages").hidden = true;
}

// Draws what has come, not more often than anybody could look.
function viewOf(json) {
  const began = performance.now();
  const view = { sums: { wall_ms: 0, sum_ms: 0, total: json.urls.length }, isRunning: true };
  view.pages = pagesOf(json.urls, toolsOf(view));
  const draw = () => {
    if (view.isRunning) view.sums.wall_ms = performance.now() - began;
    view.pages.scale(view.sums.wall_ms);
    $("bought").replaceChildren(...summaryOf(view.pages.rows(), view.sums, view.isRunning));
  };
  const timer = setInterval(draw, DRAW_EVERY_MS);
  $("waiting").hidden = true;
  $("bought").hidden = $("pages").hidden = false;
  $("pages").replaceChildren(...view.pages.element);
  draw();
  if (narrow.matches) $("result").scrollIntoView();
  return Object.assign(view, {
    add(row) {
      view.pages.add(row);
      view.sums.sum_ms += row.time_ms;
    },
    end(sums = {}) {
      clearInterval(timer);
      if (view.isRunning) view.sums.wall_ms = performance.now() - began;
      view.isRunning = false;
      Object.assign(view.sums, sums);
      draw();
      view.pages.sortAgain();
    },
  });
}

// ---- running ----

async function follow(json, view, signal) {
  for await (const { event, data } of events("/fetch", { json, signal })) {
    const value = JSON.parse(data);
    if (event === "page") view.add(value);
    else if (event === "progress") showProgress(value);
    else if (event === "error") throw new Error(value.detail);
    else if (event === "result") return value;
  }
  throw new Error("The connection was lost before all pages were there. Collect them again.");
}

function endText(view, result) {
  const failures = failuresText(view.pages.rows());
  const lost = result.lost > 0 ? ` ${count(result.lost)} came faster than this page could take them and are not shown.` : "";
  return `${count(result.count)} pages in ${milliseconds(result.wall_ms)}, ${factorText(result)}${failures ? `; ${failures}` : ""}.${lost}`;
}

function run(json) {
  history.replaceState(null, "", location.pathname + hashOf(json));
  const words = { begun: "On their way.", stopped: "Stopped: what was on its way was given up." };
  return runErrand(words, async (signal) => {
    const view = viewOf(json);
    try {
      const result = await follow(json, view, signal);
      view.end({ wall_ms: result.wall_ms, sum_ms: result.sum_ms });
      return endText(view, result);
    } catch (error) {
      view.end();
      if (view.pages.rows().length === 0) showNothing();
      throw error;
    }
  });
}

// ---- the start ----

startPage();
makeForm();
await trying(fillKernels);
fillForm(askedIn(location.hash) ?? { urls: [], ...DEFAULTS });
$("ask").hidden = false;
