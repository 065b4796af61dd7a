// A result as what it is: a picture, JSON, text, or bytes; always to be saved, too.

import { download, h } from "../dom.js";
import { bytes } from "../format.js";
import { pretty } from "../json.js";
import { copyButton } from "../shell.js";

const SHOWN_MAX = 200_000; // characters; a browser stalls on a <pre> of megabytes
const DUMPED_MAX = 256; // bytes
const DUMPED_LINE = 16;

const EXTENSIONS = { json: "json", "x-ndjson": "ndjson", png: "png", jpeg: "jpg", webp: "webp", gif: "gif", "svg+xml": "svg", plain: "txt", csv: "csv", html: "html" };

const essence = (type) => type.split(";")[0].trim().toLowerCase();
const extensionOf = (type) => EXTENSIONS[essence(type).split("/")[1]] ?? "bin";
const isJson = (type) => /[/+]json$/.test(essence(type));
const isShown = (type) => /^image\/(png|jpeg|webp|gif|svg\+xml|avif)$/.test(essence(type));
const isText = (type) => /^text\/|[/+](xml|javascript|x-ndjson)$/.test(essence(type));

let pictureUrl = null; // of the picture that is shown

function pictureOf(blob, type) {
  if (pictureUrl !== null) URL.revokeObjectURL(pictureUrl);
  pictureUrl = URL.createObjectURL(new Blob([blob], { type: essence(type) }));
  return h("img", { src: pictureUrl, class: "result-picture", alt: "The picture that the kernel drew" });
}

const textBlock = (text, label = "The result") => {
  const cut = text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}\n… ${bytes(text.length - SHOWN_MAX)} more: save it` : text;
  return h("pre", { class: "result-text", tabindex: 0, role: "region", "aria-label": label }, cut);
};

function dumpOf(data) {
  const lines = [];
  for (let at = 0; at < data.length; at += DUMPED_LINE) {
    const row = [...data.subarray(at, at + DUMPED_LINE)];
    const hex = row.map((byte) => byte.toString(16).padStart(2, "0")).join(" ").padEnd(3 * DUMPED_LINE);
    const plain = row.map((byte) => (byte >= 32 && byte < 127 ? String.fromCharCode(byte) : "·")).join("");
    lines.push(`${at.toString(16).padStart(6, "0")}  ${hex} ${plain}`);
  }
  return lines.join("\n");
}

async function dumped(blob) {
  const data = new Uint8Array(await blob.slice(0, DUMPED_MAX).arrayBuffer());
  const rest = blob.size - data.length;
  return [textBlock(dumpOf(data), "The first bytes of the result"), rest > 0 && h("p", { class: "note" }, `… and ${bytes(rest)} more.`)];
}

// What to show of it, and buttons that copy and save: an element.
export async function resultView({ body, type }, kernel) {
  const tools = [h("span", { class: "note" }, `${essence(type) || "no media type"}, ${bytes(body.size)}`)];
  let shown;
  if (isShown(type)) {
    shown = pictureOf(body, type);
  } else if (body.size === 0) {
    shown = h("p", { class: "empty" }, "The result is empty.");
  } else if (isJson(type) || isText(type)) {
    const text = await body.text();
    shown = textBlock(isJson(type) && text.length <= SHOWN_MAX ? pretty(text) : text);
    tools.push(copyButton(() => text));
  } else {
    shown = await dumped(body);
  }
  const save = () => download(`${kernel}.${extensionOf(type)}`, essence(type), body);
  tools.push(h("button", { type: "button", class: "quiet small", onclick: save }, "Save"));
  return h("div", { class: "stack tight" }, shown, h("div", { class: "buttons" }, tools));
}
