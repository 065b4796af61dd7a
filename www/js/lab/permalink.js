// A lab in an address: what was asked in the query, and what came of it, compressed, behind the #, where no server sees it.

const REPORT_BYTES_MAX = 4 << 20; // of one that comes from an address, which anybody may have made
const ADDRESS_MAX = 32_000; // of characters; longer ones do not survive everywhere
const WORKERS_MAX = 16;
const SECONDS_MAX = 1e9;

const toText = (bytes) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""))
  .replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");

const toBytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));

async function bytesOf(stream, max) {
  const parts = [], reader = stream.getReader();
  let total = 0;
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    total += value.length;
    if (total > max) throw new Error("The link holds more than a lab could have found.");
    parts.push(value);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

const through = (bytes, stream) => new Blob([bytes]).stream().pipeThrough(stream);

// To the microsecond, which is finer than any chart.
const rounded = (key, value) => (typeof value === "number" && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value);

async function packed(report) {
  const bytes = new TextEncoder().encode(JSON.stringify(report, rounded));
  return toText(await bytesOf(through(bytes, new CompressionStream("deflate-raw")), REPORT_BYTES_MAX));
}

export const queryOf = ({ experiment, n, workers, repeat, modes }) =>
  `?${new URLSearchParams({ experiment, n, workers, repeat, ...(modes ? { modes: modes.join(",") } : {}) })}`;

// "#r=…"; without the lanes when it would be too long with them.
export async function fragmentOf(report) {
  const whole = await packed(report);
  if (whole.length <= ADDRESS_MAX) return `#r=${whole}`;
  return `#r=${await packed({ ...report, runs: report.runs.map((run) => ({ ...run, lanes: [] })) })}`;
}

const isNumbers = (list) => Array.isArray(list) && list.length > 0 && list.length <= 20
  && list.every((v) => Number.isFinite(v) && v >= 0 && v <= SECONDS_MAX);

function isLane(lane) {
  return Number.isInteger(lane?.lane) && Array.isArray(lane.spans) && lane.spans.length <= 256
    && lane.spans.every((span) => isNumbers(span) && span.length === 2);
}

function isRun(run) {
  return typeof run?.mode === "string" && isNumbers(run.wall_s) && isNumbers(run.cpu_s) && Number.isFinite(run.median_s)
    && Array.isArray(run.lanes) && run.lanes.length <= WORKERS_MAX && run.lanes.every(isLane);
}

// Of a crash each worker is drawn.
const isDrawable = ({ experiment, runs }) => experiment !== "crash" || runs.every(({ expected }) => expected <= WORKERS_MAX);

const isReport = (report) => typeof report?.experiment === "string" && Array.isArray(report.runs) && report.runs.length > 0
  && report.runs.length <= 10 && report.runs.every(isRun) && isDrawable(report) && typeof report.advice?.headline === "string"
  && typeof report.machine === "object" && report.machine !== null && Number.isFinite(report.machine.ceiling);

// The report in an address, or null when there is none. Throws a sentence when it is spoiled.
export async function reportIn(hash) {
  const text = /^#r=([\w-]+)$/.exec(hash)?.[1];
  if (text === undefined) return null;
  let report;
  try {
    const bytes = await bytesOf(through(toBytes(text), new DecompressionStream("deflate-raw")), REPORT_BYTES_MAX);
    report = JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    throw new Error("The link's results cannot be read; it may have been cut.", { cause: error });
  }
  if (!isReport(report)) throw new Error("What the link holds is no lab's results.");
  return report;
}
