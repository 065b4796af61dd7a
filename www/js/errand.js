// One errand at a time, for pages with a form: #stop ends what #go has begun, #progress and #state tell of it, #trouble says
// why it failed.

import { $, setText } from "./dom.js";

let running = null; // the AbortController of the errand under way

export const isRunning = () => running !== null;

export function showState(text, trouble = "") {
  setText($("state"), text);
  setText($("trouble"), trouble);
  $("trouble").hidden = trouble === "";
}

function setRunning(controller) {
  running = controller;
  $("go").disabled = controller !== null;
  $("stop").hidden = $("progress").hidden = controller === null;
  $("result").setAttribute("aria-busy", String(controller !== null));
}

export const showProgress = ({ total, done }) => Object.assign($("progress"), { max: total, value: done });

export function offerStop() {
  $("stop").addEventListener("click", () => running?.abort());
}

// Runs `work(signal)`, which gives what is said at its end. {begun, stopped}: what is said meanwhile, and when it was stopped.
export async function runErrand({ begun, stopped }, work) {
  const controller = new AbortController();
  setRunning(controller);
  $("progress").removeAttribute("value");
  showState(begun);
  try {
    showState(await work(controller.signal));
  } catch (error) {
    if (error.name === "AbortError") showState(stopped);
    else showState("", error.message);
  } finally {
    setRunning(null);
  }
}
