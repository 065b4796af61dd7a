// Making elements. Text is always text: nothing here takes markup, so what the server or a page that was fetched says
// cannot become any.

export const $ = (id) => document.getElementById(id);

function build(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// h("button", {class: "quiet", onclick: stop}, "Stop"). An attribute that is undefined, null or false is left out;
// children may be nested arrays, and those that are null or false are left out.
export const h = (tag, attributes, ...children) => build(document.createElement(tag), attributes, children);

// The same for SVG: s("rect", {x, y, width, height, class: "bar"}).
export const s = (tag, attributes, ...children) =>
  build(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

// Sets the text only when it differs: who selects it, or has it read aloud, is not disturbed.
export function setText(element, text) {
  const wanted = String(text ?? "");
  if (element.textContent !== wanted) element.textContent = wanted;
}

// A table whose columns are {title, of: (row) => cell or text, number: true for figures}. `caption` is read aloud, and seen
// if `attributes.class` has not "bare".
export function tableOf(caption, columns, rows, attributes = {}) {
  const cell = (column, row) => h("td", { class: column.number ? "number" : undefined }, column.of(row));
  return h("table", attributes,
    h("caption", {}, caption),
    h("thead", {}, h("tr", {}, columns.map((column) =>
      h("th", { scope: "col", class: column.number ? "number" : undefined }, column.title)))),
    h("tbody", {}, rows.map((row) => h("tr", {}, columns.map((column) => cell(column, row))))));
}

// A chart's figures as a table, folded away: `make` is called whenever it is opened.
export function asTable(make, summary = "As a table") {
  const details = h("details", { class: "as-table" }, h("summary", {}, summary));
  details.addEventListener("toggle", () => {
    details.querySelector(".scroll")?.remove();
    if (details.open) details.append(h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": summary }, make()));
  });
  return details;
}

// Saves what was made here as a file.
export function download(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = h("a", { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

// One line of CSV for each row, the header first. Cells that a spreadsheet would take for a formula get an apostrophe.
export function csvOf(columns, rows) {
  const cell = (value) => {
    const text = typeof value === "string" && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value ?? "");
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [columns, ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}
