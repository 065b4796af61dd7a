// JSON as text. A number of JavaScript loses the digits of a large integer; text keeps them, so what is only shown, or
// passed on, is never parsed here.

const LINE = 76; // characters that a list may take before it is broken over lines

// The end of the string that begins at `at`.
function stringEnd(text, at) {
  for (let end = text.indexOf('"', at + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let slashes = 0;
    while (text[end - 1 - slashes] === "\\") slashes++;
    if (slashes % 2 === 0) return end + 1;
  }
  throw new SyntaxError("A string has no end.");
}

const WORD = /[^\s{}[\],:"]+/y;
const SPACE = /\s*/y;

function* tokensOf(text) {
  for (let at = 0; ;) {
    SPACE.lastIndex = at;
    SPACE.exec(text);
    at = SPACE.lastIndex;
    if (at >= text.length) return;
    let end = at + 1;
    if (text[at] === '"') end = stringEnd(text, at);
    else if (!"{}[],:".includes(text[at])) {
      WORD.lastIndex = at;
      end = at + WORD.exec(text)[0].length;
    }
    yield { token: text.slice(at, end), at, end };
    at = end;
  }
}

// The members of an object as [name, their value's text]; of what is no object, none.
export function membersOf(text) {
  const members = [];
  let depth = 0, name = null, begin = -1;
  for (const { token, at, end } of tokensOf(text)) {
    if (depth === 1 && (token === "," || token === "}")) {
      if (name !== null) members.push([name, text.slice(begin, at).trim()]);
      name = null;
    } else if (depth === 1 && name === null && token[0] === '"') {
      name = JSON.parse(token);
    } else if (depth === 1 && token === ":") {
      begin = end;
    }
    if (token === "{" || token === "[") depth++;
    else if (token === "}" || token === "]") depth--;
    if (depth === 1 && token === "[" && name === null) return [];
  }
  return members;
}

// What begins with `token`: its text, or {open, close, items}, where an item is [value] or [name, value].
function nodeOf(token, tokens) {
  if (token !== "{" && token !== "[") return token;
  const node = { open: token, close: token === "{" ? "}" : "]", items: [] };
  for (let item = []; ;) {
    const { token: next } = tokens.next().value;
    if (next === node.close || next === ",") {
      if (item.length > 0) node.items.push(item);
      if (next === node.close) return node;
      item = [];
    } else if (next !== ":") {
      item.push(nodeOf(next, tokens));
    }
  }
}

function flat(node) {
  if (typeof node === "string") return node;
  const inner = node.items.map((item) => item.map(flat).join(": ")).join(", ");
  return node.open + inner + node.close;
}

function laidOut(node, indent) {
  const line = flat(node);
  if (typeof node === "string" || line.length + indent.length <= LINE) return line;
  const deeper = `${indent}  `;
  const inner = node.items.map((item) => {
    const value = laidOut(item.at(-1), deeper);
    return deeper + (item.length > 1 ? `${item[0]}: ${value}` : value);
  });
  return `${node.open}\n${inner.join(",\n")}\n${indent}${node.close}`;
}

// The same, laid out for reading; every number as it was written. What is no JSON stays as it is.
export function pretty(text) {
  try {
    JSON.parse(text);
  } catch {
    return text;
  }
  const tokens = tokensOf(text);
  return laidOut(nodeOf(tokens.next().value.token, tokens), "");
}

// Whether it is a number as JSON writes them.
export const isNumber = (text) => /^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(text);
