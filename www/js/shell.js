// What every page has: its place in the navigation, the look, the state of the server, questions and notices.

import { onTokenWanted } from "./api.js";
import { $, h, setText } from "./dom.js";
import { onLive } from "./live.js";

const NOTICE_MS = 6000;

// ---- light and dark ----

const prefersDark = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme ?? (prefersDark.matches ? "dark" : "light")) === "dark";

function showTheme(button) {
  button.setAttribute("aria-pressed", String(isDark()));
  button.title = isDark() ? "Light" : "Dark";
}

// Charts on a canvas must be drawn anew: "themechange" on document tells them.
function toggleTheme(button) {
  const theme = isDark() ? "light" : "dark";
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem("theme", theme);
  } catch {
    // It lasts as long as the page then.
  }
  showTheme(button);
  document.dispatchEvent(new Event("themechange"));
}

function themeButton() {
  const button = h("button", { class: "icon", type: "button", "aria-label": "Dark look", onclick: () => toggleTheme(button) }, "◐");
  prefersDark.addEventListener("change", () => {
    showTheme(button);
    document.dispatchEvent(new Event("themechange"));
  });
  showTheme(button);
  return button;
}

// ---- the state of the server ----

function statePill() {
  const pill = h("span", { class: "pill", id: "server-state", role: "status" }, "connecting");
  const show = (kind, text) => {
    pill.dataset.kind = kind;
    setText(pill, text);
  };
  onLive("status", (status) => show(status.state === "ready" ? "good" : "warn", status.state));
  onLive("offline", () => show("bad", "no connection"));
  return pill;
}

// ---- questions ----

// Opens `dialog`, which has a form of method "dialog"; resolves to the value of the button that closed it, "" for Escape.
function answerOf(dialog) {
  document.body.append(dialog);
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      resolve(dialog.returnValue);
      dialog.remove();
    });
    dialog.showModal();
  });
}

// True when the person said yes. confirmBy({title: "Kill worker 17?", text: "…", action: "Kill"})
export async function confirmBy({ title, text, action }) {
  const dialog = h("dialog", { "aria-labelledby": "dialog-title" },
    h("form", { method: "dialog" },
      h("h2", { id: "dialog-title" }, title),
      h("p", {}, text),
      h("div", { class: "buttons" },
        h("button", { value: "yes", class: "danger" }, action),
        h("button", { value: "", class: "quiet", autofocus: true }, "Keep"))));
  return (await answerOf(dialog)) === "yes";
}

let asking = null;

async function askToken(detail) {
  const input = h("input", { type: "password", name: "token", autocomplete: "current-password", required: true, autofocus: true });
  const dialog = h("dialog", { "aria-labelledby": "dialog-title" },
    h("form", { method: "dialog" },
      h("h2", { id: "dialog-title" }, "This server wants its token"),
      h("p", {}, detail),
      h("label", { class: "field" }, h("span", {}, "Token"), input, h("small", {}, "It is kept until this tab is closed.")),
      h("div", { class: "buttons" },
        h("button", { value: "yes" }, "Go on"),
        h("button", { value: "", class: "quiet", formnovalidate: true }, "Not now"))));
  return (await answerOf(dialog)) === "yes" ? input.value.trim() : null;
}

// ---- notices ----

// Says it for a while at the page's foot, and to who listens to the page. kind: "good" or "bad".
export function notice(text, kind = "good") {
  const line = h("p", { class: "notice", "data-kind": kind }, text);
  $("notices").append(line);
  setTimeout(() => line.remove(), NOTICE_MS);
}

// Runs what may throw, and says why when it does; an abort is nobody's fault. For handlers of events.
export async function trying(work) {
  try {
    return await work();
  } catch (error) {
    if (error.name !== "AbortError") notice(error.message, "bad");
    return undefined;
  }
}

// A button that copies what `text()` gives.
export function copyButton(text, label = "Copy") {
  const button = h("button", { class: "quiet small", type: "button" }, label);
  button.addEventListener("click", () => trying(async () => {
    await navigator.clipboard.writeText(text());
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = label; }, 1500);
  }));
  return button;
}

// ---- the start ----

function markPlace() {
  const here = location.pathname.replace(/\.html$/, "").replace(/^\/index$/, "/");
  for (const link of document.querySelectorAll(".top nav a")) {
    if (link.getAttribute("href") === here) link.setAttribute("aria-current", "page");
  }
}

export function startPage() {
  markPlace();
  // All who are refused at the same time share one question.
  onTokenWanted((detail) => (asking ??= askToken(detail).finally(() => { asking = null; })));
  document.body.append(h("div", { id: "notices", role: "status", "aria-live": "polite" }));
  document.querySelector(".top").append(h("div", { class: "tools" }, statePill(), themeButton()));
}
