// The page that runs any kernel.

import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";

import { assert, axe, fitsPhone, pageTest, prongFor, ROOT, screenshot, until } from "./harness.mjs";

const prong = prongFor({ workers: 2, enableFaultKernel: true });
const EXAMPLES = ["echo", "mandelbrot", "map", "matmul", "pi", "primes", "sleep", "stats", "sum"];
const AWKWARD = "\"quotes\" 'and' $HOME `x` \\n, back\\\\slash\nsecond line: Grüße, 日本, 🦆";

async function open(page, target) {
  await page.goto(target);
  await page.locator("#run:not([hidden])").waitFor();
}

const result = (page) => page.locator("#body pre").textContent();
const state = (page, kind) => page.locator(`#state[data-kind=${kind}]`).waitFor();

async function run(page, kind = "good") {
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await state(page, kind);
}

const figure = (page, title) => page.locator("#costs dl.figures div", { has: page.getByText(title, { exact: true }) }).locator("dd").textContent();

for (const name of EXAMPLES) {
  pageTest(`${name} runs by its example`, prong, async ({ page }) => {
    const { kernels } = await prong.json("/compute");
    const { example } = kernels.find((kernel) => kernel.name === name);
    await open(page, `/run?kernel=${name}`);
    await page.getByRole("button", { name: "Fill in the example" }).click();
    await run(page);
    const answer = await prong.ask(example);
    if (answer.headers.get("content-type").startsWith("image/")) {
      const width = Number(new URL(example, prong.url).searchParams.get("width"));
      await page.waitForFunction((wanted) => document.querySelector("#body img").naturalWidth === wanted, width);
    } else {
      assert.deepEqual(JSON.parse(await result(page)), await answer.json());
    }
    assert.equal(await figure(page, "Retries"), "0");
    assert.notEqual(await figure(page, "Chunks"), "0");
    assert.equal(await page.locator("#history tbody tr").count(), 1);
  });
}

pageTest("every kernel that is served can be chosen, and is tried here", prong, async ({ page }) => {
  const { kernels } = await prong.json("/compute");
  await open(page, "/run");
  assert.deepEqual(await page.locator("#kernel option").allTextContents(), kernels.map(({ name }) => name));
  const withExample = kernels.filter(({ pure, example }) => pure && example.includes("?")).map(({ name }) => name);
  assert.deepEqual(withExample.filter((name) => name !== "fault").sort(), EXAMPLES);
});

pageTest("a kernel that is not pure is run, and called by POST alone", prong, async ({ page }) => {
  await open(page, "/run?kernel=lab&mode=threads&n=1000");
  await run(page);
  assert.equal(typeof JSON.parse(await result(page)), "object");
  assert.match(await callFor(page, "wrk"), /^cat > post.lua/);
});

pageTest("raw text is counted, typed and out of a file", prong, async ({ page }) => {
  await open(page, "/run?kernel=wordcount");
  await page.getByLabel("Text", { exact: true }).fill("to be or not to be");
  await run(page);
  assert.equal(JSON.parse(await result(page)).words, 6);
  await page.reload();
  assert.equal(await page.getByLabel("Text", { exact: true }).inputValue(), "to be or not to be", "short text is in the address");
  await page.getByRole("button", { name: "File" }).click();
  await page.locator("#raw-file").setInputFiles({ name: "poem.csv", mimeType: "text/csv", buffer: Buffer.from("one two\nthree\n") });
  assert.equal(await page.getByLabel("Sent as").inputValue(), "text/csv");
  await run(page);
  assert.deepEqual(JSON.parse(await result(page)).words, 3);
  await open(page, "/run?kernel=page");
  await page.getByRole("button", { name: "Raw text" }).click();
  await page.getByLabel("Text", { exact: true }).fill("<title>One &amp; two</title>");
  await page.getByLabel("Sent as").fill("text/html");
  await run(page);
  assert.equal(JSON.parse(await result(page)).title, "One & two");
});

pageTest("bytes come back as they went, and can be saved", prong, async ({ page }) => {
  const bytes = Buffer.from([0, 1, 2, 250, 255, 65, 66, 10]);
  await open(page, "/run?kernel=echo");
  await page.getByRole("button", { name: "File" }).click();
  await page.locator("#raw-file").setInputFiles({ name: "x.bin", mimeType: "application/x-unknown", buffer: bytes });
  await run(page);
  assert.match(await result(page), /00 01 02 fa ff 41 42 0a +·····?AB·|00 01 02 fa ff 41 42 0a/);
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Save" }).click()]);
  const chunks = [];
  for await (const chunk of await download.createReadStream()) chunks.push(chunk);
  assert.deepEqual(Buffer.concat(chunks), bytes);
});

pageTest("no digit of a large integer is lost", prong, async ({ page }) => {
  await open(page, "/run?kernel=sum&end=10000000003");
  await run(page);
  assert.match(await result(page), /"sum": 50000000025000000003\b/);
  await open(page, "/run?kernel=fault&mode=exit&tag=9223372036854775807");
  assert.match(await page.locator("#call pre").textContent(), /"tag":9223372036854775807\b/);
});

pageTest("JSON is laid out without going through numbers", prong, async ({ page }) => {
  await open(page, "/run");
  const { same, members, laid } = await page.evaluate(async () => {
    const { pretty, membersOf } = await import("/js/json.js");
    const tricky = '{"a":[1e400,-0,1.0,"\\\\","\\"}{"],"b":{},"c":[],"d":{"e":[[1],{"f":null}]}}';
    return {
      same: pretty(tricky).replace(/[ \n]/g, "") === tricky, members: membersOf(tricky), laid: pretty(`[${"123456789012345678901,".repeat(5)}0]`),
    };
  });
  assert.ok(same);
  assert.deepEqual(members.map(([name]) => name), ["a", "b", "c", "d"]);
  assert.equal(members[3][1], '{"e":[[1],{"f":null}]}');
  assert.equal(laid.split("\n").length, 8);
});

pageTest("an error is told at its field", prong, { expected: [/status of 400/] }, async ({ page }) => {
  await open(page, "/run?kernel=mandelbrot");
  await page.getByLabel("iterations").fill("0");
  await run(page, "bad");
  const field = page.getByLabel("iterations");
  assert.equal(await field.getAttribute("aria-invalid"), "true");
  assert.ok(await field.evaluate((element) => element === document.activeElement), "it has the focus");
  assert.match(await page.locator("#trouble-iterations").textContent(), /must be an integer from 1 to 100000; got 0/);
  assert.equal(await page.locator("[aria-invalid=true]").count(), 1);
  await field.fill("10");
  assert.equal(await page.locator("[aria-invalid=true]").count(), 0);
  await field.fill("many");
  await run(page, "bad");
  assert.match(await page.locator("#trouble-iterations").textContent(), /got "many"/);
  await axe(page);
});

pageTest("what is wrong with how it is run is told there", prong, { expected: [/status of 400/] }, async ({ page }) => {
  await open(page, "/run?kernel=primes#chunks=-1");
  await run(page, "bad");
  assert.match(await page.locator("#chunks-trouble").textContent(), /Prong-Chunks must be an integer/);
  assert.ok(await page.getByLabel("Chunks").isVisible());
});

pageTest("a crash is told with its signal", prong, async ({ page }) => {
  await open(page, "/run?kernel=fault&mode=segv");
  await run(page, "bad");
  assert.match(await page.locator("#body").textContent(), /SIGSEGV/);
  assert.match(await page.locator("#state").textContent(), /502/);
});

pageTest("a run is stopped by Cancel, and by leaving", prong, { allowed: [/ERR_ABORTED/] }, async ({ page }) => {
  const running = async () => (await prong.json("/status")).compute.running;
  for (const leave of [() => page.getByRole("button", { name: "Cancel" }).click(), () => page.goto("about:blank")]) {
    await open(page, "/run?kernel=sleep&seconds=3000#timeout=25");
    await page.getByRole("button", { name: "Run", exact: true }).click();
    await until(async () => (await running()) === 1, "it runs");
    await leave();
    await until(async () => (await running()) === 0, "it is gone");
  }
  await open(page, "/run");
  await page.locator("#history").getByText("cancelled").waitFor();
});

pageTest("equal calls come out of the cache when asked to", prong, async ({ page }) => {
  await open(page, "/run?kernel=primes&limit=1234567#how=plain");
  await run(page);
  const first = await result(page);
  assert.equal(await figure(page, "Cache"), "miss");
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await page.locator("#state", { hasText: "out of the cache" }).waitFor();
  assert.equal(await result(page), first);
  assert.equal(await figure(page, "Cache"), "hit");
});

pageTest("a durable job is followed to its end, and found again", prong, async ({ page }) => {
  await open(page, "/run?kernel=primes&limit=100000000#priority=low");
  await page.getByRole("button", { name: "Run as a durable job" }).click();
  await state(page, "good");
  assert.deepEqual(JSON.parse(await result(page)), { count: 5761455, limit: 100000000 });
  const id = await page.locator("#job a").first().textContent();
  const job = await prong.json(`/jobs/${id}`);
  assert.deepEqual([job.state, job.priority, job.params], ["succeeded", "low", { limit: 100000000 }]);
  await page.reload();
  await state(page, "good");
  assert.deepEqual(JSON.parse(await result(page)), { count: 5761455, limit: 100000000 });
});

pageTest("a durable job outlives the page, and is cancelled from it", prong, { allowed: [/ERR_ABORTED/] }, async ({ page }) => {
  await open(page, "/run?kernel=sleep&seconds=3000");
  await page.getByRole("button", { name: "Run as a durable job" }).click();
  const id = await page.locator("#job a").first().textContent();
  const stateOf = async () => (await prong.json(`/jobs/${id}`)).state;
  await until(async () => (await stateOf()) === "running", "it runs");
  const asked = [];
  await page.route(`**/jobs/${id}`, (route) => { asked.push(route); }, { times: 1 });
  await page.reload();
  await until(async () => asked.length === 1, "it asks for the job");
  assert.equal(await page.getByRole("button", { name: "Cancel" }).isVisible(), false, "not before it is known what to cancel");
  await asked[0].continue();
  await page.getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel the job" }).click();
  await state(page, "bad");
  assert.equal(await stateOf(), "cancelled");
});

pageTest("the address holds the call", prong, async ({ page }) => {
  await open(page, "/run");
  await page.locator("#kernel").selectOption("pi");
  await page.getByLabel("seed").fill("77");
  await page.locator("#options summary").click();
  await page.getByLabel("Priority").selectOption("high");
  assert.equal(page.url(), `${prong.url}/run?kernel=pi&seed=77#priority=high`);
  await page.reload();
  assert.equal(await page.getByLabel("seed").inputValue(), "77");
  assert.equal(await page.getByLabel("Priority").inputValue(), "high");
});

// ---- the calls that are shown do what they say ----

async function shell(command) {
  const env = { ...process.env, PYTHONPATH: path.join(ROOT, "src/sdk/python"), PYTHONIOENCODING: "utf-8" };
  return (await promisify(execFile)("sh", ["-c", command], { env, cwd: prong.folder })).stdout;
}

// The value exactly, and of the receipt, which differs from run to run, that it is there.
const PRINTED = `import json
value = run.value
value = json.dumps(value, ensure_ascii=False, separators=(",", ":")) if isinstance(value, dict) else value
print(value if isinstance(value, str) else value.decode(), end=str(run.receipt)[0])
run.receipt.clear()`;

async function callFor(page, tool) {
  await page.getByRole("group", { name: "Written for" }).getByRole("button", { name: tool, exact: true }).click();
  return page.locator("#call pre").textContent();
}

const python = (text) => shell(`python3 - <<'END-OF-PYTHON'\n${text}\nEND-OF-PYTHON`);

for (const [what, target] of [
  ["raw text", `/run?kernel=echo#${new URLSearchParams({ raw: AWKWARD })}`],
  ["parameters", `/run?${new URLSearchParams([["kernel", "echo"], ["message", AWKWARD]])}#priority=high`],
]) {
  pageTest(`curl, wrk and Python say the same as the page, with ${what}`, prong, async ({ page }) => {
    await open(page, target);
    const isRaw = what === "raw text";
    const wanted = isRaw ? AWKWARD : JSON.stringify({ message: AWKWARD });
    const given = (text) => (isRaw ? text : JSON.stringify(JSON.parse(text)));
    assert.equal(given(await shell(await callFor(page, "curl"))), wanted);
    assert.match(await shell((await callFor(page, "wrk")).replaceAll("-d10s", "-d1s")), /^(?!.*Non-2xx)[^]*requests in/);
    assert.equal(await python((await callFor(page, "Python")).replace("print(run.value)", PRINTED)), `${wanted}{{}\n`);
    assert.match(await python(await callFor(page, "urllib")), /^wait_ms=/);
  });
}

// ---- by keyboard, in both looks, on a telephone ----

pageTest("it can be run by keyboard alone", prong, async ({ page }) => {
  await open(page, "/run");
  const tabTo = async (isThere) => {
    while (!(await page.evaluate(isThere))) await page.keyboard.press("Tab");
  };
  await tabTo(() => document.activeElement.id === "kernel");
  await page.keyboard.type("sta");
  await tabTo(() => document.activeElement.name === "values");
  await page.keyboard.press("Control+a");
  await page.keyboard.type("2 4 6");
  await tabTo(() => document.activeElement.id === "go");
  await page.keyboard.press("Enter");
  await state(page, "good");
  assert.equal(JSON.parse(await result(page)).mean, 4);
});

pageTest("it is clean for axe with a result, and fits a telephone", prong, async ({ page }) => {
  await open(page, "/run?kernel=mandelbrot&width=900&height=420#priority=high");
  await run(page);
  await page.locator("#body img").evaluate((image) => image.decode());
  await axe(page);
  await fitsPhone(page);
  await screenshot(page, "run-result", { full: true });
});
