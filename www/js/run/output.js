// The right side: what happens while a run lasts, then what came of it and what it cost.

import { $, h, setText } from "../dom.js";
import { count, duration, milliseconds } from "../format.js";
import { figures, figuresOf, timeBar } from "../receipt.js";
import { resultView } from "./result.js";

export function showState(kind, text) {
  $("state").dataset.kind = kind;
  setText($("state"), text);
}

// What is told while it runs: tell(event, data).
export function meanwhile() {
  let parts = 0, place = "", retries = [];
  const begun = performance.now();
  const workers = new Set();
  const bar = $("progress");
  bar.removeAttribute("value");
  setText($("told"), "");
  $("meanwhile").hidden = false;

  function draw() {
    setText($("told"), [
      place, parts > 0 && `${count(parts)} parts`, workers.size > 0 && `by ${[...workers].join(", ")}`, ...retries,
      duration((performance.now() - begun) / 1000),
    ].filter(Boolean).join(" · "));
  }
  const told = {
    progress({ done, total }) {
      bar.max = Math.max(1, total);
      bar.value = done;
      place = `${count(done)} of ${count(total)}`;
    },
    part() { parts++; },
    worker({ pid }) { workers.add(pid); },
    retry({ pid, from, to }) { retries = [...retries, `worker ${pid} died, units ${from} to ${to} are tried again`].slice(-3); },
    state(job) {
      showState("busy", job.state);
      if (job.progress) told.progress(job.progress);
    },
  };
  return (event, data) => {
    told[event]?.(data);
    draw();
  };
}

function showCost(receipt, roundMs, cache) {
  $("receipt").hidden = !receipt;
  if (!receipt) return;
  const rows = figuresOf(receipt);
  if (roundMs !== null) rows.unshift(["Round trip", milliseconds(roundMs)]);
  if (cache) rows.push(["Cache", cache]);
  const bar = timeBar(receipt, roundMs);
  $("costs").replaceChildren(...[figures(rows), bar].filter(Boolean));
}

export async function showResult(end, kernel) {
  const view = await resultView(end, kernel);
  const missing = end.missing ?? (end.receipt?.missing > 0 ? `${count(end.receipt.missing)} units` : null);
  $("body").replaceChildren(...[
    missing && h("p", { class: "note warn" }, `Not all of it: ${missing} could not be computed.`), view].filter(Boolean));
  showCost(end.receipt, end.roundMs, end.cache);
  showState("good", end.cache === "hit" ? "done, out of the cache" : "done");
}

const TOLD = [["signal_name", "Signal"], ["exit_code", "Exit code"], ["limit", "Limit"], ["retry_after", "Try again in (s)"], ["job", "Job"], ["request_id", "Request"]];

export function showProblem(error) {
  const { problem = {}, status = 0 } = error;
  const facts = TOLD.filter(([name]) => problem[name] !== undefined && problem[name] !== null);
  $("body").replaceChildren(
    h("p", { class: "bad trouble-text", role: "alert" }, error.message),
    h("dl", { class: "facts" }, facts.map(([name, title]) => [h("dt", {}, title), h("dd", {}, String(problem[name]))])));
  showCost(problem.receipt, null, null);
  showState("bad", [status || "", problem.title ?? "failed"].filter(Boolean).join(" "));
}

export function showCancelled() {
  $("body").replaceChildren(h("p", { class: "empty" }, "It was stopped before its end."));
  $("receipt").hidden = true;
  showState("warn", "cancelled");
}
