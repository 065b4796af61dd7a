// Sends a request and shows all of its answer: status, headers, and the body as what it is; events as they come.

import { eventsOf, request } from "../api.js";
import { download, h, setText } from "../dom.js";
import { bytes, clock, count, duration } from "../format.js";
import { pretty } from "../json.js";
import { copyButton } from "../shell.js";
import { EVENTS } from "./description.js";

const SHOWN_MAX = 200_000; // characters; a browser stalls on a <pre> of megabytes
const EVENTS_SHOWN_MAX = 200;
const EVENT_SHOWN_MAX = 2_000; // characters

const essence = (type) => type.split(";")[0].trim().toLowerCase();

const block = (text, label) =>
  h("pre", { tabindex: 0, role: "region", "aria-label": label },
    text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}\n… ${bytes(text.length - SHOWN_MAX)} more: save it` : text);

const kindOf = (status) => (status < 300 ? "good" : status < 400 ? "busy" : status < 500 ? "warn" : "bad");

// ---- what is known at once ----

function headOf(response, seconds) {
  return [
    h("p", { class: "answer-status" },
      h("span", { class: "pill", "data-kind": kindOf(response.status) }, `${response.status} ${response.statusText}`.trim()),
      h("span", { class: "note" }, `${duration(seconds)} to the first byte`)),
    h("details", { class: "fold" }, h("summary", {}, "Headers"),
      h("dl", { class: "facts mono" }, [...response.headers].map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]))),
  ];
}

// ---- bodies ----

let pictureUrl = null; // of the picture that is shown

function pictureOf(blob) {
  if (pictureUrl !== null) URL.revokeObjectURL(pictureUrl);
  pictureUrl = URL.createObjectURL(blob);
  return h("img", { src: pictureUrl, alt: "The picture that was answered" });
}

async function bodyView(response, name) {
  const blob = await response.blob();
  const type = essence(blob.type || (response.headers.get("Content-Type") ?? ""));
  const save = h("button", { type: "button", class: "quiet small", onclick: () => download(name, type, blob) }, "Save");
  const tools = [h("span", { class: "note" }, `${type}, ${bytes(blob.size)}`)];
  if (blob.size === 0) return [h("p", { class: "note" }, "No body.")];
  if (/^image\/(png|jpeg|webp|gif)$/.test(type)) return [pictureOf(blob), h("div", { class: "buttons" }, tools, save)];
  if (!/[/+]json$|^text\//.test(type)) return [h("div", { class: "buttons" }, tools, save)];
  const text = await blob.text();
  const shown = /json$/.test(type) && text.length <= SHOWN_MAX ? pretty(text) : text;
  return [block(shown, "The body of the answer"), h("div", { class: "buttons" }, tools, copyButton(() => text), save)];
}

// ---- events ----

function eventRow({ event, id, data }) {
  const text = pretty(data);
  return h("li", {},
    h("p", {}, h("code", {}, event), h("span", { class: "note" }, ` ${clock(Date.now() / 1000)}${id === "" ? "" : ` · id ${id}`}`)),
    h("pre", {}, text.length > EVENT_SHOWN_MAX ? `${text.slice(0, EVENT_SHOWN_MAX)} …` : text));
}

async function showEvents(response, place) {
  const tally = h("p", { class: "note" }, "No event yet.");
  const list = h("ol", { class: "events", reversed: true, tabindex: 0, role: "region", "aria-label": "Events, the newest first" });
  let seen = 0;
  place.append(tally, list);
  for await (const event of eventsOf(response)) {
    seen++;
    list.prepend(eventRow(event));
    if (list.childElementCount > EVENTS_SHOWN_MAX) list.lastElementChild.remove();
    setText(tally, `${count(seen)} ${seen === 1 ? "event" : "events"}${seen > EVENTS_SHOWN_MAX ? `, the last ${EVENTS_SHOWN_MAX} are shown` : ""}`);
  }
  tally.append(". The stream has ended.");
}

// ---- all of it ----

// Shows the answer in `place` as it comes, and calls `arrived(what goes on)` when its head is there. Throws when there is
// none, and when `signal` is aborted.
export async function send({ method, path, headers, type, body }, place, signal, arrived) {
  const began = performance.now();
  const all = body === null ? headers : { ...headers, "Content-Type": type };
  const response = await request(path, { method, headers: all, body: body ?? undefined, signal });
  place.replaceChildren(...headOf(response, (performance.now() - began) / 1000));
  const isStream = essence(response.headers.get("Content-Type") ?? "") === EVENTS;
  arrived(isStream ? "listening" : "");
  if (isStream) await showEvents(response, place);
  else place.append(...await bodyView(response, path.split(/[/?]/).filter(Boolean).slice(0, 2).join("-")));
}
