// The dashboard: what happens shows by itself, and what one can do about it.

import { readFile } from "node:fs/promises";

import { assert, axe, eventStream, fitsPhone, pageTest, prongFor, screenshot, tokenFileOf, until } from "./harness.mjs";

const prong = prongFor({ workers: 2, enableFaultKernel: true, cacheMax: 0, brakeDeaths: 64 });

const workers = (page) => page.locator("#workers tbody tr");
const jobs = (page) => page.locator("#jobs tbody tr");
const pidsOf = async (page) => (await workers(page).locator("td:first-child").allTextContents()).map(Number);
const listeners = async (server) => Number(/^prong_event_streams (\d+)$/m.exec(await (await server.ask("/metrics")).text())[1]);
const submit = (job) => prong.json("/jobs", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(job) });
const forget = (id) => prong.ask(`/jobs/${id}`, { method: "DELETE" });

async function open(page, target = "/") {
  await page.goto(target);
  await page.locator("#server-state", { hasText: "ready" }).waitFor();
  await workers(page).first().waitFor();
}

// The rows of a chart's table, as cells of text.
async function figuresOf(page, title) {
  const chart = page.locator("figure", { has: page.getByText(title, { exact: true }) });
  const details = chart.locator("details");
  if (!(await details.evaluate((e) => e.open))) await details.locator("summary").click();
  await details.locator("tbody tr").first().waitFor();
  return details.evaluate((e) => [...e.querySelectorAll("tbody tr")].map((tr) => [...tr.cells].map((cell) => cell.textContent)));
}

// ---- workers ----

pageTest("a worker that is killed goes, and another takes its place", prong, async ({ page }) => {
  await open(page);
  const before = await pidsOf(page);
  const victim = before[0];
  await page.getByRole("button", { name: `Kill worker ${victim}` }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Keep" }).click();
  assert.deepEqual(await pidsOf(page), before, "who does not confirm kills nobody");
  await page.getByRole("button", { name: `Kill worker ${victim}` }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Kill", exact: true }).click();
  await page.locator("#notices", { hasText: `Worker ${victim} was killed.` }).waitFor();
  await until(async () => {
    const now = await pidsOf(page);
    return now.length === before.length && !now.includes(victim);
  }, "another worker");
  const [successor] = (await pidsOf(page)).filter((pid) => !before.includes(pid));
  await page.locator("#workers-gone", { hasText: `${victim} is gone. New: ${successor}.` }).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), "workers", "the focus stays near");
});

pageTest("who computes what shows while it does", prong, async ({ page }) => {
  await open(page);
  const run = prong.ask("/compute/sleep?seconds=3");
  const row = workers(page).filter({ hasText: "sleep" });
  await row.waitFor();
  assert.equal(await row.locator(".pill").textContent(), "busy");
  await row.getByText(/^\d+%, /).waitFor();
  assert.equal((await run).status, 200);
  await row.waitFor({ state: "detached" });
});

pageTest("a worker is killed by keyboard alone", prong, async ({ page }) => {
  await open(page);
  const victim = (await pidsOf(page))[0];
  const label = () => page.evaluate(() => document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent);
  const steps = [];
  for (let i = 0; i < 60 && steps.at(-1) !== `Kill worker ${victim}`; i++) {
    await page.keyboard.press("Tab");
    steps.push(await label());
  }
  assert.equal(steps.at(-1), `Kill worker ${victim}`, steps.join(" > "));
  await page.keyboard.press("Enter");
  assert.equal(await label(), "Keep", "the harmless answer comes first");
  await page.keyboard.press("Escape");
  await until(async () => (await label()) === `Kill worker ${victim}`, "the focus where it was");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Shift+Tab");
  assert.equal(await label(), "Kill");
  await page.keyboard.press("Enter");
  await until(async () => !(await pidsOf(page)).includes(victim), "its end");
});

// ---- jobs ----

pageTest("a job comes, runs and is cancelled", prong, async ({ page }) => {
  await open(page);
  const { id } = await submit({ kernel: "sleep", params: { seconds: 60 } });
  const row = jobs(page).filter({ hasText: id.slice(-12) });
  await row.locator(".pill", { hasText: "running" }).waitFor();
  await row.getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel it" }).click();
  await row.locator(".pill", { hasText: "cancelled" }).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), "jobs", "the focus stays near");
  assert.equal(await row.getByRole("button").count(), 0, "there is nothing more to do with it");
  assert.equal((await prong.json(`/jobs/${id}`)).state, "cancelled");
  await forget(id);
  await row.waitFor({ state: "detached" });
});

pageTest("a job that is dead says why, and is tried again", prong, async ({ page }) => {
  await open(page);
  const { id } = await submit({ kernel: "fault", params: { mode: "abort" }, max_attempts: 1 });
  const row = jobs(page).filter({ hasText: id.slice(-12) });
  await row.locator(".pill", { hasText: "dead" }).waitFor();
  await row.locator(".outcome", { hasText: "SIGABRT" }).waitFor();
  const attempts = async () => (await prong.json(`/jobs/${id}`)).history.length;
  assert.equal(await attempts(), 1);
  await row.getByRole("button", { name: "Retry" }).click();
  await page.locator("#notices", { hasText: "queued again" }).waitFor();
  await until(async () => (await attempts()) === 2, "another attempt");
  await forget(id);
});

pageTest("the newest job comes first, and its progress goes on", prong, async ({ page }) => {
  await open(page);
  const { id: older } = await submit({ kernel: "echo", params: { message: "older" } });
  await jobs(page).filter({ hasText: older.slice(-12) }).waitFor();
  const { id: newer } = await submit({ kernel: "sleep", params: { seconds: 12 } });
  const row = jobs(page).filter({ hasText: newer.slice(-12) });
  await row.waitFor();
  const ids = await jobs(page).locator("td:nth-child(2)").allTextContents();
  assert.deepEqual(ids.slice(0, 2), [newer, older].map((id) => id.slice(-12)));
  await row.locator(".outcome", { hasText: /^[3-9]\d%, about \d+ s more$/ }).waitFor(); // long after it began
  await forget(newer);
  await forget(older);
});

// A result is no page of ours: its icon is asked for where browsers think that it is.
pageTest("what a job gave is one click away", prong, { allowed: [/favicon\.ico/] }, async ({ page }) => {
  await open(page);
  const { id } = await submit({ kernel: "sum", params: { end: 1000 } });
  const link = jobs(page).filter({ hasText: id.slice(-12) }).getByRole("link", { name: "Result" });
  await link.click();
  await page.waitForURL(`**/jobs/${id}/result`);
  assert.match(await page.locator("body").textContent(), /499500/);
  await forget(id);
});

// ---- charts ----

pageTest("each chart is a table, too", prong, async ({ page }) => {
  await open(page);
  assert.equal((await prong.ask("/compute/echo")).status, 200);
  for (const [title, columns] of [["Throughput", 4], ["Latency", 3], ["Queue", 4], ["Work", 3]]) {
    const rows = await figuresOf(page, title);
    assert.equal(rows.length, 300);
    assert.ok(rows.every((row) => row.length === columns && /^\d\d:\d\d:\d\d$/.test(row[0])), rows[0].join());
  }
  for (const chart of await page.locator(".plot").all()) {
    assert.match(await chart.getAttribute("aria-label"), /^(Throughput|Latency|Queue|Work): ./);
    assert.ok((await chart.locator("canvas").boundingBox()).width > 200);
  }
});

pageTest("a reload loses nothing", prong, async ({ page }) => {
  await open(page);
  await prong.ask("/compute/sum?end=1000");
  const worked = async () => (await figuresOf(page, "Throughput")).filter(([, , , runs]) => Number(runs) > 0).map(([time]) => time);
  await until(async () => {
    await page.reload();
    return (await worked()).length > 0;
  }, "the run in the chart");
  const before = await worked();
  await page.reload();
  const after = await worked();
  assert.ok(before.every((time) => after.includes(time)), `${before} and then ${after}`);
});

pageTest("the chart goes on by itself", prong, async ({ page }) => {
  await open(page);
  const newest = async () => {
    await page.locator("figure details[open] summary").first().click().catch(() => {});
    return (await figuresOf(page, "Throughput"))[0][0];
  };
  const first = (await figuresOf(page, "Throughput"))[0][0];
  await until(async () => (await newest()) > first, "the next second");
});

pageTest("an hour is read anew when it is longer ago", prong, async ({ page }) => {
  let asked = 0;
  page.on("request", (request) => { if (request.url().endsWith("/history?span=1h")) asked++; });
  const later = { t: Math.floor(Date.now() / 1000) + 60 };
  const status = await prong.json("/status");
  await page.route("/events", (route) => route.fulfill(eventStream([["status", status], ["sample", later]])));
  await open(page, "/?span=1h");
  await until(() => asked > 1, "another reading");
});

pageTest("an answer for another span than is wanted by now is let go", prong, async ({ page }) => {
  await open(page);
  await page.route(/span=1h$/, () => {}); // it takes long
  const letGo = page.waitForEvent("requestfailed", (request) => request.url().endsWith("span=1h"));
  await page.getByRole("button", { name: "1 hour" }).click();
  await page.getByRole("button", { name: "24 hours" }).click();
  await letGo;
});

pageTest("how far back is in the address", prong, async ({ page }) => {
  await open(page);
  const pressed = () => page.locator("#spans button[aria-pressed=true]").textContent();
  assert.equal(await pressed(), "5 minutes");
  await page.getByRole("button", { name: "1 hour" }).click();
  assert.equal(new URL(page.url()).search, "?span=1h");
  assert.equal((await figuresOf(page, "Queue")).length, 360);
  await page.reload();
  assert.equal(await pressed(), "1 hour");
  await page.getByRole("button", { name: "24 hours" }).click();
  await until(async () => (await pressed()) === "24 hours", "the day");
  await page.getByRole("button", { name: "24 hours" }).click(); // no further step back
  await page.goBack();
  assert.equal(await pressed(), "1 hour");
  await open(page, "/?span=nonsense");
  assert.equal(await pressed(), "5 minutes");
});

// ---- one stream ----

const setHidden = (page, hidden) => page.evaluate((value) => {
  Object.defineProperty(document, "hidden", { configurable: true, get: () => value });
  document.dispatchEvent(new Event("visibilitychange"));
}, hidden);

pageTest("a hidden tab does not listen, and catches up when it is seen again", prong, async ({ page }) => {
  await open(page);
  await until(async () => (await listeners(prong)) === 1, "one that listens");
  await setHidden(page, true);
  await until(async () => (await listeners(prong)) === 0, "nobody who listens");
  const { id } = await submit({ kernel: "echo", params: { message: "meanwhile" } });
  await setHidden(page, false);
  await jobs(page).filter({ hasText: id.slice(-12) }).waitFor();
  await until(async () => (await listeners(prong)) === 1, "one that listens again");
  await forget(id);
});

// What it has missed is in the history, which it reads again.
pageTest("a tab that was hidden shows the seconds that it has missed", prong, async ({ page }) => {
  await open(page);
  await figuresOf(page, "Throughput");
  await setHidden(page, true);
  const newest = async () => (await prong.json("/history?span=5m")).columns.t.at(-1);
  const start = await newest();
  await until(async () => (await newest()) > start + 2, "some seconds");
  const again = page.waitForRequest(/history\?span=5m$/);
  await setHidden(page, false);
  await again;
});

pageTest("two tabs share one stream", prong, async ({ page, context }) => {
  await open(page);
  const second = await context.newPage();
  await open(second);
  const { id } = await submit({ kernel: "echo", params: { message: "both" } });
  for (const tab of [page, second]) await jobs(tab).filter({ hasText: id.slice(-12) }).waitFor();
  await until(async () => (await listeners(prong)) === 1, "one for both");
  await page.close();
  await forget(id);
  await jobs(second).filter({ hasText: id.slice(-12) }).waitFor({ state: "detached" });
  await until(async () => (await listeners(prong)) === 1, "the other has taken over, and the first is let go");
});

const narrow = prongFor({ workers: 1, eventStreams: 1 });

pageTest("when too many listen, the server's sentence says so", narrow, { expected: [/503/] }, async ({ page }) => {
  const stop = new AbortController();
  const taken = await narrow.ask("/events", { signal: stop.signal });
  assert.equal(taken.status, 200);
  await page.goto("/");
  await page.locator("#trouble", { hasText: "--event-streams" }).waitFor();
  stop.abort();
  await page.locator("#server-state", { hasText: "ready" }).waitFor();
  await page.locator("#trouble").waitFor({ state: "hidden" });
});

pageTest("a store that is broken is told, and from when it is what shows once the connection is lost", prong, { expected: [/503/] }, async ({ page }) => {
  const status = await prong.json("/status");
  let answer = eventStream([["status", { ...status, jobs: { ...status.jobs, broken: "The disk is full." } }]]);
  await page.route("/events", (route) => route.fulfill(answer));
  await page.goto("/");
  await page.locator("#trouble", { hasText: /^The disk is full\.$/ }).waitFor();
  answer = { status: 503, contentType: "application/problem+json", body: JSON.stringify({ detail: "No room." }) };
  await page.locator("#trouble", { hasText: /^No room\. What is shown is of \d\d:\d\d:\d\d\.$/ }).waitFor();
});

// ---- every figure ----

const T = 1_795_849_750;
const ZEROS = { requests_per_s: 0, runs_per_s: 0, errors_per_s: 0, p50_ms: null, p99_ms: null, queue_high: 0, queue_normal: 0,
  queue_low: 0, running: 0, busy: 0, cpu_cores: 0, rss_bytes: 0 };
const SAMPLE = { t: T + 1, requests_per_s: 12, runs_per_s: 3, errors_per_s: 2, p50_ms: 4, p99_ms: 250, queue_high: 1, queue_normal: 2,
  queue_low: 4, running: 1, busy: 1.5, cpu_cores: 0.75, rss_bytes: 4 << 20 };
const STATUS = {
  generation: 3, uptime: 3725,
  workers: [
    { pid: 101, generation: 3, kind: "ordinary", state: "busy", tasks: 7, rss_bytes: 3 << 20, age: 125.5, cpu: 0.5, kernel: "primes",
      job: "01a22100-e981-7000-ac71-819b6613cc6d", busy_ms: 2500, progress: { done: 30, total: 120 } },
    { pid: 102, generation: 2, kind: "express", state: "idle", tasks: 1200, rss_bytes: 1.5 * (1 << 20), age: 5, cpu: null },
  ],
  queue: { high: 1, normal: 2, low: 4, capacity: 1024 },
  compute: { running: 1, tasks: 2, backlog_s: 0 },
  jobs: { serial: 1, queued: { high: 1, normal: 2, low: 3 }, running: 4, ended: 5, queued_bytes: 1024, results_bytes: 4096,
    inputs_bytes: 2048, store: "in a test", broken: null },
  cache: { entries: 2, bytes: 1024, capacity: 8192, hits: 2, misses: 1, merged: 1 },
  machine: { cores: 8, affinity: 4, quota: 1.5, kernel: "Linux", cpu_model: "A processor", memory_bytes: 8 * 2 ** 30 },
};
const JOBS = [
  { state: "queued", position: 2 },
  { state: "queued", position: 0 },
  { state: "running" },
  { state: "running", progress: { fraction: 0.25 }, eta: 7.2 },
  { state: "succeeded", started: 10, finished: 12.5, result: { bytes: 2048, expired: false } },
  { state: "succeeded", started: 10, finished: 12.5, result: { bytes: 2048, expired: true } },
  { state: "failed", error: { title: "Not so", detail: "It went wrong." } },
  { state: "cancelled" },
];

function madeUpJobs() {
  const none = { kernel: "sum", attempts: 1, max_attempts: 3, position: null, progress: null, eta: null, started: null, finished: null,
    error: null, result: null, created: Date.now() / 1000 - 7230, links: { result: "/result" } };
  return JOBS.map((job, i) => ({ ...none, id: `00000000-0000-0000-0000-00000000000${i}`, ...job }));
}

// A page to which the server says just that.
async function openMadeUp(page) {
  const status = { ...(await prong.json("/status")), ...STATUS };
  status.sandbox.layers = { landlock: true, cgroup: false };
  const columns = { t: [T - 1, T], ...Object.fromEntries(Object.entries(ZEROS).map(([name, value]) => [name, [value, value]])) };
  await page.route("/events", (route) => route.fulfill(eventStream([["status", status], ["sample", SAMPLE]])));
  await page.route(/\/history\?/, (route) => route.fulfill({ json: { span: "5m", step_s: 1, columns } }));
  await page.route(/\/jobs\?/, (route) => route.fulfill({ json: { jobs: madeUpJobs(), next: null } }));
  await open(page);
  await jobs(page).first().waitFor();
}

const cellsOf = (rows) => rows.evaluateAll((all) => all.map((tr) => [...tr.cells].map((cell) => cell.innerText.trim())));
const factsOf = (lists) => lists.evaluateAll((all) => Object.fromEntries(all.flatMap((dl) =>
  [...dl.querySelectorAll("dt")].map((dt) => [dt.textContent, dt.nextElementSibling.innerText]))));

pageTest("what the server says of workers and jobs is all there", prong, async ({ page }) => {
  await openMadeUp(page);
  assert.deepEqual(await cellsOf(workers(page)), [
    ["101", "ordinary", "busy", "primes", "819b6613cc6d", "25%, 2.5 s", "50%", "3 MiB", "7", "2 min 5 s", "Kill"],
    ["102", "express", "idle, old kernels", "", "–", "–", "–", "1.5 MiB", "1,200", "5 s", "Kill"],
  ]);
  assert.deepEqual(await page.locator("#workers .meter i").evaluateAll((bars) => bars.map((bar) => bar.style.width)), ["50%", "0%"]);
  assert.equal(await page.locator("#workers-note").textContent(), "1 running, 2 tasks out");
  const rows = await cellsOf(jobs(page));
  assert.deepEqual(rows[0], ["sum", "000000000000", "queued", "2 before it", "1 of 3", "2 h ago", "Cancel"]);
  assert.deepEqual(rows.map(([, , , outcome, , , button]) => [outcome, button]), [
    ["2 before it", "Cancel"], ["next", "Cancel"], ["begun", "Cancel"], ["25%, about 8 s more", "Cancel"], ["2.5 s, 2 KiB", "Result"],
    ["2.5 s, result expired", ""], ["It went wrong.", "Retry"], ["", ""],
  ]);
  assert.equal(await page.locator("#jobs-note").textContent(), "6 queued, 4 running, 5 ended");
});

pageTest("what the server says of this second is all there", prong, async ({ page }) => {
  await openMadeUp(page);
  await page.locator("#now", { hasText: "errors" }).waitFor();
  assert.deepEqual(await factsOf(page.locator("#now dl")), {
    "Requests/s": "12 2 errors", "Runs/s": "3", "Latency p50": "4 ms", "Latency p99": "250 ms", "Waiting": "7 of 1,024",
    "Workers busy": "1.5 of 2", "Cores used": "0.75 of 1.5", "Workers' memory": "4 MiB",
  });
  for (const [title, now, ...figures] of [["Throughput", "12/s", "2", "12", "3"], ["Latency", "p99 250 ms", "4 ms", "250 ms"],
    ["Queue", "7 waiting", "1", "2", "4"], ["Work", "0.75 cores", "0.75", "1.5"]]) {
    await page.locator(".chart", { hasText: title }).locator(".now", { hasText: now }).waitFor();
    const rows = await figuresOf(page, title);
    assert.deepEqual(rows[0].slice(1), figures);
    assert.equal(rows.length, 2, "the oldest second goes when one comes");
  }
});

pageTest("what the server says of itself is all there", prong, async ({ page }) => {
  await openMadeUp(page);
  const facts = await factsOf(page.locator("#server dl"));
  for (const [name, text] of Object.entries({
    "Up for": "1 h 2 min", "State": "ready", "Cores": "4 of 8, quota 1.5", "Processor": "A processor", "Memory": "8 GiB", "System": "Linux",
    "Store": "in a test", "Health": "keeps what is sent", "Jobs' input": "3 KiB", "Jobs' results": "4 KiB",
    "Cache": "2 answers, 1 KiB of 8 KiB", "Found in it": "75% of 4", "Kernels": "generation 3", "Layers": "✓ Landlock\n– cgroup: not here",
  })) assert.equal(facts[name], text, name);
});

// ---- with a token ----

const TOKEN = "a-token-for-this-test";
const guarded = prongFor({ workers: 1, tokenFile: tokenFileOf(TOKEN) });

// A link could not bring the token.
pageTest("what a job gave is saved where a token is wanted", guarded, async ({ page }) => {
  await page.addInitScript((token) => sessionStorage.setItem("prong-token", token), TOKEN);
  await open(page);
  await page.getByRole("button", { name: "Submit it" }).click();
  const [download] = await Promise.all([page.waitForEvent("download"), jobs(page).getByRole("link", { name: "Result" }).click()]);
  assert.match(download.suggestedFilename(), /^job-[\da-f-]{36}/);
  assert.match(await readFile(await download.path(), "utf8"), /\d/);
});

// ---- before anything has happened, and when much does ----

const fresh = prongFor({ workers: 2 });

pageTest("where nothing has happened it says what to try, and does it", fresh, async ({ page, context }) => {
  await open(page);
  await page.getByRole("heading", { name: "Nothing has been computed" }).waitFor();
  await page.locator("#jobs-empty").waitFor();
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.locator("#jobs-empty").getByRole("button", { name: "Copy" }).click();
  await page.getByRole("button", { name: "Copied" }).waitFor();
  assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^curl --json '\{.*\}' http:\/\/127\.0\.0\.1:\d+\/jobs$/);
  assert.match(await page.locator("#try-call").textContent(), /^curl 'http:\/\/127\.0\.0\.1:\d+\/compute\/primes\?limit=\d+'$/);
  await axe(page);
  await page.getByRole("button", { name: "Count primes" }).click();
  await page.locator("#try").waitFor({ state: "hidden" });
  await page.getByRole("button", { name: "Submit it" }).click();
  await jobs(page).filter({ hasText: "primes" }).locator(".pill", { hasText: "succeeded" }).waitFor();
  await page.locator("#jobs-empty").waitFor({ state: "hidden" });
});

pageTest("it is whole when much happens", prong, async ({ page }) => {
  await submit({ kernel: "fault", params: { mode: "segv" }, max_attempts: 1 });
  await submit({ kernel: "sum", params: { start: 5, end: 1 } });
  await submit({ kernel: "mandelbrot", params: { width: 400, height: 300 } });
  const { id } = await submit({ kernel: "sleep", params: { seconds: 60 } });
  await open(page);
  const load = Array.from({ length: 12 }, (_, i) => prong.ask(`/compute/mandelbrot?width=400&height=300&iterations=${20_000 + i}&scale=0.2&x=-1.25`,
    { headers: { "Prong-Priority": ["high", "normal", "low"][i % 3] } }));
  await workers(page).filter({ hasText: "mandelbrot" }).first().waitFor();
  await jobs(page).filter({ hasText: "sum" }).first().waitFor();
  await axe(page);
  await fitsPhone(page);
  await screenshot(page, "dashboard-busy", { full: true });
  for (const one of load) assert.equal((await one).status, 200);
  await forget(id);
});
