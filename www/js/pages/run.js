// The page's form: the kernels and their parameters come from GET /compute, nothing about them is known here.

import { startPage } from "../shell.js";

const $ = (id) => document.getElementById(id);
const TEXT_SHOWN_MAX = 200_000; // characters; a browser stalls on a <pre> of megabytes

let kernels = [];
let running = null; // the AbortController of the run in progress
let imageUrl = null;

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

const current = () => kernels.find((kernel) => kernel.name === $("kernel").value);

// ---- the form -----------------------------------------------------------------------------------

function bounds(schema) {
  const { minimum, maximum } = schema;
  if (minimum === undefined || maximum === undefined) return "";
  const short = (n) => (Math.abs(n) >= 1e6 ? n.toExponential(0).replace("e+", "e") : String(n));
  return `${short(minimum)} to ${short(maximum)}`;
}

function control(name, schema) {
  const value = schema.default;
  if (schema.enum) {
    const options = schema.enum.map((word) => new Option(word, word, word === value, word === value));
    return element("select", { name }, ...options);
  }
  if (schema.type === "array") {
    return element("textarea", { name, rows: 2, spellcheck: "false", placeholder: "1, 2.5, 3", class: "array" });
  }
  if (schema.type === "string") return element("input", { name, value, spellcheck: "false" });
  if (schema.type === undefined) {
    const text = value === undefined ? undefined : JSON.stringify(value);
    return element("input", { name, value: text, spellcheck: "false", placeholder: "JSON" });
  }
  const step = schema.type === "integer" ? 1 : "any";
  return element("input", { name, type: "number", step, min: schema.minimum, max: schema.maximum, value });
}

function field(name, schema) {
  const hint = [schema.description, bounds(schema)].filter(Boolean).join(" · ");
  return element("label", { class: "field" },
    element("span", {}, name), control(name, schema), element("small", {}, hint));
}

function showKernel() {
  const kernel = current();
  $("summary").textContent = kernel.summary;
  $("params").replaceChildren(
    ...Object.entries(kernel.params.properties ?? {}).map(([name, schema]) => field(name, schema)));
  $("raw-field").hidden = !kernel.takes_raw;
  $("raw").value = "";
  history.replaceState(null, "", `?kernel=${encodeURIComponent(kernel.name)}`);
  showCurl();
}

// The filled-in parameters as [name, JSON text]: numbers stay the text that was typed, since a number of
// JavaScript would lose digits of a large integer.
function filled() {
  const pairs = [];
  for (const [name, schema] of Object.entries(current().params.properties ?? {})) {
    const text = $("params").querySelector(`[name="${CSS.escape(name)}"]`).value;
    if (schema.type === "string") pairs.push([name, JSON.stringify(text)]);
    else if (schema.type === "array" && text.trim()) {
      const numbers = text.trim().replace(/^\[|\]$/g, "").split(/[\s,]+/).filter(Boolean);
      pairs.push([name, `[${numbers.join(",")}]`]);
    } else if (schema.type !== "array" && text !== "") pairs.push([name, text]);
  }
  return pairs;
}

function request() {
  const path = `/compute/${encodeURIComponent(current().name)}`;
  const raw = $("raw").value;
  if (current().takes_raw && raw !== "") {
    return { path, type: "text/plain", body: raw };
  }
  const members = filled().map(([name, json]) => `${JSON.stringify(name)}:${json}`);
  return { path, type: "application/json", body: `{${members.join(",")}}` };
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

function showCurl() {
  const { path, type, body } = request();
  const shown = body.length > 400 ? "@input" : body;
  const content = type === "application/json" ? `--json ${quoted(shown)}`
    : `-H 'Content-Type: text/plain' --data-binary ${quoted(shown)}`;
  $("curl").textContent = `curl ${content} ${location.origin}${path}`;
  $("curl").hidden = false;
}

// ---- the result ---------------------------------------------------------------------------------

function showFacts(response, ms) {
  const facts = [["Status", `${response.status} ${response.statusText}`], ["Round trip", `${ms.toFixed(1)} ms`]];
  for (const name of ["Content-Type", "Prong-Job", "Prong-Receipt", "Server-Timing", "Retry-After"]) {
    if (response.headers.has(name)) facts.push([name, response.headers.get(name)]);
  }
  $("facts").replaceChildren(
    ...facts.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
}

function pretty(text) {
  // Only what survives the way through JavaScript's numbers is laid out anew.
  try {
    const value = JSON.parse(text);
    return JSON.stringify(value) === text ? JSON.stringify(value, null, 2) : text;
  } catch {
    return text;
  }
}

async function bodyOf(response) {
  const type = response.headers.get("Content-Type") ?? "";
  if (type.startsWith("image/png")) {
    imageUrl = URL.createObjectURL(await response.blob());
    return element("img", { src: imageUrl, alt: "The picture that the kernel drew" });
  }
  if (!/json|^text\//.test(type)) {
    const bytes = (await response.arrayBuffer()).byteLength;
    return element("p", { class: "note" }, `${bytes.toLocaleString()} bytes of ${type}`);
  }
  const text = pretty(await response.text());
  const cut = text.length > TEXT_SHOWN_MAX ? `${text.slice(0, TEXT_SHOWN_MAX)}\n…` : text;
  return element("pre", { tabindex: 0, class: response.ok ? undefined : "bad" }, cut);
}

async function run() {
  const { path, type, body } = request();
  const start = performance.now();
  running = new AbortController();
  const response = await fetch(path,
    { method: "POST", headers: { "Content-Type": type }, body, signal: running.signal });
  const old = imageUrl;
  const shown = await bodyOf(response);
  showFacts(response, performance.now() - start);
  $("body").replaceChildren(shown);
  if (old) URL.revokeObjectURL(old);
  $("result").hidden = false;
  $("state").textContent = response.ok ? "Done." : "Failed.";
}

async function submit(event) {
  event.preventDefault();
  if (running) return;
  $("go").disabled = true;
  $("cancel").hidden = false;
  $("state").textContent = "Running…";
  try {
    await run();
  } catch (error) {
    $("state").textContent = error.name === "AbortError" ? "Cancelled." : "The server does not answer.";
  } finally {
    running = null;
    $("go").disabled = false;
    $("cancel").hidden = true;
  }
}

// ---- the start ----------------------------------------------------------------------------------

async function start() {
  const response = await fetch("/compute");
  if (!response.ok) throw new Error(`GET /compute answers ${response.status}`);
  kernels = (await response.json()).kernels;
  if (kernels.length === 0) throw new Error("This server has no kernels");
  const wanted = new URLSearchParams(location.search).get("kernel") ?? "primes";
  $("kernel").append(
    ...kernels.map(({ name }) => new Option(name, name, name === wanted, name === wanted)));
  $("kernel").addEventListener("change", showKernel);
  $("run").addEventListener("submit", submit);
  $("run").addEventListener("input", showCurl);
  $("cancel").addEventListener("click", () => running?.abort());
  showKernel();
  $("run").hidden = false;
}

startPage();
start().catch((error) => {
  $("trouble").textContent = `The kernels cannot be listed: ${error.message}.`;
  $("trouble").hidden = false;
});
