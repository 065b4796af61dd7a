// The web server of tests/site_server.py, for pages that fetch: {url, port, stop()}.

import { spawn } from "node:child_process";
import path from "node:path";
import { createInterface } from "node:readline";

import { ROOT } from "./prong.mjs";

export async function startSite() {
  const child = spawn(process.env.PYTHON ?? "/usr/bin/python3", [path.join(ROOT, "tests/site_server.py")], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: "1" },
  });
  const lines = createInterface({ input: child.stdout });
  const { value: port } = await lines[Symbol.asyncIterator]().next();
  const ended = new Promise((resolve) => { child.on("close", resolve); });
  return {
    port: Number(port),
    url: `http://127.0.0.1:${port}`,
    stop() {
      child.stdin.end(); // it ends with its input
      return ended;
    },
  };
}
