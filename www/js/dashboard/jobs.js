// The newest durable jobs: asked for when their serial has changed, and now and then while one of them runs.

import { ask, getJson, hasToken } from "../api.js";
import { $, download, h, setText } from "../dom.js";
import { ago, bytes, count, duration, percent } from "../format.js";
import { confirmBy, copyButton, notice, trying } from "../shell.js";
import { rowsOf } from "./rows.js";

const SHOWN = 10;
const PAUSE_MS = 1000; // between two readings
const KINDS = { running: "busy", succeeded: "good", failed: "bad", dead: "bad" };
const EXAMPLE = { kernel: "primes", params: { limit: 3_000_000_000 } };

async function cancel({ id, kernel }) {
  const sure = await confirmBy({ title: "Cancel this job?", text: `${kernel}, ${id}. What it has computed so far is lost.`, action: "Cancel it" });
  if (!sure) return;
  await ask(`/jobs/${id}`, { method: "DELETE" });
  notice("The job is cancelled.");
  $("jobs").focus({ preventScroll: true });
}

async function retry({ id }) {
  await ask(`/jobs/${id}/retry`, { method: "POST" });
  notice("The job is queued again.");
}

// A link cannot bring the token along.
function openResult(event, { id, links }) {
  if (!hasToken()) return;
  event.preventDefault();
  trying(async () => {
    const response = await ask(links.result);
    download(`job-${id}`, response.headers.get("Content-Type") ?? "", await response.blob());
  });
}

function buttonOf(job) {
  const about = `${job.kernel} ${job.id.slice(-12)}`;
  const button = (text, work, kind = "quiet small") =>
    h("button", { class: kind, type: "button", "aria-label": `${text} ${about}`, onclick: () => trying(() => work(job)) }, text);
  if (job.state === "queued" || job.state === "running") return button("Cancel", cancel, "quiet danger small");
  if (job.state === "failed" || job.state === "dead") return button("Retry", retry);
  if (job.state === "succeeded" && !job.result?.expired)
    return h("a", { href: job.links.result, "aria-label": `Result of ${about}`, onclick: (event) => openResult(event, job) }, "Result");
  return null;
}

// Made anew only when another is wanted: else it would lose the focus.
function showButton(holder, job) {
  if (holder.dataset.state === job.state) return;
  holder.dataset.state = job.state;
  holder.replaceChildren(...[buttonOf(job)].filter(Boolean));
}

function outcome({ state, position, progress, eta, started, finished, error, result }) {
  if (error !== null) return error.detail ?? error.title;
  if (state === "queued") return position > 0 ? `${count(position)} before it` : "next";
  if (state === "running" && progress === null) return "begun";
  if (state === "running") return percent(progress.fraction) + (eta === null ? "" : `, about ${duration(Math.ceil(eta))} more`);
  if (state === "succeeded") return `${duration(finished - started)}, ${result?.expired ? "result expired" : bytes(result?.bytes)}`;
  return "";
}

function emptyOf(read) {
  const call = `curl --json '${JSON.stringify(EXAMPLE)}' ${location.origin}/jobs`;
  const submit = () => trying(async () => {
    await ask("/jobs", { json: EXAMPLE });
    await read();
  });
  return h("div", { class: "try", id: "jobs-empty" },
    h("p", {}, "No job is kept. One that was accepted is run whatever happens to the server, and its result stays:"),
    h("pre", {}, call),
    h("div", { class: "buttons" },
      h("button", { type: "button", class: "small", onclick: submit }, "Submit it"), copyButton(() => call)));
}

export function jobsOf() {
  const text = (of) => (node, job) => setText(node, of(job));
  const rows = rowsOf("The newest durable jobs", [
    {
      title: "Kernel", make: () => h("span", {}, h("span", {}), h("span", { class: "narrow note" })),
      show: (node, job) => {
        setText(node.firstChild, job.kernel);
        setText(node.lastChild, outcome(job));
      },
    },
    { title: "Job", class: "mono wide", show: (node, { id }) => { setText(node, id.slice(-12)); node.title = id; } },
    {
      title: "State", make: () => h("span", { class: "pill" }),
      show: (pill, job) => { pill.dataset.kind = KINDS[job.state] ?? ""; setText(pill, job.state); },
    },
    { title: "What came of it", class: "outcome wide", show: text(outcome) },
    { title: "Attempts", number: true, class: "wide", show: text(({ attempts, max_attempts: max }) => `${attempts} of ${max}`) },
    { title: "Submitted", number: true, class: "wide", show: text(({ created }) => ago(created)) },
    { title: h("span", { class: "unseen" }, "Do"), class: "last", show: showButton },
  ], "jobs");
  let serial = null, shown = [], timer = 0, readAt = -Infinity;
  const empty = emptyOf(() => read());
  rows.element.hidden = empty.hidden = true;
  $("jobs").append(rows.element, empty);

  async function read() {
    readAt = performance.now();
    shown = (await getJson(`/jobs?limit=${SHOWN}`)).jobs;
    rows.show(shown, ({ id }) => id);
    rows.element.hidden = shown.length === 0;
    empty.hidden = shown.length > 0;
  }

  function readSoon() {
    if (timer !== 0) return;
    timer = setTimeout(() => {
      timer = 0;
      trying(read);
    }, Math.max(0, readAt + PAUSE_MS - performance.now()));
  }

  return {
    show({ jobs }) {
      const waiting = jobs.queued.high + jobs.queued.normal + jobs.queued.low;
      setText($("jobs-note"), `${count(waiting)} queued, ${count(jobs.running)} running, ${count(jobs.ended)} ended`);
      if (jobs.serial !== serial || shown.some(({ state }) => state === "running" || state === "queued")) readSoon();
      serial = jobs.serial;
    },
  };
}
