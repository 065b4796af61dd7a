// The lab: asks for an experiment, shows it while it runs, and keeps what was asked and found in the address.

import { events } from "../api.js";
import { $, h, setText } from "../dom.js";
import { isRunning, offerStop, runErrand, showProgress, showState } from "../errand.js";
import { count } from "../format.js";
import { addRun, colourOf, EXPERIMENTS, liveReport, MODES, titleOf } from "../lab/experiments.js";
import { fragmentOf, queryOf, reportIn } from "../lab/permalink.js";
import { liveCards, reportCards } from "../lab/report.js";
import { startPage } from "../shell.js";

const DRAW_EVERY_MS = 250;

const narrow = matchMedia("(max-width: 60rem)"); // the charts are below the form then

// ---- the form ----

const chosen = () => document.querySelector("[name=experiment]:checked").value;
const modesChosen = () => [...document.querySelectorAll("[name=mode]:checked")].map((box) => box.value);

function modeBox(mode, isChecked) {
  const swatch = h("i", { class: "swatch", "aria-hidden": "true" });
  swatch.style.background = colourOf(mode);
  return h("label", { class: "check" },
    h("input", { type: "checkbox", name: "mode", value: mode, checked: isChecked }), swatch,
    h("span", {}, titleOf(mode), " ", h("small", {}, MODES[mode].text)));
}

// The form for an experiment; `given` are figures that somebody has asked for already.
function showExperiment(name, given = {}) {
  const experiment = EXPERIMENTS[name];
  document.querySelector(`[name=experiment][value=${name}]`).checked = true;
  setText($("about"), experiment.text);
  $("n").max = experiment.nMax;
  $("n").value = given.n ?? experiment.n;
  setText($("n-help"), `${experiment.unit}, up to ${count(experiment.nMax)}`);
  $("modes").replaceChildren(...experiment.modes.map((mode) => modeBox(mode, given.modes?.includes(mode) ?? true)));
}

function asked() {
  const modes = modesChosen(), all = EXPERIMENTS[chosen()].modes;
  return {
    experiment: chosen(), n: Number($("n").value), workers: Number($("workers").value), repeat: Number($("repeat").value),
    ...(modes.length < all.length ? { modes } : {}),
  };
}

function makeForm() {
  $("experiments").append(...Object.entries(EXPERIMENTS).map(([name, { title }]) =>
    h("label", {}, h("input", { type: "radio", name: "experiment", value: name }), title)));
  $("experiments").addEventListener("change", () => showExperiment(chosen()));
  $("modes").addEventListener("change", () => {
    const boxes = document.querySelectorAll("[name=mode]");
    boxes[0].setCustomValidity(modesChosen().length === 0 ? "Choose a mode at least." : "");
  });
  $("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    if (!isRunning()) run();
  });
  offerStop();
}

function fillFromAddress() {
  const query = new URLSearchParams(location.search);
  const name = Object.hasOwn(EXPERIMENTS, query.get("experiment")) ? query.get("experiment") : "cpu";
  $("workers").value = query.get("workers") ?? 2;
  $("repeat").value = query.get("repeat") ?? 3;
  showExperiment(name, { n: query.get("n") ?? undefined, modes: query.get("modes")?.split(",") });
}

// ---- running ----

// Sums above 2^53 stay what they are, as text.
const exact = (key, value, context) =>
  typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value) && context?.source ? context.source : value;

function show(cards) {
  $("result").replaceChildren(...cards);
}

// Draws what has come so far, not more often than anybody could look.
function liveView() {
  let report = null, timer = null;
  const draw = () => {
    timer = null;
    show(liveCards(report));
  };
  return {
    begin(plan) {
      report = liveReport(plan);
      draw();
      if (narrow.matches) $("result").scrollIntoView();
    },
    add(news) {
      addRun(report, news);
      timer ??= setTimeout(draw, DRAW_EVERY_MS);
    },
    end: () => clearTimeout(timer),
  };
}

async function follow(json, signal) {
  const view = liveView();
  try {
    for await (const { event, data } of events("/lab", { json, signal })) {
      const value = JSON.parse(data, exact);
      if (event === "plan") view.begin(value);
      else if (event === "run") view.add(value);
      else if (event === "progress") showProgress(value);
      else if (event === "error") throw new Error(value.detail);
      else if (event === "result") return value;
    }
  } finally {
    view.end();
  }
  throw new Error("The connection was lost before the lab was over. Run it again.");
}

async function keepInAddress(json, report) {
  history.replaceState(null, "", queryOf(json) + await fragmentOf(report));
}

function run() {
  const json = asked();
  history.replaceState(null, "", queryOf(json));
  const words = { begun: "Running: warm-ups first, then each mode in an order of chance.", stopped: "Stopped." };
  return runErrand(words, async (signal) => {
    const report = { ...(await follow(json, signal)), when: new Date().toISOString() };
    await keepInAddress(json, report);
    show(reportCards(report, () => location.href));
    return "Done.";
  });
}

// ---- the start ----

function showInvitation() {
  show([h("section", { class: "card waiting" }, h("p", {}, "Choose an experiment and press Run."),
    h("p", { class: "note" }, "Computing with all modes takes about a minute, most of it Python's."))]);
}

async function showFromAddress() {
  try {
    const report = await reportIn(location.hash);
    if (report === null) return showInvitation();
    const when = new Date(report.when);
    const origin = `These results came with the link${Number.isNaN(when.getTime()) ? "" : `; it says they are of ${when.toLocaleString()}`}. Run it to see what this machine does.`;
    show(reportCards(report, () => location.href, origin));
  } catch (error) {
    showInvitation();
    showState("", error.message);
  }
  return undefined;
}

startPage();
makeForm();
fillFromAddress();
$("ask").hidden = false;
await showFromAddress();
