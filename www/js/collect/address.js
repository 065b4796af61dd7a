// What is asked, in an address: behind the #, where no server sees whom somebody asks for.

const ADDRESS_MAX = 32_000; // of characters; longer ones do not survive everywhere

export const DEFAULTS = { concurrency: 16, timeout: 10, max_bytes: 1 << 20, process: "wordcount" };

// "#u=…&u=…&concurrency=…": only what is not as ever. "" when it would be too long to be handed on.
export function hashOf({ urls, ...options }) {
  const parts = new URLSearchParams();
  for (const url of urls) parts.append("u", url);
  for (const [name, value] of Object.entries(options)) {
    if (value !== DEFAULTS[name]) parts.set(name, value ?? "none");
  }
  const hash = `#${parts}`;
  return hash.length <= ADDRESS_MAX ? hash : "";
}

// The same back: {urls, concurrency, timeout, max_bytes, process}, or null when there is nothing in it. What the form
// cannot show is left as ever; the server judges the rest.
export function askedIn(hash) {
  const parts = new URLSearchParams(hash.slice(1));
  const urls = parts.getAll("u");
  if (urls.length === 0) return null;
  const figure = (name, min, max) => {
    const value = Number(parts.get(name) ?? DEFAULTS[name]);
    return value >= min && value <= max ? value : DEFAULTS[name];
  };
  const process = parts.get("process") ?? DEFAULTS.process;
  return {
    urls,
    concurrency: Math.round(figure("concurrency", 1, 64)),
    timeout: figure("timeout", 0.001, 60),
    max_bytes: figure("max_bytes", 1, 16 << 20),
    process: process === "none" ? null : process,
  };
}
