// Running a kernel, now or as a durable job. Both tell what happens by `tell(event, data)` and end with what came of it:
// {body: a Blob, type, receipt, job, cache, roundMs, status}, or throw a Problem.

import { ask, bytesOf, eventsOf, Problem, request } from "../api.js";
import { isNumber, membersOf } from "../json.js";
import { receiptOf } from "../receipt.js";
import { bodyOf, headersOf, pathOf, queryOf } from "./calls.js";

// The request itself: [path, options].
function requestOf(call, extra = {}) {
  const headers = { ...headersOf(call), ...extra };
  if (call.raw === null) {
    return [pathOf(call), { method: "POST", headers: { ...headers, "Content-Type": "application/json" }, body: bodyOf(call) }];
  }
  const body = call.raw.file ?? call.raw.text;
  return [pathOf(call) + queryOf(call), { method: "POST", headers: { ...headers, "Content-Type": call.raw.type }, body }];
}

// The result stays the text that the kernel wrote: only its members beside it are parsed.
function resultOf(data) {
  const members = new Map(membersOf(data));
  const read = (name) => JSON.parse(members.get(name) ?? "null");
  const body = members.has("result") ? members.get("result") : bytesOf(read("base64"));
  return { body: new Blob([body]), type: read("media_type"), receipt: read("receipt"), job: read("job"), cache: null, status: 200 };
}

function endOf({ event, data }) {
  if (event === "result") return resultOf(data);
  if (event !== "error") return null;
  const problem = JSON.parse(data);
  throw new Problem(problem.status ?? 500, problem);
}

// By events, which always compute: progress, parts, workers and retries are told.
export async function runByEvents(call, signal, tell) {
  const [path, options] = requestOf(call, { Accept: "text/event-stream" });
  const start = performance.now();
  const response = await ask(path, { ...options, signal });
  for await (const told of eventsOf(response)) {
    const end = endOf(told);
    if (end !== null) return { ...end, roundMs: performance.now() - start };
    tell(told.event, JSON.parse(told.data));
  }
  throw new Problem(0, { title: "No result", detail: "The server ended the events before the result." });
}

// By the plain answer, which may come out of the cache.
export async function runPlainly(call, signal) {
  const [path, options] = requestOf(call);
  const start = performance.now();
  const response = await ask(path, { ...options, signal });
  const body = await response.blob();
  const { headers } = response;
  return {
    body, type: headers.get("Content-Type") ?? "", receipt: receiptOf(headers.get("Prong-Receipt")), job: headers.get("Prong-Job"),
    cache: headers.get("Prong-Cache"), missing: headers.get("Prong-Missing"), status: response.status,
    roundMs: performance.now() - start,
  };
}

// ---- durable jobs ----

// Submits it; the job as the server keeps it.
export async function submitJob(call) {
  if (call.raw !== null) {
    const [path, options] = requestOf(call, { Prefer: "respond-async" });
    return (await ask(path, options)).json();
  }
  const { priority, timeout, chunks } = call.options;
  const figure = (text) => (isNumber(text) ? text : JSON.stringify(text));
  const members = [
    `"kernel":${JSON.stringify(call.kernel)}`, `"params":${bodyOf(call)}`, priority && `"priority":${JSON.stringify(priority)}`,
    timeout && `"timeout":${figure(timeout)}`, chunks && `"chunks":${figure(chunks)}`,
  ].filter(Boolean);
  const headers = { "Content-Type": "application/json" };
  return (await ask("/jobs", { method: "POST", headers, body: `{${members.join(",")}}` })).json();
}

// Listens until the job has ended, and gives its result. Stopping to listen does not stop the job.
export async function followJob(job, signal, tell) {
  const response = await ask(job.links.events, { headers: { Accept: "text/event-stream" }, signal });
  for await (const { event, data } of eventsOf(response)) {
    if (event === "error" || event === "result") break;
    tell(event, JSON.parse(data));
  }
  const ended = await (await ask(job.links.self, { signal })).json();
  tell("state", ended);
  if (ended.state !== "succeeded") {
    const error = ended.error ?? { title: `The job is ${ended.state}`, detail: `The job is ${ended.state}.` };
    throw new Problem(error.status ?? 0, { ...error, receipt: ended.receipt, job: ended.id });
  }
  const result = await ask(job.links.result, { signal });
  return {
    body: await result.blob(), type: result.headers.get("Content-Type") ?? "", receipt: ended.receipt, job: ended.id, cache: null,
    status: 200, roundMs: null, attempts: ended.attempts,
  };
}

export const cancelJob = (job) => request(job.links.self, { method: "DELETE" });
