// A form for an operation, and the request that it stands for. What is left empty is not sent; the server alone judges what is.

import { h } from "../dom.js";
import { EVENTS, formsOf } from "./description.js";
import { boundsOf, rich, schemaView, typeOf } from "./schema.js";

const PLACES = { path: 0, query: 1, header: 2 };

const schemaOf = (parameter) => parameter.schema ?? Object.values(parameter.content ?? {})[0]?.schema ?? {};
const exampleOf = (parameter) => parameter.example ?? Object.values(parameter.content ?? {})[0]?.example;
const textOf = (value) => (value === undefined ? "" : typeof value === "string" ? value : JSON.stringify(value));

// ---- parameters ----

function controlOf(parameter, schema, id) {
  const value = textOf(exampleOf(parameter));
  const common = { id, name: parameter.name, autocomplete: "off", spellcheck: "false", "aria-describedby": `${id}-hint` };
  if (schema.enum !== undefined) {
    return h("select", common, h("option", { value: "" }, ""), schema.enum.map((word) => h("option", { selected: word === value }, word)));
  }
  if (parameter.allowEmptyValue) return h("input", { ...common, type: "checkbox", value: "1" });
  const inputmode = { integer: "numeric", number: "decimal" }[schema.type];
  return h("input", { ...common, inputmode, value, required: parameter.required || undefined, placeholder: textOf(schema.default) });
}

function fieldOf(description, operation, parameter) {
  const schema = description.follow(schemaOf(parameter));
  const id = `${operation.id}.${parameter.in}.${parameter.name}`;
  const control = controlOf(parameter, schema, id);
  const facts = [schema.enum === undefined ? typeOf(description, schema) : "", boundsOf(schema)].filter(Boolean).join(" · ");
  const element = h("div", { class: "param" },
    h("label", { for: id }, h("code", {}, parameter.name), parameter.required ? h("span", { class: "note" }, " required") : null),
    h("div", {}, control),
    h("p", { id: `${id}-hint`, class: "note" }, rich(parameter.description ?? ""), facts !== "" && h("span", { class: "type" }, ` ${facts}`)));
  const value = () => (control.type === "checkbox" && !control.checked ? "" : control.value);
  return { parameter, element, value };
}

function groupOf(title, fields, isFolded) {
  if (fields.length === 0) return null;
  const rows = h("div", { class: "params" }, fields.map((field) => field.element));
  return isFolded
    ? h("details", { class: "fold" }, h("summary", {}, `${title} (${fields.length})`), rows)
    : h("fieldset", {}, h("legend", {}, title), rows);
}

// ---- the body ----

const isText = (type) => type === "application/json" || type.startsWith("text/");
const sentAs = (type) => ({ "text/*": "text/plain", "image/*": "application/octet-stream" })[type] ?? type;

function bodyOf(description, operation, changed) {
  const contents = Object.entries(operation.body.content);
  const id = `${operation.id}.body`;
  const kind = h("select", { id: `${id}.type`, name: "content-type" }, contents.map(([type]) => h("option", { value: type }, type)));
  const text = h("textarea", { id, rows: 5, spellcheck: "false", "aria-label": "Body" }, textOf(contents[0][1].example));
  const file = h("input", { type: "file", "aria-label": "File to send" });
  const about = h("div", {});
  const content = () => operation.body.content[kind.value];
  function show() {
    text.hidden = !isText(kind.value);
    file.hidden = kind.value === "application/json";
    about.replaceChildren(content().schema === undefined ? "Bytes, as they are." : schemaView(description, content().schema, { isOpen: true }));
    changed();
  }
  kind.addEventListener("change", () => {
    text.value = textOf(content().example);
    show();
  });
  file.addEventListener("change", changed);
  show();
  return {
    element: h("fieldset", {}, h("legend", {}, "Body"),
      operation.body.description && h("p", { class: "note" }, rich(operation.body.description)),
      contents.length > 1 && h("label", { class: "field" }, h("span", {}, "Content-Type"), kind), text, file, about),
    // {type, body, shown}: a string, a File, or null when nothing is to be sent. `shown` stands for it in a command.
    value() {
      const chosen = file.hidden ? undefined : file.files[0];
      if (chosen !== undefined) return { type: sentAs(kind.value), body: chosen, shown: `@${chosen.name}` };
      if (text.hidden || text.value === "") return { type: sentAs(kind.value), body: null, shown: null };
      return { type: sentAs(kind.value), body: text.value, shown: text.value };
    },
  };
}

// ---- the answer's form ----

function acceptOf(operation, changed) {
  const types = [...new Set(formsOf(operation).map(({ type }) => type))];
  const hasEvents = types.includes(EVENTS);
  if (!hasEvents || types.length === 1) return { element: null, value: () => (hasEvents ? EVENTS : "") };
  const events = h("input", { type: "checkbox", name: "events", onchange: changed });
  return {
    element: h("label", { class: "check" }, events, h("span", {}, "as a stream of events ", h("code", {}, EVENTS))),
    value: () => (events.checked ? EVENTS : ""),
  };
}

// {element, request(): {method, path, headers, type, body, shown}}; `changed` is called whenever the request may be another.
export function formOf(description, operation, changed) {
  const fields = operation.parameters
    .toSorted((a, b) => PLACES[a.in] - PLACES[b.in])
    .map((parameter) => fieldOf(description, operation, parameter));
  const within = (place) => fields.filter(({ parameter }) => parameter.in === place);
  const body = operation.body === null ? null : bodyOf(description, operation, changed);
  const accept = acceptOf(operation, changed);

  function path() {
    const query = new URLSearchParams(within("query").filter((field) => field.value() !== "").map((field) => [field.parameter.name, field.value()]));
    const filled = within("path").filter((field) => field.value() !== "").reduce(
      (text, field) => text.replace(`{${field.parameter.name}}`, () => encodeURIComponent(field.value())), operation.path);
    return query.size === 0 ? filled : `${filled}?${query}`;
  }

  function headers() {
    const given = within("header").filter((field) => field.value() !== "").map((field) => [field.parameter.name, field.value()]);
    return Object.fromEntries(accept.value() === "" ? given : [["Accept", accept.value()], ...given]);
  }

  return {
    element: h("div", { class: "fields", oninput: changed },
      groupOf("Path", within("path"), false), groupOf("Query", within("query"), false),
      body?.element, groupOf("Headers", within("header"), true), accept.element),
    request: () => ({ method: operation.method, path: path(), headers: headers(), ...(body?.value() ?? { type: "", body: null, shown: null }) }),
  };
}
