// The dashboard: what happens shows by itself, and what one can do about it.

import { assert, axe, fitsPhone, pageTest, prongFor, screenshot } from "./harness.mjs";

const prong = prongFor({ workers: 2, enableFaultKernel: true, cacheMax: 0, brakeDeaths: 64 });

const workers = (page) => page.locator("#workers tbody tr");
const jobs = (page) => page.locator("#jobs tbody tr");
const pidsOf = async (page) => (await workers(page).locator("td:first-child").allTextContents()).map(Number);
const listeners = async (server) => Number(/^prong_event_streams (\d+)$/m.exec(await (await server.ask("/metrics")).text())[1]);
const submit = (job) => prong.json("/jobs", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(job) });
const forget = (id) => prong.ask(`/jobs/${id}`, { method: "DELETE" });

async function until(check, what) {
  for (const deadline = Date.now() + 15_000; Date.now() < deadline;) {
    if (await check()) return;
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
  assert.fail(`waited in vain: ${what}`);
}

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
  await page.locator("#workers-gone", { hasText: `${victim}` }).waitFor();
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

// ---- before anything has happened, and when much does ----

const fresh = prongFor({ workers: 2 });

pageTest("where nothing has happened it says what to try, and does it", fresh, async ({ page }) => {
  await open(page);
  await page.getByRole("heading", { name: "Nothing has been computed" }).waitFor();
  await page.locator("#jobs-empty").waitFor();
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
