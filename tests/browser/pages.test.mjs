// What is true of every page in www/, whatever it is about.

import { readdirSync } from "node:fs";
import path from "node:path";

import { assert, axe, fitsPhone, pageTest, Prong, prongFor, ROOT, screenshot } from "./harness.mjs";

const prong = prongFor({ workers: 2 });

const PAGES = readdirSync(path.join(ROOT, "www")).filter((name) => name.endsWith(".html")).sort()
  .map((name) => (name === "index.html" ? "/" : `/${path.basename(name, ".html")}`));
const nameOf = (target) => (target === "/" ? "dashboard" : target.slice(1));

// A page is there when it shows the state of the server, which it has from the stream of events.
async function open(page, target) {
  const response = await page.goto(target);
  assert.equal(response.status(), 200);
  await page.locator("#server-state", { hasText: "ready" }).waitFor();
}

// What has the focus, as an element's handle.
const focused = (page) => page.evaluateHandle(() => document.activeElement);
const outlineOf = (element) => element.evaluate((e) => {
  const { outlineStyle, outlineWidth } = getComputedStyle(e);
  return { style: outlineStyle, width: outlineWidth };
});

const FIRST_VIEW_BYTES = 100_000;

// What came over the wire so far, heads and all; what still streams is not counted, nor is what was computed.
const transferred = (page) => page.evaluate(() =>
  [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
    .filter(({ name }) => !new URL(name).pathname.startsWith("/compute/"))
    .reduce((sum, { transferSize }) => sum + transferSize, 0));

for (const target of PAGES) {
  pageTest(`${target} loads, is clean for axe in both looks, and fits a telephone`, prong, async ({ page }) => {
    await open(page, target);
    assert.match(await page.title(), / · Prong$/);
    assert.equal(await page.getByRole("heading", { level: 1 }).count(), 1);
    assert.equal(await page.locator(".top nav a[aria-current=page]").getAttribute("href"), target);
    await axe(page);
    await fitsPhone(page);
    await screenshot(page, nameOf(target));
  });

  pageTest(`${target} is light: its first view takes less than ${FIRST_VIEW_BYTES} bytes`, prong, async ({ page }) => {
    await open(page, target);
    const bytes = await transferred(page);
    assert.ok(bytes > 1000 && bytes < FIRST_VIEW_BYTES, `${bytes} bytes`);
  });

  pageTest(`${target} can be left by keyboard alone`, prong, async ({ page }) => {
    await open(page, target);
    await page.keyboard.press("Tab");
    assert.equal(await (await focused(page)).getAttribute("href"), "#main", "first comes the way to the content");
    const links = await page.locator(".top a").count();
    const other = PAGES.find((one) => one !== target);
    let at;
    for (let i = 0; i < links; i++) {
      await page.keyboard.press("Tab");
      at = await focused(page);
      assert.deepEqual(await outlineOf(at), { style: "solid", width: "2px" }, "where the focus is can be seen");
      if (await at.evaluate((e) => e.closest("nav") !== null) && (await at.getAttribute("href")) === other) break;
    }
    assert.equal(await at.getAttribute("href"), other);
    await page.keyboard.press("Enter");
    await page.waitForURL(prong.url + other);
  });
}

pageTest("the look that was chosen by the button stays", prong, async ({ page }) => {
  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await open(page, "/");
  const light = await ground();
  await page.getByRole("button", { name: "Dark look" }).press("Enter");
  const dark = await ground();
  assert.notEqual(dark, light);
  await open(page, "/run");
  assert.equal(await ground(), dark);
  await page.getByRole("button", { name: "Dark look", pressed: true }).click();
  assert.equal(await ground(), light);
});

const mortal = prongFor({ workers: 1 });

pageTest("a page says when the server is gone, and when it is back", mortal,
  { expected: [/ERR_CONNECTION_REFUSED/], allowed: [/ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_CONNECTION_RESET/] }, async ({ page }) => {
    await open(page, "/");
    await mortal.stop();
    await page.locator("#server-state", { hasText: "no connection" }).waitFor();
    const next = await Prong.start({ workers: 1, listen: new URL(mortal.url).host });
    try {
      await page.locator("#server-state", { hasText: "ready" }).waitFor();
    } finally {
      await next.stop();
    }
  });
