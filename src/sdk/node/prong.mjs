// Kernels for Prong in JavaScript: one file without dependencies. Copy it beside your kernel; fib.mjs shows its use.
//
// serve({ name, params, run, … }, …): each kernel says what READY says of it, params as { name: { type, default, … } }, and has
// run(params, job), all of it, or plan(params, job), map(params, lo, hi, job) and, if need be, combine(params, left, right, job) and
// finish(params, whole, job), and is split over all workers; parts are Buffers. What they return is sent, bytes as they are, else as JSON,
// or as text when media_type is not JSON's; what they throw is the request's error. job.input is the body, a Buffer, or the numbers, a
// Float64Array; job.emit(value) goes to who listens; `await job.progress(done, total)`, every few ms, throws when CANCEL has come.
import { Socket } from "node:net";

const [HELLO, READY, JOB, PROGRESS, PART, RESULT, ERROR, CANCEL, PING, PONG, QUIET] = Array.from({ length: 11 }, (_, i) => i + 1);
const isOfType = {
  integer: Number.isSafeInteger, number: Number.isFinite, string: (v) => typeof v === "string",
  choice: (v, p) => p.choices.includes(v), json: (v) => v !== undefined,
};

// Prong has checked the bounds; what is of another type would be taken for something else here.
function readParams(kernel, given = {}) {
  const params = {};
  for (const [name, p] of Object.entries(kernel.params ?? {}).filter(([, p]) => p.type !== "values")) {
    params[name] = given[name] ?? p.default;
    if (!isOfType[p.type](params[name], p)) throw new TypeError(`Parameter ${name} must be of type ${p.type}.`);
  }
  return params;
}

function describe(kernel) {
  const { run, plan, map, combine, finish, params = {}, ...said } = kernel;
  const ops = ["run", "plan", "map", "combine", "finish"].filter((op) => kernel[op]);
  return { media_type: "application/json", ...said, ops, params: Object.entries(params).map(([name, p]) => ({ name, ...p })) };
}

function encode(kernel, value) {
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const isText = typeof value === "string" && !(kernel.media_type ?? "json").endsWith("json");
  return Buffer.from(isText ? value : JSON.stringify(value ?? null));
}

async function compute(kernel, { meta, raw }, job) { // the meta and the raw bytes of RESULT
  if (!kernel || !describe(kernel).ops.includes(meta.op)) throw new Error(`There is no ${meta.op} of ${meta.kernel} here.`);
  const params = readParams(kernel, meta.params);
  let at = meta.input_bytes ?? 0;
  const parts = (meta.parts ?? []).map((bytes) => raw.subarray(at, (at += bytes)));
  const combine = async (whole = parts[0] ?? Buffer.alloc(0)) => {
    if (!kernel.combine) return Buffer.concat(parts);
    for (const part of parts.slice(1)) whole = encode(kernel, await kernel.combine(params, whole, part, job));
    return whole;
  };
  if (meta.op === "run") return [{}, encode(kernel, await kernel.run(params, job))];
  if (meta.op === "map") return [{}, encode(kernel, await kernel.map(params, meta.lo, meta.hi, job))];
  if (meta.op === "combine") return [{}, await combine()];
  if (meta.op === "finish") return [{}, encode(kernel, await kernel.finish(params, await combine(), job))];
  const plan = await kernel.plan(params, job);
  return [typeof plan === "number" ? { units: plan } : plan];
}

export function serve(...kernels) {
  const socket = new Socket({ fd: 3, readable: true, writable: true });
  let wake, running;
  for (const event of ["readable", "end", "close"]) socket.on(event, () => wake?.());
  socket.on("error", () => process.exit(0)); // prong is gone

  function send(type, job, meta = {}, raw = Buffer.alloc(0)) {
    const said = Buffer.from(JSON.stringify(meta)), head = Buffer.alloc(20);
    head.write("PK\x01" + String.fromCharCode(type), "latin1");
    head.writeUInt32LE(4 + said.length + raw.length, 4);
    head.writeBigUInt64LE(job, 8);
    head.writeUInt32LE(said.length, 16);
    for (const bytes of [head, said, raw]) socket.write(bytes);
  }

  async function take(count) { // however they come; null when there are no more
    for (let bytes; count > 0; await new Promise((resolve) => (wake = resolve))) {
      if ((bytes = socket.read(count)) !== null) return bytes.length === count ? bytes : null;
      if (socket.readableEnded || socket.destroyed) return null;
    }
    return Buffer.alloc(0);
  }

  async function receive() {
    const head = await take(16);
    if (head !== null && head.toString("latin1", 0, 3) !== "PK\x01") process.exit(76);
    const body = head && (await take(head.readUInt32LE(4)));
    if (!body) return null;
    const size = body.length === 0 ? 0 : body.readUInt32LE(0);
    const meta = size === 0 ? {} : JSON.parse(body.toString("utf8", 4, 4 + size));
    return { type: head[3], job: head.readBigUInt64LE(8), meta, raw: body.subarray(4 + size) };
  }

  async function answer(frame) {
    const { job: number, meta, raw } = frame, bytes = raw.subarray(0, meta.input_bytes ?? 0), stop = new AbortController();
    const input = meta.input === "values" ? new Float64Array(new Uint8Array(bytes).buffer) : bytes;
    const emit = (value) => meta.wants_parts && send(PART, number, {}, Buffer.from(JSON.stringify(value)));
    let told = Date.now();
    const progress = async (done, total) => {
      if (Date.now() - told < 10) return;
      send(PROGRESS, number, { done, total });
      await new Promise(setImmediate); // what has come is read now
      told = Date.now();
      stop.signal.throwIfAborted();
    };
    running = { number, stop };
    try {
      const kernel = kernels.find((k) => k.name === meta.kernel);
      send(RESULT, number, ...(await compute(kernel, frame, { id: meta.id, input, emit, progress, signal: stop.signal })));
    } catch (error) {
      const code = stop.signal.aborted ? "cancelled" : "failed", trace = String(error?.stack).split("\n").slice(0, 50);
      send(ERROR, number, { message: String(error?.message ?? error), code, trace });
    }
  }

  (async () => {
    for (let frame; (frame = await receive()) !== null && frame.type !== QUIET; ) { // there is no QUIET while a job runs
      if (frame.type === HELLO) send(READY, 0n, { kernels: kernels.map(describe) });
      else if (frame.type === JOB) answer(frame); // not awaited: CANCEL may come meanwhile
      else if (frame.type === PING) send(PONG, 0n);
      else if (frame.type === CANCEL && running?.number === frame.job) running.stop.abort();
    }
    process.exit(0);
  })();
}
