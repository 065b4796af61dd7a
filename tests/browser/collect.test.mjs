// The page that collects: over a site of the test's own on loopback, which is slow, broken and hostile on request.

import { readFile } from "node:fs/promises";
import { after, before } from "node:test";

import { assert, axe, fitsPhone, openTable, pageTest, prongFor, screenshot, until } from "./harness.mjs";
import { startSite } from "./site.mjs";

let site;
before(async () => { site = await startSite(); });
after(() => site.stop());

// Every port of loopback is open: the site's is not known yet when the server starts.
const prong = prongFor({ workers: 2, fetchAllow: "127.0.0.1/32:*", fetchRequests: 1, fetchPerHost: 16 });

async function ready(page, hash = "") {
  await page.goto(`/collect${hash}`);
  await page.locator("#ask").waitFor();
}

const row = (page, text) => page.locator(".pages > li", { hasText: text });
const go = (page) => page.getByRole("button", { name: "Collect", exact: true }).click();
const fill = (page, ...urls) => page.locator("#urls").fill(urls.map((url) => (url.startsWith("/") ? site.url + url : url)).join("\n"));
const ended = (page, text = "pages in") => page.locator("#state", { hasText: text }).waitFor();

async function metric(page, name) {
  const text = await (await page.request.get("/metrics")).text();
  return Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)[1]);
}

pageTest("pages land in their own rows, and what concurrency bought is told", prong, async ({ page }) => {
  await ready(page);
  const slow = Array.from({ length: 12 }, (_, i) => `/slow/${i}?0.3`);
  await fill(page, "/page", "/latin1", "/404", "/loop", "http://10.0.0.1/", "nonsense", ...slow);
  await go(page);
  await ended(page);

  assert.match(await page.locator("#state").textContent(), /^18 pages in .*; 3 failed: /);
  assert.equal(await page.locator(".pages > li").count(), 18);
  assert.equal(await page.locator(".pages > li.pending").count(), 0);
  assert.match(await row(page, "A page & more").textContent(), /the 2, and 1.*200/s);
  assert.equal(await row(page, "Café").count(), 1);
  assert.match(await row(page, "A missing & more").textContent(), /404/);
  for (const [text, code, sentence] of [
    ["/loop", "too-many-redirects", "more than 5 times"],
    ["http://10.0.0.1/", "blocked-address", "no public address"],
    ["nonsense", "bad-url", "begin with http://"],
  ]) {
    const failed = row(page, text);
    assert.equal(await failed.getAttribute("class"), "failed");
    assert.match(await failed.textContent(), new RegExp(`${code}.*${sentence}`));
  }

  const answers = await page.locator(".versus dd:not(.track)").allTextContents();
  const seconds = answers.map((text) => Number.parseFloat(text) / (text.endsWith("ms") ? 1000 : 1));
  const factor = Number((await page.locator(".factor").textContent()).slice(1));
  assert.ok(factor > 1 && Math.abs(factor - seconds[0] / seconds[1]) < 0.1 * factor, `${answers} is not ×${factor}`);
  const [other, ours] = await page.locator(".versus .bar").evaluateAll((bars) => bars.map((bar) => bar.getBoundingClientRect().width));
  assert.ok(ours < other, "the bars are as long as the times");

  await axe(page);
  await fitsPhone(page);
  await screenshot(page, "collect-done");
});

pageTest("a bar is where its page was on its way", prong, async ({ page }) => {
  await ready(page);
  await page.locator("#concurrency").fill("1");
  await fill(page, "/slow/1?0.2", "/slow/2?0.4");
  await go(page);
  await ended(page);
  const boxes = await page.locator(".pages .lane i").evaluateAll((bars) => bars.map((bar) => {
    const lane = bar.parentElement.getBoundingClientRect(), box = bar.getBoundingClientRect();
    return [(box.left - lane.left) / lane.width, (box.right - lane.left) / lane.width];
  }));
  assert.ok(boxes[0][0] < 0.2 && boxes[1][1] > 0.8 && boxes[1][1] <= 1.01, JSON.stringify(boxes));
  assert.ok(boxes[1][0] >= boxes[0][1] - 0.01, `the second begins when the first has ended: ${JSON.stringify(boxes)}`);
  assert.ok(boxes[1][1] - boxes[1][0] > boxes[0][1] - boxes[0][0], "the slower one is longer");
});

pageTest("rows are filled as they land, and Stop gives up the rest", prong, async ({ page }) => {
  await ready(page);
  await page.locator("#timeout").fill("60");
  await fill(page, "/page", "/slow/1?55", "/slow/2?55");
  await go(page);
  await row(page, "A page & more").waitFor();
  assert.equal(await page.locator(".pages > li.pending").count(), 2);
  await until(async () => (await metric(page, "prong_fetch_transfers_in_flight")) === 2, "two under way");
  await page.getByRole("button", { name: "Stop" }).click();
  await ended(page, "Stopped");
  await until(async () => (await metric(page, "prong_fetch_transfers_in_flight")) === 0, "nothing under way");
  assert.equal(await page.getByRole("button", { name: "Stop" }).count(), 0);
  assert.ok(await page.getByRole("button", { name: "Collect", exact: true }).isEnabled());
});

pageTest("what a page says is text and never markup", prong, async ({ page }) => {
  page.on("dialog", () => assert.fail("a script of the page ran"));
  await ready(page);
  await fill(page, "/markup");
  await go(page);
  await ended(page);
  const found = row(page, "<img src=x onerror=alert(1)>");
  await found.locator("summary").click();
  assert.equal(await found.locator("img, b:has-text('bold') b, a[href^=javascript]").count(), 0);
  assert.equal(await page.locator(".pages img").count(), 0);
});

pageTest("a row opens to its facts and links, by keyboard alone", prong, async ({ page }) => {
  await ready(page);
  await page.locator("#urls").focus();
  await page.keyboard.type(`${site.url}/page`);
  for (let i = 0; i < 12 && (await page.evaluate(() => document.activeElement.id)) !== "go"; i++) await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await ended(page);
  for (let i = 0; i < 15 && (await page.evaluate(() => document.activeElement.localName)) !== "summary"; i++) await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  const found = row(page, "A page & more");
  const text = await found.locator(".more").textContent();
  assert.match(text, /text\/html; charset=utf-8, read as utf-8/);
  assert.match(text, /[0-9a-f]{64}/);
  const link = found.locator(".links a");
  assert.equal(await link.getAttribute("href"), `${site.url}/other?page`);
  assert.match(await link.getAttribute("rel"), /noreferrer/);
  await axe(page);
});

pageTest("the order can be chosen, and all is there as a table", prong, async ({ page }) => {
  await ready(page);
  await fill(page, "/slow/1?0.1", "/slow/2?0.5", "/page");
  await go(page);
  await ended(page);
  const titles = () => page.locator(".pages summary").allTextContents();
  assert.deepEqual(await titles(), ["A slow 1 & more", "A slow 2 & more", "A page & more"]);
  await page.getByRole("button", { name: "Slowest" }).click();
  assert.deepEqual((await titles())[0], "A slow 2 & more");
  await page.getByRole("button", { name: "As landed" }).click();
  assert.deepEqual(await titles(), ["A page & more", "A slow 1 & more", "A slow 2 & more"]);
  const rows = (await openTable(page)).locator("tbody tr");
  assert.equal(await rows.count(), 3);
  assert.match(await rows.first().textContent(), /A slow 1 & more.*200/s);
});

pageTest("the link brings the same form back, and asks for nothing by itself", prong, async ({ page, context }) => {
  await ready(page);
  await page.locator("#concurrency").fill("7");
  await page.locator("#timeout").fill("2.5");
  await page.locator("#max_bytes").selectOption({ label: "64 KiB" });
  await page.locator("#process").selectOption({ label: "nothing" });
  await fill(page, "/page?a=1&b=2#c", "/404");
  await go(page);
  await ended(page);
  assert.equal(await page.locator(".words").count(), 0, "nobody counted");
  const before_ = await metric(page, "prong_fetch_requests_total");
  const other = await context.newPage();
  await other.goto(page.url());
  await other.locator("#ask").waitFor();
  assert.equal(await other.locator("#urls").inputValue(), `${site.url}/page?a=1&b=2#c\n${site.url}/404`);
  assert.equal(await other.locator("#concurrency").inputValue(), "7");
  assert.equal(await other.locator("#timeout").inputValue(), "2.5");
  assert.equal(await other.locator("#max_bytes").inputValue(), "65536");
  assert.equal(await other.locator("#process").inputValue(), "");
  assert.ok(await other.locator("#waiting").isVisible());
  assert.equal(await metric(page, "prong_fetch_requests_total"), before_);
});

pageTest("CSV and JSON hold what was found", prong, async ({ page }) => {
  await ready(page);
  await fill(page, "/page", "=1+1");
  await go(page);
  await ended(page);
  const save = async (name) => {
    const [saved] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name, exact: true }).click()]);
    return readFile(await saved.path(), "utf8");
  };
  const lines = (await save("CSV")).trim().split("\r\n");
  assert.equal(lines.length, 3);
  assert.match(lines[1], new RegExp(`^${site.url}/page,.*,200,.*A page & more,1,.*"the 2, and 1, `));
  assert.match(lines[2], /^'=1\+1,.*,bad-url,/, "a spreadsheet takes it for text");
  const { results, wall_ms, sum_ms } = JSON.parse(await save("JSON"));
  assert.deepEqual(results.map(({ title }) => title), ["A page & more", null]);
  assert.ok(wall_ms > 0 && sum_ms > 0);
});

pageTest("what the server refuses is told in its own words", prong, { expected: [/503/] }, async ({ page, context }) => {
  await ready(page);
  const other = await context.newPage();
  await ready(other);
  await fill(other, "/slow/9?50");
  await other.locator("#timeout").fill("60");
  await go(other);
  await until(async () => (await metric(page, "prong_fetch_transfers_in_flight")) === 1, "one under way");
  await fill(page, "/page");
  await go(page);
  await page.locator("#trouble", { hasText: "--fetch-requests" }).waitFor();
  assert.ok(await page.locator("#waiting").isVisible());
  await other.getByRole("button", { name: "Stop" }).click();
  await ended(other, "Stopped");
});

pageTest("what the form cannot send is said beside it", prong, async ({ page }) => {
  await ready(page);
  await go(page);
  await page.locator("#urls-trouble", { hasText: "at least" }).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement.id), "urls");
  await fill(page, ...Array.from({ length: 1001 }, (_, i) => `/page?${i}`));
  await page.locator("#timeout").fill("soon");
  await go(page);
  await page.locator("#urls-trouble", { hasText: "1,001" }).waitFor();
  await page.locator("#timeout-trouble", { hasText: "0.001 to 60" }).waitFor();
  await axe(page);
});

pageTest("a thousand pages at once", prong, async ({ page }) => {
  await ready(page);
  await page.locator("#concurrency").fill("64");
  await fill(page, ...Array.from({ length: 1000 }, (_, i) => `/page?${i}`));
  await go(page);
  await ended(page);
  assert.match(await page.locator("#state").textContent(), /^1,000 pages in [^;]*\.$/);
  assert.equal(await page.locator(".pages summary").count(), 1000);
});
