// A server of a test's own: the program in PRONG_DIR on a free port of loopback, with its data in a temporary folder, ended
// by its own pid.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));
export const DIR = process.env.PRONG_DIR ?? path.join(ROOT, "build", process.env.PRONG_BUILD ?? "release");

const START_MS = 20_000;
const STOP_MS = 20_000;
const LISTENING = /listening on (https?:\/\/[^ "]+)/;

const running = new Set();
process.on("exit", () => { for (const child of running) child.kill("SIGKILL"); });

// {workers: 2, enableFaultKernel: true, fetchAllow: ["127.0.0.1/32:80", …]} as the command line has it.
function flagsOf(options) {
  return Object.entries(options).flatMap(([name, value]) => {
    const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    if (value === undefined || value === false) return [];
    if (value === true) return [flag];
    return [value].flat().flatMap((one) => [flag, String(one)]);
  });
}

// Options of prong may come from the environment, too: none that the caller has set for himself may get in here.
function environment(folder) {
  const mine = Object.entries(process.env).filter(([name]) => !name.startsWith("PRONG_") && name !== "STATE_DIRECTORY");
  return { ...Object.fromEntries(mine), XDG_STATE_HOME: folder };
}

const within = (ms, promise, what) => {
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error(what())), ms); });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
};

export class Prong {
  // Resolves once it listens.
  static async start(options = {}) {
    const prong = new Prong();
    prong.folder = await mkdtemp(path.join(os.tmpdir(), "prong-browser-"));
    prong.lines = [];
    prong.child = spawn(path.join(DIR, "prong"),
      flagsOf({ listen: "127.0.0.1:0", data: prong.folder, ...options }),
      { env: environment(prong.folder), stdio: ["ignore", "ignore", "pipe"] });
    running.add(prong.child);
    prong.ended = new Promise((resolve, reject) => {
      prong.child.on("error", reject);
      prong.child.on("close", (code, signal) => resolve({ code, signal }));
    }).finally(() => running.delete(prong.child));
    const listening = new Promise((resolve) => {
      createInterface({ input: prong.child.stderr }).on("line", (line) => {
        prong.lines.push(line);
        const match = LISTENING.exec(line);
        if (match) resolve(match[1]);
      });
    });
    const early = prong.ended.then(() => { throw new Error(`prong ended and never listened:\n${prong.log}`); });
    prong.url = await within(START_MS, Promise.race([listening, early]), () => `prong never listened:\n${prong.log}`);
    return prong;
  }

  get pid() { return this.child.pid; }

  get log() { return this.lines.join("\n"); }

  // fetch() from the test itself, past the browser: to bring the server about, and to see what it says of it.
  ask(target, options = {}) { return fetch(this.url + target, options); }

  async json(target, options) { return (await this.ask(target, options)).json(); }

  // Its end is a test of its own: in time, with status 0, and without an error in its log.
  stop() { return (this.stopped ??= this.end()); }

  async end() {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill("SIGTERM");
    let end;
    try {
      end = await within(STOP_MS, this.ended, () => `prong ${this.pid} does not end:\n${this.log}`);
    } finally {
      if (end === undefined) this.child.kill("SIGKILL");
      await rm(this.folder, { recursive: true, force: true });
    }
    assert.deepEqual(end, { code: 0, signal: null }, `how prong ended:\n${this.log}`);
    assert.deepEqual(this.lines.filter((line) => line.includes('"level":"error"')), [], "errors in prong's log");
  }
}
