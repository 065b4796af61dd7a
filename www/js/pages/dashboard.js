// The dashboard: its span is in the address; everything else is what the server says.

import { ask, curlOf } from "../api.js";
import { jobsOf } from "../dashboard/jobs.js";
import { panelsOf } from "../dashboard/panels.js";
import { seriesOf } from "../dashboard/series.js";
import { serverOf } from "../dashboard/server.js";
import { workersOf } from "../dashboard/workers.js";
import { $, setText } from "../dom.js";
import { clock } from "../format.js";
import { onLive } from "../live.js";
import { startPage, trying } from "../shell.js";

const SPANS = ["5m", "1h", "24h"];
const WORK = "/compute/primes?limit=1000000000";

const panels = panelsOf();
const workers = workersOf();
const jobs = jobsOf();
const server = serverOf($("server"));
const series = seriesOf(showColumns, (error) => tell(error.message));
let heardAt = null;

function tell(text) {
  setText($("trouble"), text);
  $("trouble").hidden = text === "";
}

function showColumns(columns) {
  panels.showColumns(columns);
  $("try").hidden = columns.runs_per_s.some((runs) => runs > 0);
}

// ---- the span ----

function spanOf() {
  const asked = new URLSearchParams(location.search).get("span");
  return SPANS.includes(asked) ? asked : SPANS[0];
}

function showSpan() {
  const span = spanOf();
  for (const button of $("spans").children) button.setAttribute("aria-pressed", String(button.value === span));
  series.show(span);
}

$("spans").addEventListener("click", ({ target }) => {
  if (!SPANS.includes(target.value) || target.value === spanOf()) return;
  history.pushState(null, "", target.value === SPANS[0] ? "/" : `/?span=${target.value}`);
  showSpan();
});
addEventListener("popstate", showSpan);

// ---- what the server says ----

function showStatus(status) {
  heardAt = Date.now() / 1000;
  tell(status.jobs.broken ?? "");
  panels.showStatus(status);
  workers.show(status);
  jobs.show(status);
  server.show(status);
}

function showOffline({ reason }) {
  const since = heardAt === null ? "" : ` What is shown is of ${clock(heardAt)}.`;
  tell(`${reason}${since}`);
}

// ---- the start ----

startPage();
$("now").append(panels.figures);
$("charts").append(...panels.charts);
setText($("try-call"), curlOf(WORK));
$("try-run").addEventListener("click", () => trying(() => ask(WORK, { headers: { "Cache-Control": "no-cache" } })));
showSpan();
onLive("status", showStatus);
onLive("sample", (sample) => {
  panels.showSample(sample);
  series.add(sample);
});
onLive("offline", showOffline);
