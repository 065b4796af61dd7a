// The card that shows the same call for other tools, one at a time.

import { $, h, setText } from "../dom.js";
import { copyButton } from "../shell.js";
import * as calls from "./calls.js";

const TEXT_MAX = 2000; // characters of raw text that are written into a call; more is for a file

const TOOLS = [
  { name: "curl", of: calls.curl, note: "" },
  { name: "wrk", of: calls.wrk, note: "Equal calls of a pure kernel come out of the cache; with -H 'Cache-Control: no-cache' each is computed." },
  { name: "Python", of: calls.python, note: "With the project's own client, which needs nothing but Python." },
  { name: "urllib", of: calls.urllib, note: "With what Python has by itself." },
];

const shortened = (call) => (call.raw?.text?.length > TEXT_MAX
  ? { ...call, raw: { type: call.raw.type, file: { name: "input.txt" } } } : call);

// {show(call)}, or show(null) when what is typed makes no call.
export function callsCard() {
  let chosen = TOOLS[0], call = null;
  const code = h("pre", { tabindex: 0, role: "region", "aria-label": "The call" });
  const note = h("p", { class: "note" });
  const buttons = TOOLS.map((tool) => h("button", { type: "button", onclick: () => choose(tool) }, tool.name));

  function draw() {
    $("calls").hidden = call === null;
    if (call === null) return;
    setText(code, chosen.of(shortened(call)));
    setText(note, chosen.note);
    note.hidden = chosen.note === "";
  }
  function choose(tool) {
    chosen = tool;
    buttons.forEach((button, i) => button.setAttribute("aria-pressed", String(TOOLS[i] === tool)));
    draw();
  }
  $("call-choice").append(...buttons);
  $("call").append(code, h("div", { class: "buttons" }, copyButton(() => code.textContent), note));
  choose(chosen);
  return {
    show(given) {
      call = given;
      draw();
    },
  };
}
