// The page that runs any kernel: kernels and parameters come from GET /compute, nothing about them is known here.
// Its address is the call: ?kernel=primes&limit=1000, and after # how it is run, and short raw text.

import { getJson } from "../api.js";
import { $, h, setText } from "../dom.js";
import { cancelJob, followJob, runByEvents, runPlainly, submitJob } from "../run/ask.js";
import { callsCard } from "../run/calls-card.js";
import { isPicture } from "../picture/view.js";
import { FieldTrouble, formOf } from "../run/form.js";
import { runHistory } from "../run/history.js";
import { rawInput } from "../run/input.js";
import { meanwhile, showCancelled, showProblem, showResult, showState } from "../run/output.js";
import { confirmBy, notice, startPage, trying } from "../shell.js";

const LINK_TEXT_MAX = 2000; // characters of raw text that go into the address
const WHAT_MAX = 60; // characters of a call in the history
const FIRST = "primes";
const OPTIONS = ["how", "priority", "timeout", "chunks"];

let kernels = [];
let form = null;
let running = null; // the AbortController of the run in progress
let followed = null; // the durable job that is shown
let calls = null;
let runs = null;
const input = rawInput(() => changed());

const current = () => kernels.find((kernel) => kernel.name === $("kernel").value);

// ---- the call, and the address ----

function callOf() {
  const kernel = current();
  const raw = input.body();
  return {
    kernel: kernel.name, isPure: kernel.pure, raw, values: form.values(),
    options: {
      priority: $("priority").value, timeout: $("timeout").value.trim(), chunks: $("chunks").value.trim(), isFresh: $("how").value === "fresh",
    },
  };
}

function addressOf() {
  const query = new URLSearchParams([["kernel", current().name], ...form.given()]);
  const hash = new URLSearchParams(OPTIONS.filter((name) => $(name).value !== "" && $(name).value !== "events").map((name) => [name, $(name).value]));
  if (input.text() !== "" && input.text().length <= LINK_TEXT_MAX) hash.set("raw", input.text());
  if (followed !== null) hash.set("job", followed.id);
  return `/run?${query}${hash.size > 0 ? `#${hash}` : ""}`;
}

function changed() {
  if (form === null) return;
  form.hideInput(input.kind() !== "json");
  history.replaceState(null, "", addressOf());
  try {
    calls.show(callOf());
  } catch {
    calls.show(null); // a field holds what is not JSON; it is told when it is run
  }
}

// ---- the form ----

const example = (kernel) => [...new URLSearchParams(new URL(kernel.example, location.origin).search)];

function traitsOf(kernel) {
  const traits = [
    kernel.pure && "pure", kernel.idempotent && "idempotent", kernel.splittable && "split over workers", kernel.takes_raw && "takes raw input",
  ].filter(Boolean);
  return [...traits, kernel.media_type].map((trait) => h("span", { class: "pill" }, trait));
}

function showKernel(given = []) {
  const kernel = current();
  form = null; // until the new one is whole
  const made = formOf(kernel.params);
  const withoutDefault = example(kernel).filter(([name]) => kernel.params.properties?.[name]?.default === undefined);
  made.fill([...withoutDefault, ...given]);
  setText($("summary"), kernel.summary);
  $("traits").replaceChildren(...traitsOf(kernel));
  $("params").replaceChildren(made.element);
  $("example").hidden = example(kernel).length === 0;
  input.offer(kernel.takes_raw, Object.keys(kernel.params.properties ?? {}).length === 0);
  form = made;
  changed();
}

function markOption(name, text) {
  const trouble = $(`${name}-trouble`);
  setText(trouble, text);
  trouble.hidden = text === "";
  $(name).setAttribute("aria-invalid", String(text !== ""));
  if (text === "") return;
  $("options").open = true;
  $(name).focus();
}

// Shows an error where it belongs: at its field, if it is about one.
function showError(error) {
  const parameter = error.parameter ?? error.problem?.parameter;
  showProblem(error);
  if (parameter !== undefined && form.mark(parameter, error.message)) return;
  const option = { "Prong-Timeout": "timeout", "Prong-Chunks": "chunks", timeout: "timeout", chunks: "chunks" }[parameter ?? error.problem?.header];
  if (option !== undefined) markOption(option, error.message);
}

// ---- running ----

// Where the same is drawn tile by tile.
function pictureLink() {
  const view = form.given().filter(([name]) => name !== "width" && name !== "height");
  const query = new URLSearchParams([["kernel", current().name], ...view]);
  return h("p", { class: "note" }, h("a", { href: `/picture?${query}` }, "Watch it being drawn, and look around in it"));
}

function note(call, how, receipt, isGood) {
  const given = form.given().map(([name, text]) => `${name}=${text}`).join(" ");
  const what = `${call.kernel}${call.raw === null ? "" : " (raw input)"} ${given}`.trim().slice(0, WHAT_MAX);
  runs.add({ at: Date.now() / 1000, what, href: addressOf(), how, isGood, receipt: receipt ?? null });
}

function begin(how) {
  running = new AbortController();
  form.clear();
  for (const name of ["timeout", "chunks"]) markOption(name, "");
  $("go").disabled = $("as-job").disabled = true;
  $("cancel").hidden = how === "job"; // until it is known which one
  $("body").replaceChildren();
  $("receipt").hidden = true;
  $("result").setAttribute("aria-busy", "true");
  showState("busy", "running");
  $("result").scrollIntoView({ block: "nearest", behavior: "instant" });
}

function end() {
  running = null;
  $("go").disabled = $("as-job").disabled = false;
  $("cancel").hidden = $("meanwhile").hidden = true;
  $("result").setAttribute("aria-busy", "false");
}

// Runs `work(call, signal, tell)` and shows what comes of it.
async function conduct(how, work) {
  if (running !== null) return;
  begin(how);
  const { signal } = running;
  let call = null;
  try {
    call = callOf();
    if (input.missing() !== "") throw new Error(input.missing());
    const ended = await work(call, signal, meanwhile());
    await showResult(ended, call.kernel);
    if (isPicture(current())) $("body").append(pictureLink());
    note(call, ended.cache ? `${how}, ${ended.cache}` : how, ended.receipt, true);
  } catch (error) {
    if (signal.aborted) showCancelled();
    else showError(error);
    if (call !== null) note(call, signal.aborted ? "cancelled" : String(error.problem?.title ?? "failed"), error.problem?.receipt, false);
    if (!signal.aborted && !error.problem && !(error instanceof FieldTrouble)) console.warn(error);
  } finally {
    end();
  }
}

function run() {
  forgetJob();
  if ($("how").value === "events") return conduct("events", runByEvents);
  return conduct("plain", runPlainly);
}

// ---- as a durable job ----

function forgetJob() {
  followed = null;
  $("job").hidden = true;
  changed();
}

function showJob(job) {
  followed = job;
  $("job").replaceChildren("Durable job ", h("a", { href: job.links.self, class: "mono" }, job.id), ". It goes on when this page is left, and its ",
    h("a", { href: job.links.result }, "result"), " is kept.");
  $("job").hidden = $("cancel").hidden = false;
  showState("busy", job.state);
  changed();
}

const runAsJob = () => conduct("job", async (call, signal, tell) => {
  const job = await submitJob(call);
  showJob(job);
  return followJob(job, signal, tell);
});

const resumeJob = (id) => conduct("job", async (call, signal, tell) => {
  const job = await getJson(`/jobs/${encodeURIComponent(id)}`, { signal });
  showJob(job);
  return followJob(job, signal, tell);
});

async function cancel() {
  if (followed === null) return running?.abort();
  const question = { title: "Cancel this job?", text: "It is stopped, and what it has computed is lost.", action: "Cancel the job" };
  if (!(await confirmBy(question)) || running === null) return undefined;
  const answer = await cancelJob(followed); // its events tell the rest
  if (!answer.ok) notice((await answer.json()).detail, "bad");
  return undefined;
}

// ---- the start ----

function showRefused(refused) {
  if (refused.length === 0) return;
  $("refused").append(h("summary", {}, `${refused.length} not served`),
    h("dl", { class: "facts" }, refused.map(({ file, reason }) => [h("dt", { class: "mono" }, file), h("dd", {}, reason)])));
  $("refused").hidden = false;
}

// The first "kernel" of the address is the kernel; a second one is its parameter of that name.
function fromAddress() {
  const pairs = [...new URLSearchParams(location.search)];
  const at = pairs.findIndex(([name]) => name === "kernel");
  return {
    kernel: at < 0 ? null : pairs[at][1], given: at < 0 ? [] : pairs.toSpliced(at, 1),
    hash: new URLSearchParams(location.hash.slice(1)),
  };
}

function showAddress() {
  const { kernel, given, hash } = fromAddress();
  const known = kernels.some(({ name }) => name === kernel);
  if (kernel !== null && !known) notice(`This server has no kernel ${kernel}.`, "bad");
  $("kernel").value = known ? kernel : kernels.find(({ name }) => name === FIRST)?.name ?? kernels[0].name;
  for (const name of OPTIONS) $(name).value = hash.get(name) ?? (name === "how" ? "events" : "");
  $("options").open = OPTIONS.some((name) => hash.has(name));
  showKernel(known ? given : []);
  if (hash.has("raw")) input.setText(hash.get("raw"));
  if (hash.has("job")) resumeJob(hash.get("job"));
}

async function start() {
  const catalogue = await getJson("/compute");
  kernels = catalogue.kernels;
  showRefused(catalogue.refused ?? []);
  if (kernels.length === 0) throw new Error("This server has no kernels.");
  calls = callsCard();
  runs = runHistory($("history"));
  $("input").append(input.element);
  $("kernel").append(...kernels.map(({ name }) => new Option(name, name)));
  $("kernel").addEventListener("change", () => { followed = null; showKernel(); });
  $("run").addEventListener("submit", (event) => { event.preventDefault(); run(); });
  $("run").addEventListener("input", (event) => { if (event.target.id !== "kernel") changed(); });
  $("as-job").addEventListener("click", runAsJob);
  $("example").addEventListener("click", () => { form.fill(example(current())); changed(); });
  $("cancel").addEventListener("click", () => trying(cancel));
  $("run").hidden = false;
  showAddress();
}

startPage();
start().catch((error) => {
  setText($("trouble"), `The kernels cannot be listed: ${error.message}`);
  $("trouble").hidden = false;
});
