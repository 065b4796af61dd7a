// What the server does, as it does it: GET /events. The tabs of one browser share one connection, since a browser has
// only six to a server: the one that holds the lock reads it and passes everything on. A hidden tab lets go of it.

import { events } from "./api.js";

const NAME = "prong-live";
const RETRY_FIRST_MS = 500;
const RETRY_MAX_MS = 10_000;

const listeners = new Map(); // by event, a set of functions
const channel = "BroadcastChannel" in window ? new BroadcastChannel(NAME) : null;
let last = null; // the last status, for who comes later
let leaving = null; // the AbortController of our turn
let isLeader = false;

function tell(event, data) {
  if (event === "status") last = data;
  for (const listener of listeners.get(event) ?? []) listener(data);
}

function pass(event, data) {
  tell(event, data);
  channel?.postMessage({ event, data });
}

channel?.addEventListener("message", ({ data: message }) => {
  if (message.event !== "want") tell(message.event, message.data);
  else if (isLeader && last !== null) channel.postMessage({ event: "status", data: last });
});

const wait = (ms, signal) => new Promise((resolve) => {
  const timer = setTimeout(resolve, ms);
  signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
});

async function read(signal) {
  let pause = RETRY_FIRST_MS;
  while (!signal.aborted) {
    try {
      for await (const { event, data } of events("/events", { signal })) {
        pause = RETRY_FIRST_MS;
        pass(event, JSON.parse(data));
      }
    } catch (error) {
      if (!signal.aborted) pass("offline", { reason: error.message, status: error.status ?? 0 });
    }
    await wait(pause, signal);
    pause = Math.min(2 * pause, RETRY_MAX_MS);
  }
}

async function lead(signal) {
  isLeader = true;
  await read(signal);
  isLeader = false;
}

async function begin() {
  if (leaving !== null) return;
  leaving = new AbortController();
  const { signal } = leaving;
  channel?.postMessage({ event: "want" });
  if (channel === null || !navigator.locks) return lead(signal);
  try {
    await navigator.locks.request(NAME, { signal }, () => lead(signal));
  } catch (error) {
    if (error.name !== "AbortError") throw error;
  }
}

function end() {
  leaving?.abort();
  leaving = null;
}

// Calls `listener` with the data of each such event: "status", "sample", or "offline" ({reason}) when the connection is
// lost. The first listener opens the connection. A status that is known already is told at once.
export function onLive(event, listener) {
  const isFirst = listeners.size === 0;
  if (!listeners.has(event)) listeners.set(event, new Set());
  listeners.get(event).add(listener);
  if (event === "status" && last !== null) listener(last);
  if (!isFirst) return;
  document.addEventListener("visibilitychange", () => (document.hidden ? end() : begin()));
  window.addEventListener("pagehide", end);
  window.addEventListener("pageshow", () => !document.hidden && begin());
  if (!document.hidden) begin();
}
