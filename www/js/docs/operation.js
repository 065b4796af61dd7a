// One operation: a row that unfolds into what it takes, a form to try it, and what it answers.

import { curlOf } from "../api.js";
import { h, setText } from "../dom.js";
import { confirmBy, copyButton } from "../shell.js";
import { send } from "./answer.js";
import { EVENTS } from "./description.js";
import { formOf } from "./form.js";
import { rich, schemaView } from "./schema.js";

// ---- what it answers ----

function eventsView(description, events) {
  return h("dl", { class: "facts" }, Object.entries(events).map(([name, schema]) =>
    [h("dt", {}, h("code", {}, name)), h("dd", {}, schema.$ref === undefined ? rich(schema.description ?? "") : schemaView(description, schema))]));
}

function formView(description, { type, schema, events }) {
  const what = events !== undefined ? eventsView(description, events) : schema === undefined || type === EVENTS ? null : schemaView(description, schema);
  return h("div", { class: "form-view" }, h("code", { class: "media" }, type), what);
}

const problemLink = (name) => h("a", { href: `#${name}` }, h("code", {}, name));

function answerView(description, answer) {
  const isProblem = answer.problems.length > 0;
  return h("div", { class: "answer" },
    h("p", { class: "answer-code" }, h("code", {}, answer.status === "default" ? "else" : answer.status)),
    h("div", {},
      isProblem
        ? h("p", {}, answer.problems.map((name, i) => [i > 0 && ", ", problemLink(name)]))
        : h("p", {}, rich(answer.description)),
      !isProblem && answer.headers.length > 0 && h("details", { class: "members" }, h("summary", {}, "headers"),
        h("dl", { class: "facts" }, answer.headers.map(({ name, description: text }) => [h("dt", {}, h("code", {}, name)), h("dd", {}, text)]))),
      !isProblem && answer.forms.map((form) => formView(description, form))));
}

function answersView(description, operation) {
  const [good, bad] = [(answer) => answer.problems.length === 0, (answer) => answer.problems.length > 0];
  const sorted = [...operation.answers.filter(good), ...operation.answers.filter(bad)]
    .sort((a, b) => (a.status === "default") - (b.status === "default"));
  return h("section", { class: "answers" }, h("h4", {}, "Answers"), sorted.map((answer) => answerView(description, answer)));
}

// ---- trying it ----

const isYes = (operation, path) => operation.method !== "DELETE" || confirmBy({
  title: `${operation.summary}?`, text: `DELETE ${path} takes effect at once, on this server.`, action: "Send it",
});

function commandOf({ method, path, headers, type, body, shown }) {
  if (body === null) return curlOf(path, { method, headers });
  if (type === "application/json") return curlOf(path, { method, headers, json: shown });
  return curlOf(path, { method, headers, type, body: shown });
}

const commandShown = (request) => commandOf(request).replace(/^curl/, request.headers.Accept === EVENTS ? "curl -N" : "curl");

function tryingView(description, operation) {
  const command = h("pre", { class: "command", tabindex: 0, role: "region", "aria-label": "The same with curl" });
  const place = h("div", { class: "answered" });
  const state = h("output", { class: "note", "aria-live": "polite" });
  const go = h("button", {}, "Send");
  const stop = h("button", { type: "button", class: "quiet", hidden: true }, "Stop");
  let running = null;
  let form = null;
  const show = () => form !== null && setText(command, commandShown(form.request()));
  form = formOf(description, operation, show);

  async function run() {
    const request = form.request();
    if (running !== null || !(await isYes(operation, request.path))) return;
    running = new AbortController();
    go.disabled = true;
    stop.hidden = false;
    place.replaceChildren();
    setText(state, "waiting for the answer");
    try {
      await send(request, place, running.signal, (what) => setText(state, what));
      setText(state, "");
    } catch (error) {
      setText(state, error.name === "AbortError" ? "stopped" : error.message);
    }
    running = null;
    go.disabled = false;
    stop.hidden = true;
  }

  stop.addEventListener("click", () => running?.abort());
  show();
  return h("form", { class: "trying", onsubmit: (event) => { event.preventDefault(); run(); } },
    form.element,
    h("div", { class: "buttons" }, go, stop, state),
    h("div", { class: "with-copy" }, command, copyButton(() => command.textContent)),
    place);
}

// ---- the row ----

const kernelOf = (operation) => (operation.tag === "Kernels" ? operation.path.split("/").at(-1) : null);

function insideOf(description, operation) {
  const kernel = kernelOf(operation);
  return h("div", { class: "inside" },
    h("div", { class: "about" },
      operation.description !== "" && h("p", {}, rich(operation.description)),
      operation.isOpen && h("p", { class: "note" }, "Needs no token."),
      kernel !== null && h("p", {}, h("a", { href: `/run?kernel=${encodeURIComponent(kernel)}` }, "On its own page, with its result and what it cost"))),
    h("div", { class: "halves" }, tryingView(description, operation), answersView(description, operation)));
}

export const pathView = (path) =>
  path.split(/(\{[^}]+\})/).map((piece) => (piece.startsWith("{") ? h("i", {}, piece) : piece));

// {element, text (what a search looks at, lower case), open()}. What is inside is made when it is opened.
export function operationRow(description, operation, opened) {
  const element = h("details", { class: "operation", id: operation.id, "data-method": operation.method },
    h("summary", {},
      h("span", { class: "method" }, operation.method), h("h3", { class: "path" }, pathView(operation.path)),
      h("span", { class: "summary" }, operation.summary)));
  element.addEventListener("toggle", () => {
    if (element.open && element.childElementCount === 1) element.append(insideOf(description, operation));
    opened(element);
  });
  const words = [operation.id, operation.method, operation.path, operation.summary, operation.description, operation.tag,
    ...operation.parameters.map(({ name }) => name)];
  return { element, text: words.join(" ").toLowerCase(), open() { element.open = true; } };
}
