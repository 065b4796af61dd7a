// Asking the server: its problems as exceptions, its token, its event streams. Nothing here touches the page but the
// question for the token, which shell.js hands in.

const TOKEN = "prong-token"; // in the tab's own storage, gone when it is closed

let askForToken = null; // (detail) => a promise of the token, or of null

// What the server refused, or that it does not answer. `message` is its sentence, for people; `problem` the whole object.
export class Problem extends Error {
  constructor(status, problem) {
    super(problem.detail ?? problem.title ?? `The server answered ${status}.`);
    this.name = "Problem";
    this.status = status;
    this.problem = problem;
  }
}

export function onTokenWanted(ask) {
  askForToken = ask;
}

function token() {
  try {
    return sessionStorage.getItem(TOKEN);
  } catch {
    return null;
  }
}

export const hasToken = () => Boolean(token());

async function problemOf(response) {
  const text = await response.text();
  try {
    return new Problem(response.status, JSON.parse(text));
  } catch {
    return new Problem(response.status, { title: response.statusText, detail: text.slice(0, 400) || undefined });
  }
}

async function send(path, options, headers) {
  try {
    return await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, { title: "No answer", detail: "The server does not answer. Is it still running?" });
  }
}

// A response whatever its status is. `options` are fetch's, and `json`, a value to send. Asks for the token when the
// server wants one.
export async function request(path, { json, ...options } = {}) {
  const headers = new Headers(options.headers);
  if (json !== undefined) {
    headers.set("Content-Type", "application/json");
    options = { method: "POST", ...options, body: JSON.stringify(json) };
  }
  for (;;) {
    const used = token();
    if (used) headers.set("Authorization", `Bearer ${used}`);
    const response = await send(path, options, headers);
    if (response.status !== 401 || askForToken === null) return response;
    const problem = await problemOf(response);
    if (used !== token()) continue; // somebody else was asked meanwhile
    const given = await askForToken(problem.message);
    if (!given) throw problem;
    sessionStorage.setItem(TOKEN, given);
  }
}

// The same, but everything that is not 2xx is thrown as a Problem.
export async function ask(path, options) {
  const response = await request(path, options);
  if (!response.ok) throw await problemOf(response);
  return response;
}

export const getJson = async (path, options) => (await ask(path, options)).json();

// The lines of a stream of text, without their ends.
async function* linesOf(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + value).split(/\r?\n/);
      rest = lines.pop();
      yield* lines;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

// The events of an answer that is text/event-stream, each {event, id, data}; `data` is text. Leaving the loop closes the
// connection, by which the server learns that nobody wants the rest.
export async function* eventsOf(response) {
  let event = "", id = "", data = [];
  for await (const line of linesOf(response.body)) {
    if (line === "") {
      if (data.length > 0) yield { event: event || "message", id, data: data.join("\n") };
      event = "";
      data = [];
      continue;
    }
    const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line);
    if (field === "event") event = value;
    else if (field === "id") id = value;
    else if (field === "data") data.push(value);
  }
}

// What an event brings as base64.
export function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

// Asks with `Accept: text/event-stream`; yields as eventsOf does. Ends when the server ends it, throws when that refuses,
// or when options.signal is aborted.
export async function* events(path, options = {}) {
  const headers = new Headers(options.headers);
  headers.set("Accept", "text/event-stream");
  yield* eventsOf(await ask(path, { ...options, headers }));
}

// For /bin/sh, in single quotes.
export const quoted = (text) => `'${String(text).replaceAll("'", "'\\''")}'`;

// The call as a line of curl.
export function curlOf(path, { method, json, body, type, headers = {} } = {}) {
  const parts = ["curl"];
  if (json !== undefined) parts.push("--json", quoted(typeof json === "string" ? json : JSON.stringify(json)));
  else if (body !== undefined) parts.push("-H", quoted(`Content-Type: ${type}`), "--data-binary", quoted(body));
  if (method && !(method === "GET" || (method === "POST" && (json ?? body) !== undefined))) parts.push("-X", method);
  for (const [name, value] of Object.entries(headers)) parts.push("-H", quoted(`${name}: ${value}`));
  if (token()) parts.push("-H", '"Authorization: Bearer $(cat token)"');
  return [...parts, quoted(location.origin + path)].join(" ");
}
