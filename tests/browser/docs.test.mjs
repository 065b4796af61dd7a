// The page that lists and runs what the server can be asked.

import { execFile } from "node:child_process";
import { promisify } from "node:util";

import { assert, axe, fitsPhone, pageTest, prongFor, screenshot, tokenFileOf, until } from "./harness.mjs";

const prong = prongFor({ workers: 2 });
const shell = promisify(execFile);

async function open(page, target = "/docs") {
  await page.goto(target);
  await page.locator("#parts:not([aria-busy])").waitFor();
}

const operation = (page, id) => page.locator(`#${id}`);
const send = (page, id) => operation(page, id).getByRole("button", { name: "Send", exact: true }).click();
const answered = (page, id) => operation(page, id).locator(".answered");
const statusOf = (page, id) => answered(page, id).locator(".pill");
const bodyOf = (page, id) => answered(page, id).getByLabel("The body of the answer");
const visible = (page, selector) => page.locator(`${selector}:visible`).count();

// ---- what is there ----

pageTest("all operations and all problems are there, with anchors of their own", prong, async ({ page }) => {
  const document = await prong.json("/openapi.json");
  const ids = Object.values(document.paths).flatMap((item) => Object.values(item).map(({ operationId }) => operationId));
  const names = document["x-problems"].map(({ name }) => name);
  await open(page);
  assert.deepEqual((await page.locator(".operation").evaluateAll((all) => all.map(({ id }) => id))).sort(), ids.sort());
  assert.deepEqual(await page.locator(".problem").evaluateAll((all) => all.map(({ id }) => id)), names);
  const all = await page.locator("[id]").evaluateAll((elements) => elements.map(({ id }) => id));
  assert.equal(new Set(all).size, all.length, "no id twice");
});

pageTest("what an error's type names is there, and says what to do", prong, async ({ page }) => {
  const problem = await prong.json("/compute/primes?limit=-1");
  await open(page, problem.type);
  const marked = page.locator(".problem.marked");
  assert.equal(await marked.getByRole("heading").textContent(), problem.title);
  assert.match(await marked.textContent(), /400.*detail says what it may be/);
  await page.waitForFunction(() => {
    const { top, bottom } = document.querySelector(".marked").getBoundingClientRect();
    return top >= document.querySelector(".docs-tools").getBoundingClientRect().bottom - 1 && bottom <= innerHeight;
  });
  await marked.getByRole("link", { name: "GET /compute/{kernel}" }).click();
  assert.ok(await operation(page, "get_compute").evaluate((e) => e.open));
});

pageTest("schemas unfold into tables, as deep as they go", prong, async ({ page }) => {
  await open(page, "/docs#get_job");
  const answer = operation(page, "get_job").locator(".answer", { hasText: "200" });
  await answer.getByText("Job", { exact: true }).click();
  await answer.getByRole("row", { name: /^error / }).getByText("members").click();
  assert.match(await answer.getByRole("row", { name: /^request_id / }).textContent(), /UUID/);
  assert.match(await answer.getByRole("row", { name: /^eta / }).textContent(), /number or null/);
  await open(page, "/docs#run_lab");
  const report = operation(page, "run_lab").locator(".answer", { hasText: "200" });
  await report.getByText("LabReport", { exact: true }).first().click();
  await report.getByRole("row").first().waitFor();
  const names = await report.getByRole("row").locator("td:first-child").allTextContents();
  assert.ok(names.includes("order") && names.includes("advice"), "those of the plan, and its own");
});

pageTest("an unfolded operation is clean for axe and fits a telephone", prong, async ({ page }) => {
  await open(page, "/docs#post_compute_map");
  await operation(page, "post_compute_map").getByText("Headers (").click();
  await send(page, "post_compute_map");
  await bodyOf(page, "post_compute_map").waitFor();
  await axe(page);
  await fitsPhone(page);
  await screenshot(page, "docs-operation");
});

// ---- running it ----

pageTest("an operation is run, and curl does the same", prong, async ({ page }) => {
  await open(page, "/docs#get_compute_primes");
  await operation(page, "get_compute_primes").getByLabel("limit").fill("1000");
  await send(page, "get_compute_primes");
  await statusOf(page, "get_compute_primes").waitFor();
  assert.match(await statusOf(page, "get_compute_primes").textContent(), /^200/);
  assert.deepEqual(JSON.parse(await bodyOf(page, "get_compute_primes").textContent()), { count: 168, limit: 1000 });
  await answered(page, "get_compute_primes").getByText("Headers").click();
  assert.match(await answered(page, "get_compute_primes").locator("dl").textContent(), /prong-receipt/);
  const command = await operation(page, "get_compute_primes").getByLabel("The same with curl").textContent();
  const { stdout } = await shell("sh", ["-c", `${command} -s`]);
  assert.deepEqual(JSON.parse(stdout), { count: 168, limit: 1000 });
});

pageTest("a body is sent, and curl does the same", prong, async ({ page }) => {
  await open(page, "/docs#submit_job");
  await operation(page, "submit_job").getByLabel("Body", { exact: true }).fill('{"kernel":"echo","params":{"message":"it\'s"}}');
  await operation(page, "submit_job").getByText("Headers (").click();
  await operation(page, "submit_job").getByLabel("Idempotency-Key").fill("docs-1");
  await send(page, "submit_job");
  await bodyOf(page, "submit_job").waitFor();
  const job = JSON.parse(await bodyOf(page, "submit_job").textContent());
  assert.equal(job.params.message, "it's");
  const command = await operation(page, "submit_job").getByLabel("The same with curl").textContent();
  const { stdout } = await shell("sh", ["-c", `${command} -s`]);
  assert.equal(JSON.parse(stdout).id, job.id, "the same key with the same body is the same job");
});

pageTest("what the server refuses is shown as it says it", prong, { expected: [/status of 400/] }, async ({ page }) => {
  await open(page, "/docs#get_compute_primes");
  await operation(page, "get_compute_primes").getByLabel("limit").fill("-1");
  await send(page, "get_compute_primes");
  await bodyOf(page, "get_compute_primes").waitFor();
  assert.match(await statusOf(page, "get_compute_primes").textContent(), /^400/);
  assert.match(await bodyOf(page, "get_compute_primes").textContent(), /must be an integer from 0/);
});

pageTest("digits of large numbers are kept", prong, async ({ page }) => {
  await open(page, "/docs#get_compute_sum");
  await operation(page, "get_compute_sum").getByLabel("end").fill("1000000000");
  await operation(page, "get_compute_sum").getByLabel("start").fill("1");
  await send(page, "get_compute_sum");
  await bodyOf(page, "get_compute_sum").waitFor();
  assert.match(await bodyOf(page, "get_compute_sum").textContent(), /499999999500000000\b/);
});

pageTest("a picture is shown as one", prong, async ({ page }) => {
  await open(page, "/docs#get_compute_mandelbrot");
  await operation(page, "get_compute_mandelbrot").getByLabel("width").fill("40");
  await operation(page, "get_compute_mandelbrot").getByLabel("height").fill("30");
  await send(page, "get_compute_mandelbrot");
  const picture = answered(page, "get_compute_mandelbrot").locator("img");
  await picture.waitFor();
  await picture.evaluate((img) => img.decode());
  assert.deepEqual(await picture.evaluate((img) => [img.naturalWidth, img.naturalHeight]), [40, 30]);
});

pageTest("raw text and files are sent as they are", prong, async ({ page }) => {
  await open(page, "/docs#post_compute_wordcount");
  const its = operation(page, "post_compute_wordcount");
  await its.getByLabel("Content-Type").selectOption("text/*");
  await its.getByLabel("Body", { exact: true }).fill("to be or not to be");
  await send(page, "post_compute_wordcount");
  await bodyOf(page, "post_compute_wordcount").waitFor();
  assert.equal(JSON.parse(await bodyOf(page, "post_compute_wordcount").textContent()).words, 6);
  await its.getByLabel("Content-Type").selectOption("application/octet-stream");
  await its.getByLabel("File to send").setInputFiles({ name: "three words.txt", mimeType: "text/plain", buffer: Buffer.from("one two three") });
  assert.match(await its.getByLabel("The same with curl").textContent(), /--data-binary '@three words\.txt'/);
  await send(page, "post_compute_wordcount");
  await bodyOf(page, "post_compute_wordcount").getByText('"words": 3').waitFor();
});

// ---- events ----

const pids = async () => (await prong.json("/status")).workers.map(({ pid }) => pid);
const busy = async () => (await prong.json("/status")).workers.filter(({ state }) => state === "busy").length;

pageTest("events are shown as they come, to the last", prong, async ({ page }) => {
  await open(page, "/docs#get_compute_sleep");
  const its = operation(page, "get_compute_sleep");
  await its.getByLabel("seconds").fill("0.5");
  await its.getByLabel("as a stream of events").check();
  assert.match(await its.getByLabel("The same with curl").textContent(), /^curl -N .*Accept: text\/event-stream/);
  await send(page, "get_compute_sleep");
  await answered(page, "get_compute_sleep").getByText("The stream has ended").waitFor();
  const events = await answered(page, "get_compute_sleep").locator(".events li code").allTextContents();
  assert.equal(events[0], "result", "the newest first");
  assert.ok(events.length > 1 && events.slice(1).every((event) => event === "progress"));
});

pageTest("a stream is left by a button, and its work stops", prong, async ({ page }) => {
  await open(page, "/docs#get_compute_sleep");
  const its = operation(page, "get_compute_sleep");
  await its.getByLabel("seconds").fill("600");
  await its.getByLabel("as a stream of events").check();
  await send(page, "get_compute_sleep");
  await answered(page, "get_compute_sleep").locator(".events li").first().waitFor();
  await its.getByText("listening", { exact: true }).waitFor();
  await until(async () => (await busy()) === 1, "it runs");
  await its.getByRole("button", { name: "Stop" }).click();
  await its.getByText("stopped", { exact: true }).waitFor();
  await until(async () => (await busy()) === 0, "it goes on though nobody listens");
  assert.ok(await its.getByRole("button", { name: "Send", exact: true }).isEnabled());
});

// ---- what cannot be undone ----

pageTest("a DELETE asks first", prong, async ({ page }) => {
  const [victim] = await pids();
  await open(page, "/docs#kill_worker");
  await operation(page, "kill_worker").getByLabel("pid").fill(String(victim));
  await send(page, "kill_worker");
  await page.getByRole("dialog").getByRole("button", { name: "Keep" }).click();
  await page.getByRole("dialog").waitFor({ state: "detached" });
  assert.equal(await answered(page, "kill_worker").textContent(), "", "nothing was sent");
  assert.ok((await pids()).includes(victim));
  await send(page, "kill_worker");
  await page.getByRole("dialog").getByRole("button", { name: "Send it" }).click();
  await statusOf(page, "kill_worker").waitFor();
  assert.match(await statusOf(page, "kill_worker").textContent(), /^204/);
  await until(async () => !(await pids()).includes(victim), "the worker is still there");
});

pageTest("what is required is not left out", prong, async ({ page }) => {
  await open(page, "/docs#get_job");
  await send(page, "get_job");
  assert.equal(await answered(page, "get_job").textContent(), "");
  assert.ok(await operation(page, "get_job").getByLabel("id").evaluate((input) => input === document.activeElement));
});

// ---- finding it ----

pageTest("the search finds operations and problems, and is in the address", prong, async ({ page }) => {
  await open(page);
  const all = await visible(page, ".operation");
  await page.keyboard.press("/");
  await page.keyboard.type("job retry");
  assert.deepEqual(await page.locator(".operation:visible").evaluateAll((rows) => rows.map(({ id }) => id)), ["retry_job"]);
  assert.match(await page.locator("#found").textContent(), /^\d+ found$/);
  assert.match(page.url(), /\?q=job\+retry$/);
  await page.reload();
  await page.locator("#parts:not([aria-busy])").waitFor();
  assert.equal(await visible(page, ".operation"), 1);
  await page.getByRole("searchbox").fill("queue is full");
  assert.deepEqual(await page.locator(".problem:visible").evaluateAll((rows) => rows.map(({ id }) => id)), ["queue-full"]);
  await page.getByRole("searchbox").fill("xyzzy");
  assert.equal(await page.locator("#found").textContent(), "Nothing has all of these words.");
  await page.getByRole("searchbox").fill("");
  assert.equal(await visible(page, ".operation"), all);
});

pageTest("a link to what the search hides shows it", prong, async ({ page }) => {
  await open(page, "/docs?q=retry#list_jobs");
  await page.locator("#list_jobs").waitFor();
  assert.equal(await page.getByRole("searchbox").inputValue(), "");
  assert.ok(await operation(page, "list_jobs").evaluate((e) => e.open));
});

pageTest("the keyboard is enough", prong, async ({ page }) => {
  await open(page, "/docs?q=livez");
  await page.getByRole("searchbox").focus();
  const isAt = (selector) => page.evaluate((wanted) => document.activeElement.matches(wanted), selector);
  for (let i = 0; i < 10 && !(await isAt("#livez summary")); i++) await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.waitForURL(/\?q=livez#livez$/);
  for (let i = 0; i < 10 && !(await isAt("#livez form button")); i++) await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await bodyOf(page, "livez").waitFor();
  assert.equal(await bodyOf(page, "livez").textContent(), "ok\n");
});

// ---- with a token ----

const TOKEN = "a-token-for-this-test";
const guarded = prongFor({ workers: 1, tokenFile: tokenFileOf(TOKEN) });

pageTest("a server with a token is described to who has it", guarded, { expected: [/status of 401/] }, async ({ page }) => {
  await page.goto("/docs#status");
  await page.getByRole("textbox", { name: /^Token/ }).fill(TOKEN);
  await page.getByRole("button", { name: "Go on" }).click();
  await send(page, "status");
  await bodyOf(page, "status").waitFor();
  assert.match(await operation(page, "status").getByLabel("The same with curl").textContent(), /Authorization: Bearer \$\(cat token\)/);
  assert.doesNotMatch(await page.locator("main").textContent(), new RegExp(TOKEN), "the token itself is never shown");
});
