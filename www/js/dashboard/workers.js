// One row for each worker process, and the button that kills it.

import { ask } from "../api.js";
import { $, h, setText } from "../dom.js";
import { bytes, count, duration, percent } from "../format.js";
import { confirmBy, notice, trying } from "../shell.js";
import { rowsOf } from "./rows.js";

async function kill(pid) {
  const sure = await confirmBy({
    title: `Kill worker ${pid}?`,
    text: "Another takes its place at once. What it does is tried again if its kernel allows that; no other request is touched.",
    action: "Kill",
  });
  if (!sure) return;
  await ask(`/workers/${pid}`, { method: "DELETE" });
  notice(`Worker ${pid} was killed.`);
  $("workers").focus({ preventScroll: true }); // its button goes
}

function showCpu(cell, { cpu }) {
  setText(cell.lastChild, percent(cpu));
  cell.firstChild.firstChild.style.width = `${Math.min(100, 100 * (cpu ?? 0))}%`;
}

function showState(pill, { state, kind, generation }, newest) {
  pill.dataset.kind = state === "busy" ? "busy" : "";
  setText(pill, generation < newest ? `${state}, old kernels` : state);
  pill.title = kind === "express" ? "For short work, beyond the cores" : "";
}

const doing = ({ progress, busy_ms: ms }) =>
  progress?.total > 0 ? `${percent(progress.done / progress.total)}, ${duration(ms / 1000)}` : duration(ms / 1000);

export function workersOf() {
  let newest = 0, known = null;
  const text = (of) => (node, worker) => setText(node, of(worker));
  const rows = rowsOf("Workers", [
    { title: "PID", class: "mono", show: text(({ pid }) => pid) },
    { title: "Kind", class: "wide", show: text(({ kind }) => kind) },
    { title: "State", class: "wide", make: () => h("span", { class: "pill" }), show: (pill, worker) => showState(pill, worker, newest) },
    {
      title: "Kernel", class: "kernel", make: () => h("span", {}, h("span", {}), h("span", { class: "narrow note" })),
      show: (node, { kernel, state }) => {
        setText(node.firstChild, kernel ?? "");
        setText(node.lastChild, kernel ? "" : state);
      },
    },
    { title: "Job", class: "mono wide", show: (node, { job }) => { setText(node, job?.slice(-12) ?? "–"); node.title = job ?? ""; } },
    { title: "Progress", number: true, class: "wide", show: text((worker) => (worker.kernel ? doing(worker) : "–")) },
    {
      title: "CPU", number: true,
      make: () => h("span", { class: "cpu" }, h("span", { class: "meter", "aria-hidden": "true" }, h("i", {})), h("span", {})),
      show: showCpu,
    },
    { title: "Memory", number: true, show: text(({ rss_bytes: rss }) => bytes(rss)) },
    { title: "Tasks", number: true, class: "wide", show: text(({ tasks }) => count(tasks)) },
    { title: "Age", number: true, class: "wide", show: text(({ age }) => duration(Math.floor(age))) },
    {
      title: h("span", { class: "unseen" }, "Kill"), class: "last",
      make: (pid) => h("button", { class: "quiet danger small", type: "button", "aria-label": `Kill worker ${pid}`, onclick: () => trying(() => kill(pid)) }, "Kill"),
      show: () => {},
    },
  ], "workers");
  const gone = h("p", { class: "note", id: "workers-gone" });
  $("workers").append(rows.element, gone);

  function tellGone(pids) {
    const lost = known === null ? [] : [...known].filter((pid) => !pids.has(pid));
    const come = known === null ? [] : [...pids].filter((pid) => !known.has(pid));
    if (lost.length > 0) setText(gone, `${lost.join(", ")} ${lost.length > 1 ? "are" : "is"} gone.`);
    if (come.length > 0) setText(gone, `${gone.textContent.replace(/ New: .*/, "")} New: ${come.join(", ")}.`.trim());
    known = pids;
  }

  return {
    show({ workers, generation, compute }) {
      newest = generation;
      rows.show(workers, ({ pid }) => pid);
      tellGone(new Set(workers.map(({ pid }) => pid)));
      setText($("workers-note"), compute.running > 0
        ? `${count(compute.running)} running, ${count(compute.tasks)} ${compute.tasks === 1 ? "task" : "tasks"} out`
        : "at rest");
    },
  };
}
