// What the server itself is like: where it runs, what it keeps, what its workers may.

import { h, setText } from "../dom.js";
import { bytes, count, duration, number, percent } from "../format.js";

const LAYERS = {
  no_new_privs: "no new privileges", limits: "limits", user: "own user", landlock: "Landlock", seccomp: "seccomp",
  network: "no network", cgroup: "cgroup",
};

const coresOf = ({ cores, affinity, quota }) =>
  `${count(affinity)} of ${count(cores)}${quota === null ? "" : `, quota ${number(quota)}`}`;

function reloadOf({ reload, generation }) {
  if (reload === null) return `generation ${count(generation)}`;
  return reload.state === "loading" ? "the next are being loaded" : `generation ${count(generation)}; the one before ends its work`;
}

const hitsOf = ({ hits, misses, merged }) =>
  hits + misses + merged === 0 ? "not asked yet" : `${percent((hits + merged) / (hits + misses + merged))} of ${count(hits + misses + merged)}`;

const FACTS = {
  Server: {
    Version: ({ version }) => version,
    "Up for": ({ uptime }) => duration(Math.floor(uptime)),
    State: ({ state }) => state,
    Processes: ({ pid, zygote_pid: zygote }) => `server ${pid}, zygote ${zygote}`,
    Cores: ({ machine }) => coresOf(machine),
    Processor: ({ machine }) => machine.cpu_model ?? "–",
    Memory: ({ machine }) => bytes(machine.memory_bytes),
    System: ({ machine }) => machine.kernel ?? "–",
  },
  "Store and cache": {
    Store: ({ jobs }) => jobs.store,
    Health: ({ jobs }) => jobs.broken ?? "keeps what is sent",
    "Jobs' input": ({ jobs }) => bytes(jobs.queued_bytes + jobs.inputs_bytes),
    "Jobs' results": ({ jobs }) => bytes(jobs.results_bytes),
    Cache: ({ cache }) => (cache.capacity === 0 ? "off" : `${count(cache.entries)} answers, ${bytes(cache.bytes)} of ${bytes(cache.capacity)}`),
    "Found in it": ({ cache }) => hitsOf(cache),
  },
  "Sandbox and kernels": {
    Kernels: reloadOf,
    Sandbox: ({ sandbox }) => sandbox.mode,
    User: ({ sandbox }) => `${sandbox.user} (${sandbox.uid})`,
    Layers: null,
  },
};

function showLayers(holder, { sandbox }) {
  const print = JSON.stringify(sandbox.layers);
  if (holder.dataset.print === print) return;
  holder.dataset.print = print;
  holder.replaceChildren(...Object.entries(sandbox.layers).map(([name, active]) =>
    h("li", { class: active ? "good" : "note" }, `${active ? "✓" : "–"} ${LAYERS[name] ?? name}${active ? "" : ": not here"}`)));
}

export function serverOf(holder) {
  const shows = [];
  const factOf = ([title, of]) => {
    const value = of === null ? h("ul", { class: "layers" }) : h("span", {});
    shows.push(of === null ? (status) => showLayers(value, status) : (status) => setText(value, of(status)));
    return [h("dt", {}, title), h("dd", {}, value)];
  };
  for (const [title, facts] of Object.entries(FACTS))
    holder.append(h("section", { class: "card" }, h("h2", {}, title), h("dl", { class: "facts" }, Object.entries(facts).map(factOf))));
  return { show: (status) => shows.forEach((show) => show(status)) };
}
