// The picture: its view is the page's address, each change of it stops what runs and draws anew, and what workers send is
// painted as it comes.

import { ask, bytesOf, eventsOf, getJson, Problem } from "../api.js";
import { $, download, h, setText } from "../dom.js";
import { count, milliseconds, number, percent } from "../format.js";
import { onLive } from "../live.js";
import { areasOf } from "../picture/areas.js";
import { BUTTONS, onGestures } from "../picture/gestures.js";
import { PLACES } from "../picture/places.js";
import { settingsOf } from "../picture/settings.js";
import { stageOf } from "../picture/stage.js";
import { cameraOf, isPicture, settableOf, within } from "../picture/view.js";
import { workersOf } from "../picture/workers.js";
import { coresOf, figures, figuresOf } from "../receipt.js";
import { confirmBy, notice, startPage, trying } from "../shell.js";

const PIXELS_MAX = 2_000_000;
const RATIO_MAX = 2; // device pixels to one of the page
const PAUSE_MS = 60; // without a change of the view, before it is drawn
const FIRST = "mandelbrot";
const EXACT = ["x", "y", "scale"]; // shown digit by digit: a slider is too coarse for them
const LOG_MAX = 5;

let kernel = null;
let properties = {};
let camera = null;
let values = {}; // the view: every settable parameter
let settings = null;
let running = null; // the AbortController of the picture that is drawn
let timer = 0;
let doomed = null; // the worker that is to be killed as soon as it has drawn

const stage = stageOf($("picture"), $("above"));
const workers = workersOf($("workers"), (pid) => trying(() => kill(pid)));

// ---- the address ----

function addressOf() {
  const pairs = settableOf(properties).filter((name) => camera.needs.includes(name) || values[name] !== properties[name].default);
  const query = new URLSearchParams(pairs.map((name) => [name, String(values[name])]));
  if (kernel.name !== FIRST) query.set("kernel", kernel.name);
  return `/picture?${query}`;
}

const pathOf = (size) => `/compute/${encodeURIComponent(kernel.name)}?${new URLSearchParams({ ...size, ...values })}`;

function sizeOf() {
  const { width, height } = $("picture").getBoundingClientRect();
  const ratio = Math.min(devicePixelRatio, RATIO_MAX, Math.sqrt(PIXELS_MAX / Math.max(1, width * height)));
  return { width: Math.max(1, Math.round(width * ratio)), height: Math.max(1, Math.round(height * ratio)) };
}

// ---- drawing ----

function log(text) {
  $("log").append(h("li", {}, text));
  while ($("log").children.length > LOG_MAX) $("log").firstChild.remove();
}

// What is told of one picture: its workers and tiles, and what was lost.
function painter(size) {
  let pid = null, total = null;
  const losses = []; // told before it was known how many units there are
  const mark = (loss) => stage.lose(areasOf(loss, total, size, stage.tiles()));
  return {
    worker(told) {
      ({ pid } = told);
      if (doomed !== null && pid === doomed) execute();
    },
    part(part) {
      stage.tile(part, workers.drew(pid, part.width * part.height));
      if (doomed !== null && pid === doomed) execute();
    },
    progress({ done, total: all }) {
      total = all;
      $("progress").value = done / Math.max(1, all);
      losses.splice(0).forEach(mark);
    },
    retry(loss) {
      workers.died(loss.pid);
      log(`Worker ${loss.pid} died (${loss.reason}); units ${count(loss.from)} to ${count(loss.to)} are drawn again.`);
      if (total === null) losses.push(loss);
      else mark(loss);
    },
  };
}

async function finish({ receipt, media_type: type, base64 }, signal) {
  const late = await stage.fill(new Blob([bytesOf(base64)], { type }));
  if (signal.aborted) return;
  stage.end();
  $("progress").value = 1;
  const { width, height } = stage.size();
  const drawn = `${count(width)} × ${count(height)} in ${milliseconds(receipt.run_ms)}, ${number(coresOf(receipt), 2)} cores used`;
  setText($("told"), late > 0 ? `${drawn}; ${percent(late)} came as a whole, since this browser was slower than the workers` : drawn);
  $("costs").replaceChildren(figures(figuresOf(receipt)));
  $("receipt").hidden = false;
  $("picture").dataset.state = "drawn";
}

async function paint(size, signal) {
  const told = painter(size);
  const response = await ask(pathOf(size), { headers: { Accept: "text/event-stream" }, signal });
  for await (const { event, data } of eventsOf(response)) {
    if (signal.aborted) return;
    const value = JSON.parse(data);
    if (event === "error") throw new Problem(value.status ?? 500, value);
    if (event === "result") return finish(value, signal);
    told[event]?.(value);
  }
  throw new Problem(0, { detail: "The server ended the events before the picture was whole." });
}

function stop() {
  clearTimeout(timer);
  running?.abort();
  running = null;
  $("stop").hidden = true;
}

async function draw() {
  stop();
  const size = stage.size();
  const turn = running = new AbortController();
  stage.begin();
  workers.begin(size.width * size.height);
  $("picture").dataset.state = "drawing";
  $("progress").value = 0;
  $("stop").hidden = false;
  setText($("told"), "drawing");
  try {
    await paint(size, turn.signal);
  } catch (error) {
    if (turn.signal.aborted) return;
    stage.end();
    $("picture").dataset.state = "failed";
    setText($("told"), error.message);
  } finally {
    if (running === turn) {
      stop();
      if (doomed !== null) execute(); // it had no part in this picture
    }
  }
}

// Looks elsewhere: what is drawn is stopped at once, what is there is moved, and soon the rest is drawn.
function change(changes) {
  values = within(properties, values, changes);
  stop();
  stage.show(values, sizeOf(), camera.placed);
  $("picture").dataset.state = "waiting";
  showView();
  timer = setTimeout(draw, PAUSE_MS);
}

function showView() {
  history.replaceState(null, "", addressOf());
  settings.show(values);
  const facts = camera.needs.map((name) => [name, values[name]]);
  $("facts").replaceChildren(...facts.filter(([name]) => EXACT.includes(name)).flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, String(value))]));
  $("picture").setAttribute("aria-label", `${kernel.name}: ${facts.map(([name, value]) => `${name} ${value}`).join(", ")}`);
}

const acts = {
  pan: (right, down) => change(camera.pan(values, right, down)),
  zoom: (factor, right, down) => change(camera.zoom(values, factor, right, down)),
  home: () => change(Object.fromEntries(camera.needs.map((name) => [name, properties[name].default]))),
};

// ---- killing a worker ----

async function execute() {
  const pid = doomed;
  doomed = null;
  await trying(async () => {
    await ask(`/workers/${pid}`, { method: "DELETE" });
    log(`Worker ${pid} is killed${running === null ? ", while it drew nothing" : ""}.`);
  });
}

async function kill(pid) {
  const isYes = await confirmBy({
    title: `Kill worker ${pid}?`,
    text: "It is killed while it draws this picture. What it was at is drawn again by another, and a new worker takes its place.",
    action: "Kill",
  });
  if (!isYes) return;
  doomed = pid;
  if (running === null) draw();
  else if (workers.hasDrawn(pid)) execute();
}

// ---- the start ----

function choose(name, given) {
  kernel = name;
  properties = kernel.params.properties;
  camera = cameraOf(properties);
  const names = settableOf(properties);
  const first = Object.fromEntries(names.map((each) => [each, properties[each].default]));
  values = within(properties, first, Object.fromEntries(given.filter(([each]) => names.includes(each)).map(([each, text]) => [each, Number(text)])));
  $("settings").replaceChildren();
  settings = settingsOf($("settings"), properties, names.filter((each) => !EXACT.includes(each)), change);
  $("places").replaceChildren(...(PLACES[kernel.name] ?? []).map((place) =>
    h("button", { type: "button", class: "quiet small", onclick: () => change(place.view) }, place.title)));
  $("kernel").value = kernel.name;
}

async function save() {
  const response = await ask(pathOf(stage.size()), { headers: { Accept: "image/png" } });
  download(`${kernel.name}.png`, "image/png", await response.blob());
}

// A view of the element's size, whenever that has changed.
function onResize() {
  const { width, height } = sizeOf();
  if (stage.size().width !== width || stage.size().height !== height) change({});
}

async function start() {
  const pictures = (await getJson("/compute")).kernels.filter(isPicture);
  if (pictures.length === 0) throw new Error("This server has no kernel that draws.");
  const query = new URLSearchParams(location.search);
  const wanted = query.get("kernel") ?? FIRST;
  const found = pictures.find(({ name }) => name === wanted);
  if (found === undefined && query.has("kernel")) notice(`This server has no kernel ${wanted} that draws.`, "bad");
  $("kernel").append(...pictures.map(({ name }) => new Option(name, name)));
  $("kernel-field").hidden = pictures.length === 1;
  choose(found ?? pictures[0], [...query]);

  $("buttons").append(...BUTTONS.map(({ label, sign, act }) =>
    h("button", { type: "button", "aria-label": label, title: label, onclick: () => act(acts) }, sign)));
  onGestures($("picture"), acts);
  $("kernel").addEventListener("change", () => {
    choose(pictures.find(({ name }) => name === $("kernel").value), []);
    change({});
  });
  $("keep").addEventListener("change", () => stage.keepColours($("keep").checked));
  $("again").addEventListener("click", draw);
  $("stop").addEventListener("click", () => { stop(); stage.end(); setText($("told"), "stopped"); $("picture").dataset.state = "stopped"; });
  $("save").addEventListener("click", () => trying(save));
  new ResizeObserver(onResize).observe($("picture"));
  onLive("status", (status) => workers.live(status.workers));
  workers.live((await getJson("/status")).workers);
}

startPage();
start().catch((error) => {
  setText($("trouble"), `Nothing can be drawn: ${error.message}`);
  $("trouble").hidden = false;
});
