// A table whose rows stay the same elements from one showing to the next, so that what has the focus or is being pressed
// is not taken away.

import { h } from "../dom.js";

// columns: {title, number, class, make: (key) => cell's content, show: (content, item) => …}; `make` gives the node that
// `show` fills. {element, show(items, keyOf)} shows the items in their order.
export function rowsOf(caption, columns, classes = "") {
  const body = h("tbody", {});
  const rows = new Map();
  const head = h("tr", {}, columns.map(({ title, number, class: name }) =>
    h("th", { scope: "col", class: [number && "number", name].filter(Boolean).join(" ") || null }, title)));
  const element = h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    h("table", { class: `bare ${classes}` }, h("caption", {}, caption), h("thead", {}, head), body));

  function rowOf(key) {
    const contents = columns.map(({ make }) => (make ? make(key) : h("span", {})));
    const tr = h("tr", {}, columns.map(({ number, class: name }, i) =>
      h("td", { class: [number && "number", name].filter(Boolean).join(" ") || null }, contents[i])));
    return { tr, contents };
  }

  function show(items, keyOf) {
    const wanted = new Set(items.map(keyOf));
    for (const [key, { tr }] of rows) {
      if (wanted.has(key)) continue;
      tr.remove();
      rows.delete(key);
    }
    items.forEach((item, place) => {
      const key = keyOf(item);
      if (!rows.has(key)) rows.set(key, rowOf(key));
      const { tr, contents } = rows.get(key);
      if (body.children[place] !== tr) body.insertBefore(tr, body.children[place] ?? null);
      columns.forEach(({ show: fill }, i) => fill(contents[i], item, tr));
    });
  }

  return { element, show };
}
