// The page that lists and runs all that the server can be asked, from its own description: nothing about routes is known
// here. Its address is what is looked at: ?q=what is searched, and after # an operation or a problem.

import { getJson } from "../api.js";
import { $, h, setText } from "../dom.js";
import { count } from "../format.js";
import { Description } from "../docs/description.js";
import { operationRow } from "../docs/operation.js";
import { problemRow } from "../docs/problem.js";
import { startPage } from "../shell.js";

const rows = new Map(); // by the id of its element
const parts = []; // {element, link, rows}
let marked = null;

// ---- the parts ----

function addPart(name, text, its) {
  const id = `part-${name.toLowerCase()}`;
  const element = h("section", { class: "card part", id, "aria-labelledby": `${id}-title` },
    h("h2", { id: `${id}-title` }, name), h("p", { class: "note" }, text), its.map((row) => row.element));
  const link = h("a", { href: `#${id}` }, name);
  for (const row of its) rows.set(row.element.id, row);
  parts.push({ element, link, rows: its });
  $("parts").append(element);
  $("tags").append(link);
}

// ---- where one is ----

const address = (hash) => `${location.pathname}${location.search}${hash === "" ? "" : `#${hash}`}`;

// The operation that was opened last is what a link to the page as it is would lead to.
function opened(element) {
  const here = decodeURIComponent(location.hash.slice(1));
  if (element.open && here !== element.id) history.replaceState(null, "", address(element.id));
  else if (!element.open && here === element.id) history.replaceState(null, "", address(""));
}

function goToHash() {
  const id = decodeURIComponent(location.hash.slice(1));
  const row = rows.get(id);
  marked?.classList.remove("marked");
  marked = null;
  if (row === undefined) {
    document.getElementById(id)?.scrollIntoView();
    return;
  }
  if (row.element.hidden) search("");
  row.open();
  marked = row.element;
  marked.classList.add("marked");
  marked.scrollIntoView();
  (marked.querySelector("summary") ?? marked.querySelector("a")).focus({ preventScroll: true });
}

// ---- the search ----

function filter(words) {
  let found = 0;
  for (const part of parts) {
    for (const row of part.rows) {
      row.element.hidden = !words.every((word) => row.text.includes(word));
      found += !row.element.hidden;
    }
    part.element.hidden = part.rows.every((row) => row.element.hidden);
    part.link.hidden = part.element.hidden;
  }
  return found;
}

function search(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = filter(words);
  if ($("search").value.trim() !== text.trim()) $("search").value = text;
  setText($("found"), words.length === 0 ? "" : found === 0 ? "Nothing has all of these words." : `${count(found)} found`);
  const query = words.length === 0 ? "" : `?${new URLSearchParams({ q: text.trim() })}`;
  history.replaceState(null, "", `${location.pathname}${query}${location.hash}`);
}

function slash(event) {
  const isTyping = event.target.closest("input, textarea, select") !== null;
  if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  $("search").focus();
}

// ---- the start ----

function show(document_) {
  const description = new Description(document_);
  for (const tag of description.tags()) {
    addPart(tag.name, tag.description, tag.operations.map((operation) => operationRow(description, operation, opened)));
  }
  addPart("Problems", "Every error is application/problem+json: type leads here, detail says what to do in this very case.",
    description.problems.map((problem) => problemRow(description, problem)));
}

async function start() {
  show(await getJson("/openapi.json"));
  $("tools").hidden = false;
  $("search").addEventListener("input", () => search($("search").value));
  document.addEventListener("keydown", slash);
  window.addEventListener("hashchange", goToHash);
  const wanted = new URLSearchParams(location.search).get("q") ?? "";
  if (wanted !== "") search(wanted);
  if (location.hash !== "") goToHash();
}

startPage();
start().catch((error) => {
  setText($("trouble"), `The description cannot be read: ${error.message}`);
  $("trouble").hidden = false;
}).finally(() => $("parts").removeAttribute("aria-busy"));
