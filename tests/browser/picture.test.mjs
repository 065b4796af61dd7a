// The picture that all workers draw.

import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { after, before } from "node:test";

import { assert, axe, fitsPhone, pageTest, prongFor, ROOT, screenshot, until } from "./harness.mjs";

const prong = prongFor({ workers: 2, timeout: 300 });

const SPIRAL = "x=-0.743643887037151&y=0.13182590420533";
const QUICK = `/picture?${SPIRAL}&scale=0.01&iterations=1000`;
const SLOW = `/picture?${SPIRAL}&scale=0.000001&iterations=100000`; // seconds of several cores
const MIDDLING = `/picture?${SPIRAL}&scale=0.00001&iterations=60000`;

const isIn = (page, ...states) => page.locator(states.map((state) => `#picture[data-state=${state}]`).join(", ")).waitFor({ timeout: 50_000 });

async function drawn(page, target) {
  await page.goto(target);
  await isIn(page, "drawn");
}

// Pixels that differ between the canvas and the kernel's own picture of that view, and how many colours there are.
const compare = (page) => page.evaluate(async () => {
  const canvas = document.getElementById("picture");
  const { width, height } = canvas;
  const query = new URLSearchParams(location.search);
  const kernel = query.get("kernel") ?? "mandelbrot";
  query.delete("kernel");
  const target = `/compute/${kernel}?${new URLSearchParams({ width, height })}&${query}`;
  const response = await fetch(target, { headers: { Accept: "image/png", "Cache-Control": "no-cache" } });
  const image = await createImageBitmap(await response.blob(), { colorSpaceConversion: "none" });
  const other = new OffscreenCanvas(width, height).getContext("2d");
  other.drawImage(image, 0, 0);
  const wordsOf = (context) => new Uint32Array(context.getImageData(0, 0, width, height).data.buffer);
  const mine = wordsOf(canvas.getContext("2d")), theirs = wordsOf(other);
  return {
    pixels: mine.length, sizes: [image.width, image.height, width, height], colours: new Set(mine).size,
    wrong: mine.reduce((sum, word, i) => sum + (word !== theirs[i]), 0),
  };
});

async function isTheKernels(page) {
  const { pixels, sizes, colours, wrong } = await compare(page);
  assert.deepEqual(sizes.slice(0, 2), sizes.slice(2));
  assert.ok(pixels > 50_000 && colours > 20, `${pixels} pixels, ${colours} colours`);
  assert.equal(wrong, 0, `of ${pixels} pixels`);
}

const jobsAtWork = async () => (await prong.json("/status")).workers.map(({ job }) => job).filter(Boolean);

// How many pictures were stopped before their end, as the server counts them.
async function stoppedSoFar() {
  const metrics = await (await prong.ask("/metrics")).text();
  return Number(/^prong_jobs_total\{kernel="mandelbrot",outcome="cancelled"\} (\d+)$/m.exec(metrics)[1]);
}

// Opens a view and gives its job, once a worker is at it.
async function drawing(page, target) {
  const [response] = await Promise.all([page.waitForResponse(/\/compute\/mandelbrot/), page.goto(target)]);
  const job = await response.headerValue("prong-job");
  await until(async () => (await jobsAtWork()).includes(job), "the job at work");
  return job;
}

const painted = (page, id) => page.evaluate((name) => {
  const canvas = document.getElementById(name);
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const colours = new Map();
  for (let i = 0; i < data.length; i += 4) {
    const colour = data[i + 3] === 0 ? "none" : data.slice(i, i + 3).join();
    colours.set(colour, (colours.get(colour) ?? 0) + 1);
  }
  return { none: colours.get("none") ?? 0, all: data.length / 4, colours: [...colours.keys()].filter((c) => c !== "none") };
}, id);

pageTest("the pixels in the end are the kernel's own", prong, async ({ page }) => {
  await drawn(page, "/picture");
  await isTheKernels(page);
  await drawn(page, QUICK);
  await isTheKernels(page);
  assert.match(await page.locator("#told").textContent(), /cores used/);
  assert.notEqual(await page.locator("#costs").textContent(), "");
});

pageTest("they are on a screen of finer pixels, too", prong, { deviceScaleFactor: 1.5, viewport: { width: 700, height: 900 } }, async ({ page }) => {
  await drawn(page, QUICK);
  const { width, inPage } = await page.evaluate(() => ({ width: document.getElementById("picture").width, inPage: document.getElementById("picture").clientWidth }));
  assert.equal(width, Math.round(1.5 * inPage));
  await isTheKernels(page);
});

pageTest("tiles have the colours of their workers, if these are kept", prong, async ({ page }) => {
  await drawn(page, MIDDLING);
  const bare = await painted(page, "above");
  assert.equal(bare.none, bare.all, "nothing lies over a picture that is whole");
  await page.getByLabel("Keep the workers' colours").check();
  await page.waitForFunction(() => document.getElementById("above").getContext("2d").getImageData(5, 5, 1, 1).data[3] > 0);
  const rows = page.locator("#workers li", { hasText: "tiles" });
  assert.ok((await rows.count()) >= 1);
  const tinted = await painted(page, "above");
  assert.ok(tinted.none < tinted.all, "the tiles are tinted");
  assert.ok(tinted.colours.length >= (await rows.count()), "in as many colours as workers drew");
  await isTheKernels(page);
});

for (const [how, act] of [
  ["the wheel", (page) => page.mouse.wheel(0, -200)],
  ["a drag", async (page) => {
    await page.mouse.down();
    await page.mouse.move(500, 350, { steps: 3 });
    await page.mouse.up();
  }],
  ["a key", async (page) => {
    await page.locator("#picture").focus();
    await page.keyboard.press("+");
  }],
  ["the slider", async (page) => {
    await page.getByLabel("iterations").focus();
    await page.keyboard.press("ArrowLeft");
  }],
  ["a place", (page) => page.getByRole("button", { name: "Seahorses" }).click()],
]) {
  pageTest(`${how} stops what is drawn, and draws anew`, prong, async ({ page }) => {
    const first = await drawing(page, SLOW);
    const address = page.url();
    const before = await stoppedSoFar();
    await page.locator("#picture").hover();
    const next = page.waitForResponse(/\/compute\/mandelbrot/);
    await act(page);
    await until(async () => (await stoppedSoFar()) > before, "another one stopped");
    assert.ok(!(await jobsAtWork()).includes(first));
    const second = await (await next).headerValue("prong-job");
    assert.notEqual(second, first);
    assert.notEqual(page.url(), address);
    await page.goto("about:blank");
    await until(async () => (await jobsAtWork()).length === 0, "nobody at work");
  });
}

pageTest("it can be stopped, and drawn again", prong, async ({ page }) => {
  await drawing(page, SLOW);
  const before = await stoppedSoFar();
  await page.getByRole("button", { name: "Stop" }).click();
  await until(async () => (await stoppedSoFar()) > before, "another one stopped");
  assert.deepEqual(await jobsAtWork(), []);
  await isIn(page, "stopped");
  await page.goto(MIDDLING);
  await page.locator("#stop").click();
  await isIn(page, "stopped");
  await page.getByRole("button", { name: "Draw again" }).click();
  await isIn(page, "drawn");
  await isTheKernels(page);
});

pageTest("what is there is moved at once, before anything new has come", prong, async ({ page }) => {
  await drawn(page, QUICK);
  const before = await page.evaluate(() => {
    const canvas = document.getElementById("picture");
    return { word: [...canvas.getContext("2d").getImageData(200, 200, 1, 1).data], step: Math.round(canvas.width / 10) };
  });
  await page.route(/\/compute\/mandelbrot/, () => {}); // nothing new comes
  await page.locator("#picture").focus();
  await page.keyboard.press("ArrowLeft");
  const after = await page.evaluate((step) => [...document.getElementById("picture").getContext("2d").getImageData(200 + step, 200, 1, 1).data], before.step);
  assert.ok(before.word.every((value, i) => Math.abs(value - after[i]) <= 60), `${before.word} and ${after}`);
  const { none } = await painted(page, "picture");
  assert.ok(none > 0, "what came into view is still empty");
});

const AGAIN = /Worker (\d+) died \(SIGKILL\); units [\d,]+ to [\d,]+ are drawn again\./;

// Kills the first worker that has drawn something; its pid. It may have had nothing in hand just then.
async function killOne(page) {
  const row = page.locator("#workers li:not(.dead)", { hasText: "tiles" }).first();
  const pid = await row.getAttribute("data-pid");
  await page.getByRole("button", { name: `Kill worker ${pid}` }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Kill" }).click();
  await page.locator("#log").getByText(`Worker ${pid} is killed`).waitFor();
  await page.locator("#log").getByText(AGAIN).waitFor({ timeout: 3000 }).catch(() => {});
  return pid;
}

pageTest("a worker is killed while it draws: its tiles are lost, drawn again, and the picture is whole", prong, async ({ page }) => {
  await drawing(page, SLOW.replace("0.000001", "0.000004"));
  const pids = [];
  while ((await page.locator("#log").getByText(AGAIN).count()) === 0) pids.push(await killOne(page));
  const [, lost] = AGAIN.exec(await page.locator("#log").textContent());
  assert.ok(pids.includes(lost), `${lost} of ${pids}`);
  await isIn(page, "drawn");
  await isTheKernels(page);
  const retries = page.locator("#costs dl.figures div", { hasText: "Retries" }).locator("dd");
  assert.ok(Number(await retries.textContent()) >= 1);
  const { workers } = await prong.json("/status");
  assert.ok(!workers.some(({ pid }) => pids.includes(String(pid))), "they are gone");
  await until(async () => (await prong.json("/status")).workers.filter(({ kind }) => kind === "ordinary").length === 2, "both workers");
});

pageTest("what was lost is known by its units, and what has come again is taken off it", prong, async ({ page }) => {
  await page.goto("/picture");
  const left = await page.evaluate(async () => {
    const { areaOf, areasOf, without } = await import("/js/picture/areas.js");
    const size = { width: 100, height: 50 };
    const rows = areasOf({ from: 3, to: 12 }, 100, size, []); // two units to a row: rows 2 to 5
    const tiles = areasOf({ from: 3, to: 6 }, 8, size, [{ width: 25 }]); // four columns of 25, two rows
    return {
      rows, tiles, hole: areaOf(without(rows, { x: 10, y: 3, width: 20, height: 1 })), all: areaOf(without(tiles, { x: 0, y: 0, width: 100, height: 50 })),
      unknown: areasOf({ from: 0, to: 1 }, 7, size, [{ width: 25 }]),
    };
  });
  assert.deepEqual(left.rows, [{ x: 0, y: 2, width: 100, height: 4 }]);
  assert.deepEqual(left.tiles.map(({ x, y }) => [x, y]), [[75, 0], [0, 25], [25, 25]]);
  assert.equal(left.hole, 400 - 20);
  assert.equal(left.all, 0);
  assert.deepEqual(left.unknown, []);
});

pageTest("the keys move and zoom, and the address says where", prong, async ({ page }) => {
  await drawn(page, "/picture");
  const view = () => Object.fromEntries([...new URL(page.url()).searchParams].map(([name, value]) => [name, Number(value)]));
  await page.locator("#picture").focus();
  await page.keyboard.press("ArrowRight");
  assert.ok(Math.abs(view().x - -0.2) < 1e-9, `${view().x}`);
  await page.keyboard.press("ArrowUp");
  assert.ok(Math.abs(view().y - 0.3) < 1e-9, `${view().y}`);
  await page.keyboard.press("+");
  assert.equal(view().scale, 2);
  await page.keyboard.press("-");
  assert.equal(view().scale, 3);
  const address = page.url();
  await page.reload();
  await isIn(page, "drawn");
  assert.equal(page.url(), address);
  await isTheKernels(page);
  await page.locator("#picture").focus();
  await page.keyboard.press("Home");
  assert.deepEqual(view(), { x: -0.5, y: 0, scale: 3 });
  await page.getByRole("button", { name: "Zoom in" }).press("Enter");
  assert.equal(view().scale, 1.5);
});

pageTest("the picture that is saved is the kernel's", prong, async ({ page }) => {
  await drawn(page, QUICK);
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Save PNG" }).click()]);
  const chunks = [];
  for await (const chunk of await download.createReadStream()) chunks.push(chunk);
  const { width, height } = await page.evaluate(() => ({ width: document.getElementById("picture").width, height: document.getElementById("picture").height }));
  const answer = await prong.ask(`/compute/mandelbrot?width=${width}&height=${height}&${new URL(page.url()).search.slice(1)}`);
  assert.deepEqual(Buffer.concat(chunks), Buffer.from(await answer.arrayBuffer()));
});

// ---- a kernel of one's own ----

const kernels = mkdtempSync(path.join(os.tmpdir(), "prong-kernels-"));
before(() => {
  chmodSync(kernels, 0o755);
  execFileSync("cc", ["-O3", "-fPIC", "-fvisibility=hidden", "-shared", "-I", path.join(ROOT, "include"), "-o", path.join(kernels, "raytrace.so"),
    path.join(ROOT, "src/kernel/examples/raytrace.c"), "-lpng", "-lm"]);
});
after(() => rmSync(kernels, { recursive: true }));
const own = prongFor({ workers: 2, kernels, timeout: 300 });

pageTest("another kernel that sends tiles is drawn and turned likewise", own, { viewport: { width: 400, height: 600 } }, async ({ page }) => {
  await drawn(page, "/picture?kernel=raytrace&samples=1&spheres=3");
  await isTheKernels(page);
  assert.ok((await page.locator("#workers li", { hasText: "tiles" }).count()) >= 1);
  await page.locator("#picture").focus();
  await page.keyboard.press("ArrowRight");
  await page.waitForURL(/angle=38/);
  await isIn(page, "drawn");
  await isTheKernels(page);
  await page.locator("#kernel").selectOption("mandelbrot");
  await page.waitForURL(/scale=3/);
  await isIn(page, "drawn");
  await isTheKernels(page);
});

pageTest("why there is no picture is told", prong, { expected: [/status of 400/] }, async ({ page }) => {
  await page.route(/\/compute\/mandelbrot/, (route) => route.continue({ url: route.request().url().replace(/iterations=\d+/, "iterations=0") }));
  await page.goto("/picture");
  await isIn(page, "failed");
  assert.match(await page.locator("#told").textContent(), /Parameter iterations must be an integer from 1 to 100000; got 0/);
});

pageTest("it is clean for axe, and fits a telephone", prong, async ({ page }) => {
  await drawn(page, `/picture?${SPIRAL}&scale=0.0065&iterations=2000`);
  await page.getByLabel("Keep the workers' colours").check();
  await axe(page);
  await page.getByLabel("Keep the workers' colours").uncheck();
  await fitsPhone(page);
  await isIn(page, "drawn");
  await screenshot(page, "picture-drawn", { full: true });
});
