// The lab: what it draws of each experiment, and that an address brings the very same results back.

import { readFile } from "node:fs/promises";

import { assert, axe, eventStream, fitsPhone, openTable, pageTest, prongFor, screenshot, until } from "./harness.mjs";

const prong = prongFor({ workers: 2 });

const SMALL = "experiment=cpu&n=2000000&workers=2&repeat=2";
const IN_C = "modes=sequential,threads,threads%2Bgil,processes";

// Asks for what the address says, and waits until it is found.
async function find(page, query) {
  await page.goto(`/lab?${query}`);
  await page.getByRole("button", { name: "Run" }).click();
  await page.locator(".finding").waitFor({ timeout: 50_000 });
}

const card = (page, title) => page.getByRole("region", { name: title, exact: true });
const bars = (page) => card(page, "Time that passed").locator("svg");

// The text of each row of an open table, by its cells.
async function tableIn(region) {
  const table = await openTable(region);
  return table.locator("tbody tr").evaluateAll((rows) => rows.map((row) => [...row.cells].map((cell) => cell.textContent)));
}

pageTest("computing shows four bars, and what each has found", prong, async ({ page }) => {
  await find(page, `${SMALL}&${IN_C}`);
  assert.equal(await bars(page).count(), 1);
  assert.equal(await bars(page).locator("rect:not(.track)").count(), 4);
  assert.equal(await bars(page).locator("circle.raw").count(), 8, "a point for each run");
  assert.equal(await bars(page).locator("path.whisker").count(), 4);
  for (const bar of await bars(page).locator("rect:not(.track)").all()) assert.ok(Number(await bar.getAttribute("width")) > 1);
  const rows = await tableIn(card(page, "Time that passed"));
  assert.deepEqual(rows.map(([mode]) => mode), ["one thread", "threads", "threads, one lock", "processes"]);
  for (const row of rows) assert.deepEqual(row.slice(-2), ["1,999,999,000,000", "1,999,999,000,000"]);
  const lanes = await tableIn(card(page, "Who worked when"));
  assert.equal(lanes.length, 1 + 2 + 2 + 2);
  assert.equal(new Set(lanes.filter(([mode]) => mode === "processes").map(([, , pid]) => pid)).size, 2);
  assert.equal(new Set(lanes.filter(([mode]) => mode === "threads").map(([, , pid]) => pid)).size, 1);
  await axe(page);
  await fitsPhone(page);
  await screenshot(page, "lab-cpu", { full: true });
});

pageTest("Python has a chart of its own", prong, async ({ page }) => {
  await find(page, "experiment=cpu&n=200000&workers=2&repeat=1");
  assert.equal(await bars(page).count(), 2);
  assert.equal(await bars(page).nth(1).locator("rect:not(.track)").count(), 3);
  assert.match(await card(page, "Measured on").innerText(), /Python\s+3\.\d+/);
});

pageTest("the other experiments show what came of them", prong, async ({ page }) => {
  await find(page, "experiment=race&n=100000&workers=2&repeat=1");
  assert.match(await card(page, "Additions that were kept").locator("svg").getAttribute("aria-label"), /a lock: 200,000 of 200,000/);
  await screenshot(page, "lab-race", { full: true });
  await find(page, "experiment=crash&n=1000000&workers=3&repeat=1");
  const answered = card(page, "Who answered").locator("svg");
  assert.equal(await answered.getAttribute("aria-label"), "threads: 0 of 3; processes: 2 of 3");
  assert.equal(await answered.locator("path.cross").count(), 4);
  assert.match(await page.locator(".finding").innerText(), /SIGSEGV/);
  await find(page, "experiment=io&n=4&workers=2&repeat=1&modes=sequential,threads");
  assert.match(await page.locator(".finding h2").innerText(), /waits/);
});

pageTest("the address brings the same results back, also elsewhere", prong, async ({ page, context }) => {
  await find(page, `${SMALL}&${IN_C}`);
  const label = await bars(page).getAttribute("aria-label"), text = await page.locator(".finding > p").first().innerText();
  const other = await context.newPage();
  await other.goto(page.url());
  await other.locator(".finding").waitFor();
  assert.equal(await bars(other).getAttribute("aria-label"), label);
  assert.equal(await other.locator(".finding > p").first().innerText(), text);
  assert.match(await other.locator(".origin").innerText(), /came with the link; it says they are of \d\d\/\d\d\/\d{4}, /);
  assert.equal(await card(other, "Who worked when").locator("svg").count(), 1);
  assert.equal(await other.locator("#n").inputValue(), "2000000");
  assert.equal(await other.locator("#repeat").inputValue(), "2");
  assert.equal(await other.locator("[name=mode]:checked").count(), 4);
});

pageTest("an address that was cut says so, and so does one of something else", prong, async ({ page }) => {
  for (const [fragment, sentence] of [
    ["#r=AAAA", "it may have been cut"], ["#r=q1YqUbKqVipRslKqBQA", "it may have been cut"], // no JSON
    ["#r=q1ZKrShILcrMTc0rUbJSSi4oVaoFAA", "is no lab's results"], // {"experiment":"cpu"}
  ]) {
    await page.goto("about:blank");
    await page.goto(`/lab?${SMALL}${fragment}`);
    await page.getByRole("alert").filter({ hasText: sentence }).waitFor();
    assert.equal(await page.locator(".finding").count(), 0);
  }
});

pageTest("all figures can be saved", prong, async ({ page }) => {
  await find(page, `${SMALL}&modes=sequential,threads`);
  const save = async (name) => {
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name, exact: true }).click()]);
    return { name: download.suggestedFilename(), text: await readFile(await download.path(), "utf8") };
  };
  const csv = await save("CSV"), json = await save("JSON");
  assert.equal(csv.name, "prong-lab-cpu.csv");
  const lines = csv.text.trim().split("\r\n");
  assert.equal(lines[0], "mode,repeat,wall_s,cpu_s,result,expected");
  assert.equal(lines.length, 1 + 2 * 2);
  assert.equal(JSON.parse(json.text).runs.length, 2);
});

pageTest("sums beyond what JavaScript can count are shown as they are", prong, async ({ page }) => {
  await find(page, "experiment=cpu&n=999999999&workers=2&repeat=1&modes=processes");
  const [row] = await tableIn(card(page, "Time that passed"));
  assert.deepEqual(row.slice(-2), ["499,999,998,500,000,001", "499,999,998,500,000,001"]);
});

pageTest("a lab can be stopped, and the server stops it too", prong, async ({ page }) => {
  await page.goto("/lab?experiment=io&n=600&workers=1&repeat=1&modes=sequential");
  await page.getByRole("button", { name: "Run" }).click();
  const runs = (count) => until(async () => (await prong.json("/status")).compute.running === count, `${count} runs`);
  await runs(1);
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByText("Stopped.").waitFor();
  await runs(0);
});

pageTest("what has come so far shows while it runs", prong, async ({ page }) => {
  await page.goto("/lab?experiment=io&n=10&workers=1&repeat=20&modes=sequential");
  await page.getByRole("button", { name: "Run" }).click();
  await bars(page).locator("circle.raw").nth(1).waitFor({ state: "attached" });
  assert.equal(await page.locator(".finding").count(), 0);
  assert.ok(await page.getByRole("button", { name: "Run" }).isDisabled());
  const { max, value } = await page.getByRole("progressbar").evaluate((bar) => ({ max: bar.max, value: bar.value }));
  assert.ok(max === 1 + 20 && value < max, `${value} of ${max}`);
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByText("Stopped.").waitFor();
  assert.ok(await page.getByRole("button", { name: "Run" }).isEnabled());
  for (const id of ["#stop", "#progress"]) assert.ok(await page.locator(id).isHidden(), id);
});

pageTest("what comes is the median of what was measured, without the warm-ups", prong, async ({ page }) => {
  await page.goto("/lab");
  const runs = await page.evaluate(async () => {
    const { addRun, liveReport } = await import("/js/lab/experiments.js");
    const report = liveReport({ order: [["threads", 0], ["sequential", 0], ["threads", 1], ["sequential", 1]] });
    const add = (mode, walls) => walls.forEach((wall, repeat) => addRun(report, { mode, repeat, wall_s: wall, cpu_s: wall }));
    add("sequential", [100, 9, 6, 8]);
    add("threads", [100, 5, 1, 3, 4]);
    return report.runs;
  });
  assert.deepEqual(runs.map(({ mode, wall_s: walls, median_s: median, speedup }) => [mode, walls.length, median, speedup]),
    [["threads", 4, 3.5, 8 / 3.5], ["sequential", 3, 8, 1]]);
});

pageTest("what the server refuses is said", prong, { expected: [/400|409/] }, async ({ page }) => {
  await page.goto("/lab?experiment=io&n=1000&workers=1&repeat=20&modes=sequential");
  await page.route("/lab", (route) => (route.request().method() === "POST"
    ? route.fulfill({ status: 409, contentType: "application/problem+json", body: JSON.stringify({ detail: "Somebody else's lab is under way." }) })
    : route.continue()));
  await page.getByRole("button", { name: "Run" }).click();
  await page.getByRole("alert").filter({ hasText: "Somebody else's lab is under way." }).waitFor();
  await page.unroute("/lab");
  await page.getByRole("button", { name: "Run" }).click();
  await page.getByText("Running").waitFor();
  assert.ok(await page.locator("#trouble").isHidden(), "it is said no longer");
});

// The page, on which the server answers a lab with these events.
async function openMadeUp(page, query, events) {
  await page.goto(`/lab?${query}`);
  await page.route("/lab", (route) => (route.request().method() === "POST" ? route.fulfill(eventStream(events)) : route.continue()));
}

pageTest("a lab that fails says why, and so does one that never ends", prong, async ({ page }) => {
  const plan = ["plan", { order: [["sequential", 0]], left_out: [] }];
  for (const [events, sentence] of [
    [[plan, ["error", { detail: "The lab's time is over." }]], "The lab's time is over."],
    [[plan], "The connection was lost before the lab was over."],
  ]) {
    await openMadeUp(page, SMALL, events);
    await page.getByRole("button", { name: "Run" }).click();
    await page.getByRole("alert").filter({ hasText: sentence }).waitFor();
    assert.equal(await page.locator(".finding").count(), 0);
  }
});

// ---- every figure ----

const lane = (number, tid, spans) => ({ lane: number, kind: "thread", pid: 11, tid, spans });
const REPORT = {
  experiment: "cpu", n: 100, workers: 2, repeat: 3, seed: 77, order: [["sequential", 0], ["threads+gil", 0]],
  left_out: [{ mode: "python-threads", why: "There is no Python here." }],
  machine: { cores: 8, affinity: 4, quota: 1.5, ceiling: 1.5, kernel: "Linux", cpu_model: "A processor", memory_bytes: 8 * 2 ** 30,
    python: null, background_cores: 0.25, libraries: { jansson: "2" } },
  advice: { headline: "One lock is enough.", text: "It is made up." },
  runs: [
    { mode: "sequential", wall_s: [1, 4, 2], cpu_s: [1.1, 4.4, 2.2], median_s: 2, typical: 2, speedup: 1, ideal: 1, note: "",
      result: 100, results: [100, 100, 100], expected: 100, lanes: [lane(0, 11, [[0, 2]])] },
    { mode: "threads+gil", wall_s: [1.5, 0.5, 1], cpu_s: [1.6, 0.6, 1.2], median_s: 1, typical: 2, speedup: 2, ideal: 4, note: "A note.",
      result: 99, results: [100, 99, 100], expected: 100, switches: [7, 8, 9],
      lanes: [lane(0, 12, [[0.25, 0.5], [0.75, 1]]), lane(1, 13, [[0, 0.5]])] },
  ],
};

async function showMadeUp(page, report = REPORT) {
  await openMadeUp(page, `experiment=${report.experiment}`, [["result", report]]);
  await page.getByRole("button", { name: "Run" }).click();
  await page.locator(".finding").waitFor();
  await page.locator(".drawing svg").first().waitFor();
}

// Figures in the drawings, as shares of the width of the bars' tracks.
const sharesOf = (svg) => svg.evaluate((drawing) => {
  const track = drawing.querySelector(".track"), left = Number(track.getAttribute("x")), width = Number(track.getAttribute("width"));
  const share = (value, from = left) => Number(((value - from) / width).toFixed(3));
  const numbers = (element, ...names) => names.map((name) => Number(element.getAttribute(name)));
  const each = (selector, of) => [...drawing.querySelectorAll(selector)].map(of);
  const starts = (path) => [...path.getAttribute("d").matchAll(/[MH]([\d.]+)/g)].map(([, x]) => share(Number(x)));
  return {
    bars: each("rect:not(.track)", (bar) => [share(numbers(bar, "x")[0]), share(numbers(bar, "width")[0], 0)]),
    points: each("circle", (point) => share(numbers(point, "cx")[0])),
    whiskers: each(".whisker", starts), ceiling: each(".ceiling", starts), ticks: each(".axis", (tick) => starts(tick)[0]),
    strong: each(".strong", (text) => text.textContent), text: drawing.textContent,
  };
});

pageTest("the bars are as long as the times", prong, async ({ page }) => {
  await showMadeUp(page);
  const drawn = await sharesOf(bars(page));
  assert.deepEqual(drawn.bars, [[0, 0.5], [0, 0.25]], "to the median");
  assert.deepEqual(drawn.points, [0.25, 1, 0.5, 0.375, 0.125, 0.25]);
  assert.deepEqual(drawn.whiskers.map((xs) => [Math.min(...xs), Math.max(...xs)]), [[0.25, 1], [0.125, 0.375]]);
  assert.deepEqual([...new Set(drawn.ceiling.flat())], [0.125]);
  assert.deepEqual(drawn.ticks, [0, 0.25, 0.5, 0.75, 1]);
  assert.deepEqual(drawn.strong, ["1.00×", "2.00×"]);
  assert.match(drawn.text, /at best 500 ms, 4\.00×/);
  const lanes = await sharesOf(card(page, "Who worked when").locator("svg"));
  assert.deepEqual(lanes.bars, [[0, 1], [0.125, 0.125], [0.375, 0.125], [0, 0.25]]);
  assert.match(lanes.text, /threads, one lockthe lock changed hands 9 times/);
});

pageTest("the tables and files have every figure", prong, async ({ page }) => {
  await showMadeUp(page);
  assert.deepEqual(await tableIn(card(page, "Time that passed")), [
    ["one thread", "2 s", "1 s", "4 s", "2.2 s", "1.00×", "1.00×", "100", "100"],
    ["threads, one lock", "1 s", "500 ms", "1.5 s", "1.2 s", "2.00×", "4.00×", "99", "100"],
  ]);
  assert.deepEqual(await tableIn(card(page, "Who worked when")), [
    ["one thread", "thread", "11", "11", "1", "0 ms", "2 s", "2 s"],
    ["threads, one lock", "thread", "11", "12", "2", "250 ms", "1 s", "500 ms"],
    ["threads, one lock", "thread", "11", "13", "1", "0 ms", "500 ms", "500 ms"],
  ]);
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "CSV" }).click()]);
  assert.deepEqual((await readFile(await download.path(), "utf8")).trim().split("\r\n").slice(1), [
    "sequential,1,1,1.1,100,100", "sequential,2,4,4.4,100,100", "sequential,3,2,2.2,100,100",
    "threads+gil,1,1.5,1.6,100,100", "threads+gil,2,0.5,0.6,99,100", "threads+gil,3,1,1.2,100,100",
  ]);
});

pageTest("what was found is told in words, and on what it was measured", prong, async ({ page }) => {
  await showMadeUp(page);
  assert.deepEqual(await page.locator(".finding > :is(h2, p)").allInnerTexts(), [
    "One lock is enough.", "It is made up.", "threads, one lock: A note.", "Left out: Python, threads. There is no Python here.",
  ]);
  assert.match(await card(page, "Time that passed").innerText(), /what 2 workers can reach on the 1\.5 cores/);
  const facts = await card(page, "Measured on").locator("dl").evaluate((dl) =>
    Object.fromEntries([...dl.querySelectorAll("dt")].map((dt) => [dt.textContent, dt.nextElementSibling.innerText])));
  assert.deepEqual(facts, {
    "Processor": "A processor", "Cores": "8", "… that the server may use": "4, a quota of 1.5", "Used by others meanwhile": "0.25 of them",
    "Memory": "8 GiB", "System": "Linux", "Python": "none was run", "Libraries": "jansson 2", "Order": "2 runs with the warm-ups, by seed 77",
  });
});

const outcome = (experiment, mode, result, expected) =>
  ({ ...REPORT, experiment, runs: [{ ...REPORT.runs[0], mode, result, expected }] });

pageTest("what was lost is as wide as its share", prong, async ({ page }) => {
  await showMadeUp(page, outcome("race", "unlocked", 150, 200));
  const race = card(page, "Additions that were kept").locator("svg");
  assert.match(await race.textContent(), /^no lock50 lost, 25%$/);
  const [kept, lost] = await race.locator("rect").evaluateAll((all) => all.map((one) => [one.getAttribute("x"), one.getAttribute("width")].map(Number)));
  assert.ok(lost[0] === kept[1] && Math.abs(kept[1] - 3 * lost[1]) < 0.01, `${kept} and ${lost}`);
  await showMadeUp(page, outcome("crash", "processes", 2, 3));
  const crash = card(page, "Who answered").locator("svg");
  assert.match(await crash.textContent(), /^processes2 of 3 answered$/);
  assert.deepEqual(await crash.locator("rect").evaluateAll((all) => all.map((one) => one.classList.contains("lost"))), [true, false, false]);
});

// ---- what is asked for ----

pageTest("what the form says is asked for, and is in the address", prong, async ({ page, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await openMadeUp(page, "", [["result", REPORT]]);
  await page.getByLabel("How much").fill("123");
  await page.getByLabel("Workers").fill("3");
  await page.getByLabel("Repeats").fill("4");
  for (const box of (await page.locator("[name=mode]").all()).slice(2)) await box.uncheck();
  const asked = page.waitForRequest((request) => request.method() === "POST");
  await page.getByRole("button", { name: "Run" }).click();
  assert.deepEqual((await asked).postDataJSON(), { experiment: "cpu", n: 123, workers: 3, repeat: 4, modes: ["sequential", "threads"] });
  await page.locator(".finding").waitFor();
  const query = Object.fromEntries(new URL(page.url()).searchParams);
  assert.deepEqual(query, { experiment: "cpu", n: "123", workers: "3", repeat: "4", modes: "sequential,threads" });
  await page.getByRole("button", { name: "Copy link" }).click();
  await page.getByRole("button", { name: "Copied" }).waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), page.url());
});

pageTest("another experiment has other amounts, and some mode is needed", prong, async ({ page }) => {
  await page.goto("/lab");
  await page.locator(".experiments label", { hasText: "Race" }).click();
  assert.equal(await page.getByLabel("How much").inputValue(), "1000000");
  assert.equal(await page.locator("#n").getAttribute("max"), "10000000");
  assert.equal(await page.locator("#n-help").textContent(), "additions of each, up to 10,000,000");
  for (const box of await page.locator("[name=mode]").all()) await box.uncheck();
  const complaint = () => page.locator("[name=mode]").first().evaluate((box) => box.validationMessage);
  assert.equal(await complaint(), "Choose a mode at least.");
  await page.locator("[name=mode]").last().check();
  assert.equal(await complaint(), "");
});

pageTest("an address of no experiment asks for the first", prong, async ({ page }) => {
  for (const name of ["nonsense", "toString"]) {
    await page.goto(`/lab?experiment=${name}`);
    await page.getByText("Choose an experiment and press Run.").waitFor();
    assert.ok(await page.getByRole("radio", { name: "Computing" }).isChecked());
  }
});

// ---- what an address holds ----

pageTest("an address holds who worked when, unless that is too long", prong, async ({ page }) => {
  await page.goto("/lab");
  const lengths = await page.evaluate(async (report) => {
    const { fragmentOf, reportIn } = await import("/js/lab/permalink.js");
    const spans = Array.from({ length: 256 }, (_, i) => [i + Math.random(), i + 1]);
    const large = { ...report, runs: report.runs.map((run) => ({ ...run, lanes: Array(16).fill().map(() => ({ ...run.lanes[0], spans: spans.map(([a, b]) => [a + Math.random(), b]) })) })) };
    const lanesIn = async (one) => (await reportIn(await fragmentOf(one))).runs.map((run) => run.lanes.length);
    return { small: await lanesIn(report), large: await lanesIn(large), fragment: (await fragmentOf(large)).length };
  }, REPORT);
  assert.deepEqual(lengths.small, [1, 2]);
  assert.deepEqual(lengths.large, [0, 0]);
  assert.ok(lengths.fragment < 32_000);
});

// Anybody may have made it: a box or a tick for each of so many would keep the browser busy for ever.
pageTest("an address cannot ask for more than a lab could find", prong, async ({ page }) => {
  const open = async (report) => {
    await page.goto("/lab");
    const fragment = await page.evaluate(async (one) => (await import("/js/lab/permalink.js")).fragmentOf(one), report);
    await page.goto("about:blank");
    await page.goto(`/lab${fragment}`);
  };
  const ofTime = (wall) => ({ ...REPORT, runs: [{ ...REPORT.runs[0], wall_s: [wall], cpu_s: [0], lanes: [lane(0, 11, [[0, wall]])] }] });
  for (const report of [outcome("crash", "processes", 2, 1e9), ofTime(1.79769e308)]) {
    await open(report);
    await page.getByRole("alert").filter({ hasText: "is no lab's results" }).waitFor();
  }
  await open(ofTime(5e-324));
  await bars(page).waitFor();
});

pageTest("it can be asked for by keyboard alone", prong, async ({ page }) => {
  await page.goto("/lab?experiment=race&n=1000&workers=2&repeat=1");
  await page.getByRole("radio", { name: "Race" }).focus();
  await page.keyboard.press("ArrowRight");
  assert.ok(await page.getByRole("radio", { name: "Crash" }).isChecked());
  assert.equal(await page.locator("[name=mode]").count(), 2);
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.locator(".finding").waitFor();
});
