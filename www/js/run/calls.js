// The same call from elsewhere: as curl, wrk and Python. A `call` is {kernel, isPure, values: [[name, JSON text, text]],
// raw: null, {type, text} or {type, file}, options: {priority, timeout, chunks, isFresh}}.

import { curlOf, hasToken, quoted } from "../api.js";

const QUERY_MAX = 1500; // characters; a longer one goes as a body

export const pathOf = ({ kernel }) => `/compute/${encodeURIComponent(kernel)}`;
export const bodyOf = ({ values }) => `{${values.map(([name, json]) => `${JSON.stringify(name)}:${json}`).join(",")}}`;

// A parameter in a query: text as it is, all else as JSON.
export function queryOf({ values }) {
  const pairs = values.map(([name, json]) =>
    `${encodeURIComponent(name)}=${encodeURIComponent(json[0] === '"' ? JSON.parse(json) : json).replaceAll("%2C", ",")}`);
  return pairs.length > 0 ? `?${pairs.join("&")}` : "";
}

export function headersOf({ options }) {
  const { priority, timeout, chunks, isFresh } = options;
  return {
    ...(priority && { "Prong-Priority": priority }), ...(timeout && { "Prong-Timeout": timeout }),
    ...(chunks && { "Prong-Chunks": chunks }), ...(isFresh && { "Cache-Control": "no-cache" }),
  };
}

export function curl(call) {
  const headers = headersOf(call);
  if (call.raw === null) return curlOf(pathOf(call), { json: bodyOf(call), headers });
  const { type, text, file } = call.raw;
  return curlOf(pathOf(call) + queryOf(call), { body: file ? `@${file.name}` : text, type, headers });
}

// ---- wrk ----

// As Lua reads it: bytes that are not plain ASCII by their number.
function luaString(text) {
  const written = (byte) => {
    const sign = String.fromCharCode(byte);
    if (sign === '"' || sign === "\\") return `\\${sign}`;
    return byte >= 32 && byte < 127 ? sign : `\\${String(byte).padStart(3, "0")}`;
  };
  return `"${[...new TextEncoder().encode(text)].map(written).join("")}"`;
}

function luaOf(call) {
  const { raw } = call;
  const lines = ['wrk.method = "POST"', `wrk.headers["Content-Type"] = ${luaString(raw?.type ?? "application/json")}`];
  for (const [name, value] of Object.entries(headersOf(call))) lines.push(`wrk.headers[${luaString(name)}] = ${luaString(value)}`);
  if (raw?.file) lines.push(`local file = assert(io.open(${luaString(raw.file.name)}, "rb"))`, 'wrk.body = file:read("*a")');
  else lines.push(`wrk.body = ${luaString(raw?.text ?? bodyOf(call))}`);
  return lines.join("\n");
}

const WRK = "wrk -t2 -c16 -d10s --latency";
const wrkToken = () => (hasToken() ? ' -H "Authorization: Bearer $(cat token)"' : "");

export function wrk(call) {
  const query = queryOf(call);
  const url = location.origin + pathOf(call);
  const parts = [];
  if (call.isPure && call.raw === null && query.length <= QUERY_MAX) {
    const headers = Object.entries(headersOf(call)).map(([name, value]) => ` -H ${quoted(`${name}: ${value}`)}`).join("");
    parts.push(`${WRK}${headers}${wrkToken()} ${quoted(url + query)}`, "", "# or with the parameters as a body:");
  }
  const target = quoted(call.raw === null ? url : url + query);
  return [...parts, "cat > post.lua <<'END'", luaOf(call), "END", `${WRK}${wrkToken()} -s post.lua ${target}`].join("\n");
}

// ---- Python ----

// JSON is Python but for three words, and a string of JSON is one of Python but for "\/".
function pythonOf(json) {
  const words = { true: "True", false: "False", null: "None" };
  return json.replace(/"[^"\\]*(?:\\.[^"\\]*)*"|\b(?:true|false|null)\b/g, (found) =>
    (found[0] === '"' ? JSON.stringify(JSON.parse(found)) : words[found]));
}

const KEYWORDS = new Set(("False None True and as assert async await break class continue def del elif else except finally for "
  + "from global if import in is lambda nonlocal not or pass raise return try while with yield input").split(" "));

const isName = (name) => /^[A-Za-z_]\w*$/.test(name) && !KEYWORDS.has(name);

function argumentsOf(call) {
  const { kernel, values, raw } = call;
  const args = [JSON.stringify(kernel)];
  if (values.every(([name]) => isName(name))) args.push(...values.map(([name, json]) => `${name}=${pythonOf(json)}`));
  else args.push(`{${values.map(([name, json]) => `${JSON.stringify(name)}: ${pythonOf(json)}`).join(", ")}}`);
  if (raw?.file) args.push(`input=open(${JSON.stringify(raw.file.name)}, "rb").read()`);
  else if (raw) args.push(`input=${JSON.stringify(raw.text)}`);
  return args.join(", ");
}

export function python(call) {
  const { priority, timeout, chunks, isFresh } = call.options;
  const options = [
    priority && `priority=${JSON.stringify(priority)}`, timeout && `timeout=${timeout}`, chunks && `chunks=${chunks}`,
    isFresh && "fresh=True",
  ].filter(Boolean);
  const client = `prong.Client(${JSON.stringify(location.origin)}${hasToken() ? ', token_file="token"' : ""})`;
  return [
    "import prong", "",
    `client = ${client}${options.length > 0 ? `.options(${options.join(", ")})` : ""}`,
    `run = client.run(${argumentsOf(call)})`,
    "print(run.value)", "print(run.receipt)",
  ].join("\n");
}

export function urllib(call) {
  const { raw } = call;
  const url = location.origin + pathOf(call) + (raw === null ? "" : queryOf(call));
  const body = raw?.file ? `open(${JSON.stringify(raw.file.name)}, "rb").read()` : `${JSON.stringify(raw?.text ?? bodyOf(call))}.encode()`;
  const headers = Object.entries({ "Content-Type": raw?.type ?? "application/json", ...headersOf(call) })
    .map(([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`);
  if (hasToken()) headers.push('"Authorization": "Bearer " + open("token").read().strip()');
  return [
    "import urllib.request", "",
    "request = urllib.request.Request(", `    ${JSON.stringify(url)},`, `    ${body},`, `    {${headers.join(", ")}},`, ")",
    "with urllib.request.urlopen(request) as answer:", '    print(answer.headers["Prong-Receipt"])', "    print(answer.read())",
  ].join("\n");
}
