// Raw input: what a kernel gets byte for byte in place of a JSON body, typed in or out of a file.

import { h, setText } from "../dom.js";
import { bytes } from "../format.js";

const TEXT = "text/plain";
const BYTES = "application/octet-stream";

// What the server takes as raw input; everything else goes as mere bytes.
const mediaTypeOf = (file) => (/^(text|image)\//.test(file.type) ? file.type : BYTES);

function fileField(changed) {
  const chooser = h("input", { type: "file", id: "raw-file", "aria-describedby": "raw-chosen" });
  const chosen = h("small", { id: "raw-chosen", "aria-live": "polite" }, "Choose a file, or drop one here.");
  const element = h("div", { class: "field drop", hidden: true }, h("label", { for: "raw-file" }, "File"), chooser, chosen);
  let file = null;

  function take(given) {
    file = given;
    setText(chosen, file === null ? "Choose a file, or drop one here." : `${file.name}, ${bytes(file.size)}`);
    changed(file);
  }
  chooser.addEventListener("change", () => take(chooser.files[0] ?? null));
  element.addEventListener("dragover", (event) => {
    event.preventDefault();
    element.classList.add("over");
  });
  element.addEventListener("dragleave", () => element.classList.remove("over"));
  element.addEventListener("drop", (event) => {
    event.preventDefault();
    element.classList.remove("over");
    if (event.dataTransfer.files.length > 0) take(event.dataTransfer.files[0]);
  });
  return { element, file: () => file };
}

// {element, kind(): "json", "text" or "file"; body(): null or {type, text} or {type, file}; text(), setText(text);
// offer(whether the kernel takes raw input, whether it takes nothing else); missing(): a sentence, or ""}.
// `changed` is called with every change.
export function rawInput(changed) {
  let kind = "json";
  const text = h("textarea", { id: "raw-text", rows: 5, spellcheck: "false" });
  const textField = h("label", { class: "field", hidden: true }, h("span", {}, "Text"), text);
  const type = h("input", { id: "raw-type", value: TEXT, spellcheck: "false", list: "raw-types" });
  const typeField = h("label", { class: "field", hidden: true }, h("span", {}, "Sent as"), type,
    h("datalist", { id: "raw-types" }, [TEXT, "text/csv", "image/png", BYTES].map((name) => h("option", { value: name }))));
  const file = fileField((given) => {
    if (given !== null) type.value = mediaTypeOf(given);
    changed();
  });
  const buttons = [["json", "Parameters"], ["text", "Raw text"], ["file", "File"]].map(([name, title]) =>
    h("button", { type: "button", "data-kind": name, onclick: () => choose(name) }, title));
  const choice = h("div", { class: "choice", role: "group", "aria-label": "Input" }, buttons);

  function choose(name) {
    kind = name;
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.kind === name));
    textField.hidden = kind !== "text";
    file.element.hidden = kind !== "file";
    typeField.hidden = kind === "json";
    if (kind === "text") type.value = TEXT;
    changed();
  }

  return {
    element: h("div", { class: "raw" }, choice, textField, file.element, typeField),
    kind: () => kind,
    body() {
      if (kind === "text") return { type: type.value, text: text.value };
      return kind === "file" && file.file() !== null ? { type: type.value, file: file.file() } : null;
    },
    missing: () => (kind === "file" && file.file() === null ? "Choose a file first." : ""),
    text: () => (kind === "text" ? text.value : ""),
    setText(given) {
      text.value = given;
      choose("text");
    },
    offer(isTaken, isOnly) {
      choice.parentElement.hidden = !isTaken;
      buttons[0].hidden = isOnly;
      choose(isTaken && isOnly ? "text" : "json");
    },
  };
}
