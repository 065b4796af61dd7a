// /openapi.json is OpenAPI 3.1, by the validator that has the standard's own schema.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";
import test from "node:test";
import { pathToFileURL } from "node:url";

import { Prong, ROOT } from "./prong.mjs";

const require = createRequire(path.join(ROOT, "build/browser/package.json"));
const { Validator } = await import(pathToFileURL(require.resolve("@seriousme/openapi-schema-validator")).href);

async function findings(document) {
  const validator = new Validator();
  const { valid, errors } = await validator.validate(document);
  assert.equal(validator.version, "3.1");
  return valid ? [] : [errors].flat();
}

async function described(options, headers = {}) {
  const prong = await Prong.start(options);
  try {
    return await prong.json("/openapi.json", { headers });
  } finally {
    await prong.stop();
  }
}

test("it is OpenAPI 3.1, with all kernels", async () => {
  const document = await described({ workers: 1, enableFaultKernel: true });
  assert.ok("/compute/fault" in document.paths && "/jobs" in document.paths);
  assert.deepEqual(await findings(document), []);
});

test("it is OpenAPI 3.1 with a token, too", async () => {
  const folder = await mkdtemp(path.join(os.tmpdir(), "prong-token-"));
  try {
    const tokenFile = path.join(folder, "token");
    await writeFile(tokenFile, "a-token-for-this-test\n", { mode: 0o600 });
    const document = await described({ workers: 1, tokenFile }, { Authorization: "Bearer a-token-for-this-test" });
    assert.equal(document.security.length, 1);
    assert.deepEqual(await findings(document), []);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("what is none is found out", async () => {
  const document = await described({ workers: 1 });
  const parameter = document.paths["/compute/primes"].get.parameters.find(({ in: place }) => place === "query");
  parameter.in = "air";
  assert.notDeepEqual(await findings(document), []);
});
