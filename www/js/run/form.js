// A form from a kernel's schema. What was typed stays text all the way into the request's JSON, so no digit is lost, and
// the server alone judges it; what would not even be JSON is sent as a string, for the server to name the parameter.

import { h, setText } from "../dom.js";
import { short } from "../format.js";
import { isNumber } from "../json.js";

const LINE_MAX = 256; // characters; a text that may be longer gets more than one line

const isText = (schema) => schema.type === "string";
const rounded = (n) => (Math.abs(n) >= 1e6 ? short(n) : String(n));

function boundsOf({ minimum, maximum, maxItems, maxLength }) {
  if (minimum !== undefined && maximum !== undefined) return `${rounded(minimum)} to ${rounded(maximum)}`;
  if (minimum !== undefined) return `${rounded(minimum)} or more`;
  if (maximum !== undefined) return `at most ${rounded(maximum)}`;
  if (maxItems !== undefined) return `at most ${rounded(maxItems)} numbers`;
  return maxLength === undefined ? "" : `at most ${rounded(maxLength)} bytes`;
}

export function kindOf(schema) {
  if (schema.enum) return "choice";
  if (schema.type === "array" && schema.items?.type === "number") return "numbers";
  if (isText(schema)) return "text";
  return schema.type === "integer" || schema.type === "number" ? schema.type : "json";
}

const textOf = (schema, value) => (isText(schema) ? value : JSON.stringify(value));

function controlOf(name, schema) {
  const kind = kindOf(schema);
  const value = schema.default === undefined ? "" : textOf(schema, schema.default);
  const common = { name, id: `param-${name}`, spellcheck: "false", autocomplete: "off" };
  if (kind === "choice") {
    return h("select", common, schema.enum.map((word) => new Option(word, word, word === value, word === value)));
  }
  if (kind === "numbers") return h("textarea", { ...common, rows: 2, placeholder: "1, 2.5, 3" });
  if (kind === "json") return h("textarea", { ...common, rows: 3, placeholder: '{"any": "JSON"}' }, value);
  if (kind === "text" && !(schema.maxLength <= LINE_MAX)) return h("textarea", { ...common, rows: 2 }, value);
  if (kind === "text") return h("input", { ...common, value });
  return h("input", { ...common, value, inputmode: kind === "integer" ? "numeric" : "decimal", class: "figure" });
}

function numbersOf(text) {
  const words = text.trim().replace(/^\[|\]$/g, "").split(/[\s,;]+/).filter(Boolean);
  return `[${words.map((word) => (isNumber(word) ? word : JSON.stringify(word))).join(",")}]`;
}

function jsonOf(kind, text) {
  if (kind === "text" || kind === "choice") return JSON.stringify(text);
  if (kind === "numbers") return numbersOf(text);
  if (kind === "json") {
    JSON.parse(text); // throws what is wrong with it
    return text.trim();
  }
  return isNumber(text.trim()) ? text.trim() : JSON.stringify(text);
}

function fieldOf(name, schema, isRequired) {
  const control = controlOf(name, schema);
  const kind = kindOf(schema);
  const hint = h("small", { id: `hint-${name}` }, [schema.description, boundsOf(schema)].filter(Boolean).join(" · "));
  const trouble = h("small", { id: `trouble-${name}`, class: "bad", role: "alert", hidden: true });
  control.setAttribute("aria-describedby", `${hint.id} ${trouble.id}`);
  if (isRequired) control.setAttribute("aria-required", "true");
  const first = control.value;
  const mark = (text) => {
    setText(trouble, text);
    trouble.hidden = text === "";
    control.setAttribute("aria-invalid", String(text !== ""));
  };
  control.addEventListener("input", () => mark(""));
  const isGiven = () => control.value !== "" || (kind === "text" && first !== "");
  return {
    element: h("label", { class: kind === "numbers" || kind === "json" ? "field wide" : "field" },
      h("span", {}, name, isRequired && h("em", { class: "note" }, " required")), control, hint, trouble),
    kind, control, mark, isGiven,
    isDefault: () => control.value === first,
    json: () => jsonOf(kind, control.value),
  };
}

// What is typed for a parameter cannot even be sent.
export class FieldTrouble extends Error {
  constructor(name, message) {
    super(message);
    this.parameter = name;
  }
}

// {element, fill(texts by name), given(): [[name, text]] that are not the defaults, values(): [[name, JSON text, text]],
// mark(name, sentence): whether there is such a field, clear(), hideInput(whether the parameter that is the input is not
// asked for)}. values() throws a FieldTrouble.
export function formOf({ properties = {}, required = [] }) {
  const fields = new Map(Object.entries(properties).map(([name, schema]) =>
    [name, fieldOf(name, schema, required.includes(name))]));
  const shown = () => [...fields].filter(([, field]) => !field.element.hidden);

  function valueOf(name, field) {
    try {
      return [name, field.json(), field.control.value];
    } catch (error) {
      throw new FieldTrouble(name, `Parameter ${name} must be JSON: ${error.message}.`);
    }
  }

  return {
    element: h("div", { class: "grid" }, [...fields.values()].map((field) => field.element)),
    fill(texts) {
      for (const [name, text] of texts) {
        if (fields.has(name)) fields.get(name).control.value = text;
      }
    },
    given: () => shown().filter(([, field]) => !field.isDefault()).map(([name, field]) => [name, field.control.value]),
    values: () => shown().filter(([, field]) => field.isGiven()).map(([name, field]) => valueOf(name, field)),
    mark(name, sentence) {
      const field = fields.get(name);
      if (field === undefined || field.element.hidden) return false;
      field.mark(sentence);
      field.control.focus();
      return true;
    },
    clear() {
      for (const field of fields.values()) field.mark("");
    },
    hideInput(isHidden) {
      for (const field of fields.values()) {
        if (field.kind === "numbers") field.element.hidden = isHidden;
      }
    },
  };
}
