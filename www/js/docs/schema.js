// A JSON Schema as words and tables.

import { h } from "../dom.js";
import { count, short } from "../format.js";

const ENUM_SHOWN_MAX = 12;

const figure = (n) => (Math.abs(n) >= 1e7 ? short(n) : Number.isInteger(n) ? count(n) : String(n));

function rangeOf({ minimum, maximum, exclusiveMinimum }) {
  if (minimum !== undefined && maximum !== undefined) return `${figure(minimum)} to ${figure(maximum)}`;
  if (exclusiveMinimum !== undefined) return `above ${figure(exclusiveMinimum)}${maximum === undefined ? "" : `, ${figure(maximum)} at most`}`;
  if (minimum !== undefined) return `${figure(minimum)} or more`;
  return maximum === undefined ? "" : `${figure(maximum)} at most`;
}

// What values it allows, beside their type.
export function boundsOf(schema) {
  return [
    rangeOf(schema),
    schema.maxLength === undefined ? "" : `${figure(schema.maxLength)} characters at most`,
    schema.maxItems === undefined ? "" : `${figure(schema.maxItems)} at most`,
    schema.default === undefined ? "" : `default ${JSON.stringify(schema.default)}`,
  ].filter(Boolean).join(" · ");
}

function wordsOf(words) {
  const shown = words.slice(0, ENUM_SHOWN_MAX).join(" | ");
  return words.length > ENUM_SHOWN_MAX ? `${shown} | …` : shown;
}

// "integer", "array of Worker", "Progress or null".
export function typeOf(description, schema) {
  if (schema === undefined) return "anything";
  if (schema.$ref !== undefined) {
    const target = description.follow(schema);
    return target.properties === undefined && target.allOf === undefined ? typeOf(description, target) : description.nameOf(schema);
  }
  if (schema.anyOf !== undefined) return schema.anyOf.map((one) => typeOf(description, one)).join(" or ");
  if (schema.enum !== undefined) return wordsOf(schema.enum);
  if (schema.type === "array") return `array of ${typeOf(description, schema.items)}`;
  if (schema.format === "uuid") return "UUID";
  if (Array.isArray(schema.type)) return schema.type.join(" or ");
  return schema.type ?? "anything";
}

// Text with `code` and --options in it, as nodes.
export const rich = (text) =>
  text.split(/(`[^`]*`|--[a-z][a-z-]+)/).map((piece, i) => (i % 2 === 1 ? h("code", {}, piece.replaceAll("`", "")) : piece));

// The schema whose members are to be shown, behind references, arrays and alternatives; null when there is none.
function membersOf(description, schema) {
  if (schema === undefined) return null;
  const { type, items, anyOf = [], allOf = [], properties, required = [] } = description.follow(schema);
  if (type === "array") return membersOf(description, items);
  const own = properties === undefined ? null : { properties, required };
  const parts = [...[...anyOf, ...allOf].map((one) => membersOf(description, one)), own].filter((part) => part !== null);
  if (parts.length === 0) return null;
  return { properties: Object.assign({}, ...parts.map((part) => part.properties)), required: parts.flatMap((part) => part.required) };
}

// Folded away, and made when it is opened: schemas may refer to each other without end.
function nested(description, schema) {
  const details = h("details", { class: "members" }, h("summary", {}, "members"));
  details.addEventListener("toggle", () => {
    if (details.childElementCount === 1) details.append(tableOf(description, schema));
  }, { once: true });
  return details;
}

function row(description, [name, schema], required) {
  const target = description.follow(schema);
  const facts = boundsOf(target);
  return h("tr", {},
    h("td", {}, h("code", {}, name), !required.includes(name) && h("span", { class: "note" }, " ?")),
    h("td", {}, h("span", { class: "type" }, typeOf(description, schema)), facts !== "" && h("span", { class: "note" }, ` ${facts}`)),
    h("td", {}, rich(schema.description ?? target.description ?? ""), membersOf(description, schema) !== null && nested(description, schema)));
}

function tableOf(description, schema) {
  const { properties, required } = membersOf(description, schema);
  return h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `Members of ${typeOf(description, schema)}` },
    h("table", { class: "bare" },
      h("caption", {}, `Members of ${typeOf(description, schema)}; ? marks those that may be absent`),
      h("thead", {}, h("tr", {}, ["Member", "Type", "What it is"].map((title) => h("th", { scope: "col" }, title)))),
      h("tbody", {}, Object.entries(properties).map((member) => row(description, member, required)))));
}

// Its name, and a table of its members if it has any, folded away unless `isOpen`.
export function schemaView(description, schema, { isOpen = false } = {}) {
  const name = typeOf(description, schema);
  const target = description.follow(schema ?? {});
  const members = membersOf(description, schema);
  const facts = boundsOf(target);
  if (members === null || Object.keys(members.properties).length === 0) {
    return h("span", {}, h("span", { class: "type" }, members === null ? name : "no members"), facts !== "" && h("span", { class: "note" }, ` ${facts}`),
      target.description && h("span", { class: "note" }, " ", rich(target.description)));
  }
  if (isOpen) return tableOf(description, schema);
  const details = h("details", { class: "members" }, h("summary", {}, name));
  details.addEventListener("toggle", () => details.append(tableOf(description, schema)), { once: true });
  return details;
}
