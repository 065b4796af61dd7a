// What every test of a page needs. In short:
//
//   import { assert, axe, pageTest, prongFor, screenshot } from "./harness.mjs";
//
//   const prong = prongFor({ workers: 2 });           // one server for all tests of this file
//
//   pageTest("a worker that is killed comes back", prong, async ({ page }) => {
//     await page.goto("/");                           // on that server
//     await page.getByRole("button", { name: "Kill" }).first().click();
//     await axe(page);
//     await screenshot(page, "dashboard");
//   });
//
// A test fails, whatever else it says, when one of its pages writes an error on the console, throws, breaks the content
// security policy, or asks any other origin for anything. `pageTest(name, prong, {expected: [/409/]}, work)` says which of
// these must happen; {allowed: […]} which may. Other members of that object are options of the browser's context:
// {colorScheme: "dark", viewport: PHONE}.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import test, { after, before } from "node:test";

import { DIR, Prong, ROOT } from "./prong.mjs";

export { assert, DIR, Prong, ROOT, test };

// `make check-browser` installs the packages there, so that nothing but sources lies beside the tests.
const require = createRequire(path.join(ROOT, "build/browser/package.json"));
const { chromium } = require("playwright-core");

export const DESKTOP = { width: 1280, height: 800 };
export const PHONE = { width: 360, height: 740 };
export const LOOKS = ["light", "dark"];

const PATIENCE_MS = 15_000; // for one step in the browser
const TEST_MS = 60_000;

// ---- the browser and the server of a file ----

let browser;
let axeSource;

before(async () => {
  axeSource = await readFile(require.resolve("axe-core/axe.min.js"), "utf8");
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    // No name but the server's address leads anywhere: what a page asks of others stays on this machine, and is seen.
    args: ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
  });
});
after(() => browser?.close());

// A Prong for all tests of this file: started before the first, stopped after the last. Use its members in tests only.
export function prongFor(options = {}) {
  const prong = new Proxy({}, {
    get: (holder, name) => {
      const value = holder.started?.[name];
      return typeof value === "function" ? value.bind(holder.started) : value;
    },
    set: (holder, name, value) => { holder[name] = value; return true; },
  });
  before(async () => { prong.started = await Prong.start(options); });
  after(() => prong.stop?.());
  return prong;
}

// The name of a file with `token` in it, until this file's tests are over. Made at once: what is done before tests is not in order.
export function tokenFileOf(token) {
  const folder = mkdtempSync(path.join(os.tmpdir(), "prong-token-"));
  const file = path.join(folder, "token");
  writeFileSync(file, `${token}\n`, { mode: 0o600 });
  after(() => rmSync(folder, { recursive: true }));
  return file;
}

// ---- what must not happen ----

function reportViolations() {
  document.addEventListener("securitypolicyviolation", ({ effectiveDirective, blockedURI, sourceFile, lineNumber }) =>
    window.reportedByHarness(`${effectiveDirective} forbids ${blockedURI} at ${sourceFile}:${lineNumber}`));
}

async function watch(context, origin) {
  const troubles = [];
  context.on("console", (message) => {
    if (message.type() === "error") troubles.push(`console: ${message.text()} (${message.location().url})`);
  });
  context.on("weberror", (error) => troubles.push(`thrown: ${error.error().stack ?? error.error()}`));
  context.on("request", (request) => {
    const url = new URL(request.url());
    if (url.origin !== origin && !["data:", "blob:"].includes(url.protocol)) troubles.push(`foreign request: ${url}`);
  });
  await context.exposeBinding("reportedByHarness", (_, text) => { troubles.push(`policy: ${text}`); });
  await context.addInitScript(reportViolations);
  return troubles;
}

// Everything that is in the list is told.
const none = (list, what) => assert.ok(list.length === 0, [what, ...list].join("\n  "));

export function judge(troubles, expected, allowed) {
  const unexpected = troubles.filter((trouble) => ![...expected, ...allowed].some((one) => one.test(trouble)));
  none(unexpected, "a page must not do this:");
  const missing = expected.filter((one) => !troubles.some((trouble) => one.test(trouble)));
  none(missing, "expected to go wrong, and did not:");
}

// ---- a test ----

// `work` gets {page, context, prong}; more pages by context.newPage().
export function pageTest(name, prong, ...rest) {
  const work = rest.pop();
  const { expected = [], allowed = [], ...options } = rest.pop() ?? {};
  test(name, { timeout: TEST_MS }, async () => {
    const context = await browser.newContext({
      baseURL: prong.url, viewport: DESKTOP, colorScheme: "light", reducedMotion: "reduce", locale: "en-GB", ...options,
    });
    context.setDefaultTimeout(PATIENCE_MS);
    try {
      const troubles = await watch(context, prong.url);
      await work({ page: await context.newPage(), context, prong });
      judge(troubles, expected, allowed);
    } finally {
      await context.close();
    }
  });
}

// What `check` gives, once it gives something; for what a page does not show by itself.
export async function until(check, what) {
  for (const deadline = Date.now() + PATIENCE_MS; Date.now() < deadline;) {
    const found = await check();
    if (found) return found;
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
  return assert.fail(`waited in vain: ${what}`);
}

// Opens the table of figures in `region`, which is made when it is opened, and gives it.
export async function openTable(region) {
  await region.getByText("As a table").click();
  const table = region.locator(".as-table table");
  await table.waitFor();
  return table;
}

// An answer for route.fulfill: a stream of `events`, each [name, data], that ends after the last.
export const eventStream = (events) => ({
  contentType: "text/event-stream",
  body: events.map(([event, data]) => `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`).join(""),
});

// ---- what is asked of every page ----

// Runs `work(look)` in the light and in the dark look, and leaves the page light.
export async function inLooks(page, work) {
  for (const colorScheme of LOOKS) {
    await page.emulateMedia({ colorScheme });
    await work(colorScheme);
  }
  await page.emulateMedia({ colorScheme: "light" });
}

// No finding of axe that is serious or critical, in either look. `within`: a selector, when not all of the page is meant.
export async function axe(page, within = "html") {
  await page.evaluate(axeSource);
  await inLooks(page, async (look) => {
    const findings = await page.evaluate(async (selector) => {
      const { violations } = await window.axe.run(selector, { resultTypes: ["violations"] });
      return violations.filter(({ impact }) => impact === "serious" || impact === "critical")
        .flatMap(({ id, help, nodes }) => nodes.map((node) => `${id}: ${help}: ${node.html} ${node.failureSummary}`));
    }, within);
    none(findings, `what axe finds in the ${look} look of ${page.url()}:`);
  });
}

const sideScroll = () => {
  const { scrollWidth, clientWidth } = document.scrollingElement;
  if (scrollWidth <= clientWidth) return [];
  const wide = [...document.querySelectorAll("body *")]
    .filter((element) => element.getBoundingClientRect().right > clientWidth + 1 && element.checkVisibility())
    .map((element) => element.cloneNode(false).outerHTML);
  return [`it is ${scrollWidth} px wide`, ...wide.slice(0, 5)];
};

// Nothing makes the page wider than a telephone.
export async function fitsPhone(page) {
  const size = page.viewportSize();
  await page.setViewportSize(PHONE);
  await settled(page);
  none(await page.evaluate(sideScroll), `${page.url()} scrolls sideways at ${PHONE.width} px:`);
  await page.setViewportSize(size);
}

// Two frames later: what was to be drawn for the new size or look is drawn.
export const settled = (page) =>
  page.evaluate(() => new Promise((resolve) => { requestAnimationFrame(() => requestAnimationFrame(resolve)); }));

// Pictures of the page as it is, at both sizes and in both looks: NAME-desktop-light.png and so on, in the build folder's
// screenshots. {full: true}: all of the page, not only what the window shows.
export async function screenshot(page, name, { full = false } = {}) {
  const folder = path.join(DIR, "screenshots");
  const size = page.viewportSize();
  await mkdir(folder, { recursive: true });
  for (const [device, viewport] of [["desktop", DESKTOP], ["phone", PHONE]]) {
    await page.setViewportSize(viewport);
    await inLooks(page, async (look) => {
      await settled(page);
      await page.screenshot({ path: path.join(folder, `${name}-${device}-${look}.png`), fullPage: full, animations: "disabled" });
    });
  }
  await page.setViewportSize(size);
}
