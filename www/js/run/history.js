// The last runs of this tab, to compare what they cost. Kept until the tab is closed.

import { h, tableOf } from "../dom.js";
import { bytes, clock, count, milliseconds, number } from "../format.js";
import { coresOf } from "../receipt.js";

const KEY = "prong-runs";
const KEPT = 10;

function load() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY)) ?? [];
  } catch {
    return [];
  }
}

function save(runs) {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(runs));
  } catch {
    // It lasts as long as the page then.
  }
}

const cost = (title, of) => ({ title, number: true, of: (run) => (run.receipt === null ? "–" : of(run.receipt)) });

const COLUMNS = [
  { title: "At", of: (run) => clock(run.at) },
  { title: "What", of: (run) => h("a", { href: run.href, class: "what" }, run.what) },
  { title: "How", of: (run) => h("span", { class: run.isGood ? undefined : "bad" }, run.how) },
  cost("Waited", (r) => milliseconds(r.wait_ms)),
  cost("Ran", (r) => milliseconds(r.run_ms)),
  cost("CPU", (r) => milliseconds(r.cpu_ms)),
  cost("Cores", (r) => number(coresOf(r), 2)),
  cost("Memory", (r) => (r.max_rss_kb > 0 ? bytes(r.max_rss_kb * 1024) : "–")),
  cost("Chunks", (r) => count(r.chunks)),
  cost("Workers", (r) => count(r.workers)),
  cost("Retries", (r) => count(r.retries)),
];

// {add(run)}: a run is {at, what, href, how, isGood, receipt or null}. Shows itself in `card`, which is hidden while there
// are none.
export function runHistory(card) {
  let runs = load();
  const place = h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "The last runs" });
  const forget = h("button", { type: "button", class: "quiet small" }, "Forget");
  card.append(h("div", { class: "card-head" }, h("h2", {}, "The last runs"), forget), place);

  function show() {
    card.hidden = runs.length === 0;
    place.replaceChildren(tableOf("The last runs of this tab", COLUMNS, runs, { class: "bare" }));
  }
  forget.addEventListener("click", () => {
    runs = [];
    save(runs);
    show();
  });
  show();
  return {
    add(run) {
      runs = [run, ...runs].slice(0, KEPT);
      save(runs);
      show();
    },
  };
}
