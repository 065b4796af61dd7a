// One kind of problem: what every occurrence of it has in common. Its anchor is where the `type` of an answer points.

import { h } from "../dom.js";
import { rich } from "./schema.js";

const kindOf = (status) => (status < 500 ? "warn" : "bad");

// {element, text}, as operationRow has them.
export function problemRow(description, { name, status, title, advice }) {
  const from = description.answering.get(name).filter((operation) => operation.tag !== "Kernels");
  const element = h("article", { class: "problem", id: name },
    h("p", { class: "problem-head" },
      h("span", { class: "pill", "data-kind": kindOf(status) }, String(status)),
      h("a", { class: "anchor", href: `#${name}` }, h("code", {}, name))),
    h("div", {},
      h("h3", {}, title), h("p", {}, rich(advice)),
      from.length > 0 && h("p", { class: "note" }, "Of ", from.map((operation, i) =>
        [i > 0 && ", ", h("a", { href: `#${operation.id}` }, `${operation.method} ${operation.path}`)]))));
  return { element, text: `${name} ${status} ${title} ${advice}`.toLowerCase(), open() {} };
}
