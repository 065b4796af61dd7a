// The lab: what it draws of each experiment, and that an address brings the very same results back.

import { readFile } from "node:fs/promises";

import { assert, axe, fitsPhone, openTable, pageTest, prongFor, screenshot } from "./harness.mjs";

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
  assert.match(await other.locator(".origin").innerText(), /came with the link/);
  assert.equal(await other.locator("#n").inputValue(), "2000000");
  assert.equal(await other.locator("[name=mode]:checked").count(), 4);
});

pageTest("an address that was cut says so", prong, async ({ page }) => {
  for (const fragment of ["#r=AAAA", "#r=q1YqUbKqVipRslKqBQA"]) {
    await page.goto("about:blank");
    await page.goto(`/lab?${SMALL}${fragment}`);
    await page.getByRole("alert").filter({ hasText: /link/ }).waitFor();
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
  const runs = async (count) => {
    const running = async () => (await (await page.request.get("/status")).json()).compute.running;
    for (let i = 0; i < 300; i++) {
      if ((await running()) === count) return;
      await page.waitForTimeout(50);
    }
    assert.fail(`there never were ${count} runs`);
  };
  await runs(1);
  await page.getByRole("button", { name: "Stop" }).click();
  await page.getByText("Stopped.").waitFor();
  await runs(0);
});

pageTest("what the server refuses is said", prong, { expected: [/400|409/] }, async ({ page }) => {
  await page.goto("/lab?experiment=io&n=1000&workers=1&repeat=20&modes=sequential");
  await page.route("/lab", (route) => (route.request().method() === "POST"
    ? route.fulfill({ status: 409, contentType: "application/problem+json", body: JSON.stringify({ detail: "Somebody else's lab is under way." }) })
    : route.continue()));
  await page.getByRole("button", { name: "Run" }).click();
  await page.getByRole("alert").filter({ hasText: "Somebody else's lab is under way." }).waitFor();
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
