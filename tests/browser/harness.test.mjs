// The harness sees what it is there to see: each trouble is made on purpose, and must be noticed.

import { assert, axe, fitsPhone, judge, pageTest, prongFor } from "./harness.mjs";

const prong = prongFor({ workers: 1 });

pageTest("an error on the console is noticed", prong, { expected: [/^console: on purpose/] }, async ({ page }) => {
  await page.goto("/run");
  await page.evaluate(() => console.error("on purpose"));
});

pageTest("a file that is missing is noticed", prong, { expected: [/^console: .*404.*nothing-here/] }, async ({ page }) => {
  await page.goto("/run");
  await page.goto("/nothing-here");
});

pageTest("what is thrown is noticed", prong, { expected: [/^thrown: .*on purpose/] }, async ({ page }) => {
  await page.goto("/run");
  const thrown = page.waitForEvent("pageerror");
  await page.evaluate(() => { setTimeout(() => { throw new Error("on purpose"); }, 0); });
  await thrown;
});

pageTest("a breach of the policy is noticed", prong,
  {
    expected: [/^policy: img-src forbids http:\/\/elsewhere\.example/, /^foreign request: http:\/\/elsewhere\.example/],
    allowed: [/^console: .*Content Security Policy/],
  },
  async ({ page }) => {
    await page.goto("/run");
    await page.evaluate(() => new Promise((resolve) => {
      document.addEventListener("securitypolicyviolation", resolve);
      new Image().src = "http://elsewhere.example/";
    }));
  });

pageTest("a request to another origin is noticed", prong, { expected: [/^foreign request: http:\/\/elsewhere\.example/] },
  async ({ page }) => {
    await assert.rejects(page.goto("http://elsewhere.example/"), /ERR_NAME_NOT_RESOLVED/);
  });

pageTest("axe has a look at both looks", prong, async ({ page }) => {
  await page.goto("/run");
  await axe(page);
  await page.evaluate(() => document.querySelector("main").append(document.createElement("button")));
  await assert.rejects(axe(page), /button-name/);
  await page.evaluate(() => {
    document.querySelector("main button:empty").remove();
    document.querySelector("h1").style.color = "light-dark(black, #333)";
  });
  await assert.rejects(axe(page), /dark look[^]*color-contrast/);
});

pageTest("what is too wide for a telephone is named", prong, async ({ page }) => {
  await page.goto("/run");
  await fitsPhone(page);
  await page.evaluate(() => { document.querySelector("h1").style.width = "361px"; });
  await assert.rejects(fitsPhone(page), /scrolls sideways[^]*<h1/);
});

pageTest("troubles are judged by what was expected", prong, async () => {
  judge(["a", "b"], [/a/], [/b/, /c/]);
  assert.throws(() => judge(["a"], [], []), /must not/);
  assert.throws(() => judge([], [/a/], []), /expected to go wrong/);
});
