// Figures for people, by the language of their browser. What is not known is a dash.

const NONE = "–";
const known = (value) => typeof value === "number" && Number.isFinite(value);
const formats = new Map();

function format(value, options) {
  const key = JSON.stringify(options);
  if (!formats.has(key)) formats.set(key, new Intl.NumberFormat(undefined, options));
  return formats.get(key).format(value);
}

const significant = (value, digits) => format(value, { maximumSignificantDigits: digits });

// 12,345
export const count = (value) => (known(value) ? format(value, { maximumFractionDigits: 0 }) : NONE);

// 0.31, 12.5, 1,234
export const number = (value, digits = 3) =>
  known(value) ? (Math.abs(value) >= 100 ? count(value) : significant(value, digits)) : NONE;

// 12k, 1.3M
export const short = (value) =>
  known(value) ? format(value, { notation: "compact", maximumSignificantDigits: 3 }) : NONE;

export const percent = (ratio) => (known(ratio) ? format(ratio, { style: "percent", maximumFractionDigits: 0 }) : NONE);

// 1.96×
export const times = (ratio) => (known(ratio) ? `${format(ratio, { minimumFractionDigits: 2, maximumFractionDigits: 2 })}×` : NONE);

export function bytes(value) {
  if (!known(value)) return NONE;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (Math.abs(value) >= 1000 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${number(value)} ${units[unit]}`;
}

// From seconds: 85 µs, 3.4 ms, 1.2 s, 3 min 20 s, 2 h 5 min, 3 d 4 h
export function duration(seconds) {
  if (!known(seconds)) return NONE;
  if (seconds !== 0 && seconds < 0.001) return `${number(seconds * 1e6)} µs`;
  if (seconds < 1) return `${number(seconds * 1e3)} ms`;
  if (seconds < 100) return `${number(seconds)} s`;
  const whole = Math.round(seconds);
  const two = (large, unit, small, rest) => (small > 0 ? `${large} ${unit} ${small} ${rest}` : `${large} ${unit}`);
  if (whole < 3600) return two(Math.floor(whole / 60), "min", whole % 60, "s");
  if (whole < 86400) return two(Math.floor(whole / 3600), "h", Math.floor((whole % 3600) / 60), "min");
  return two(Math.floor(whole / 86400), "d", Math.floor((whole % 86400) / 3600), "h");
}

export const milliseconds = (ms) => (known(ms) ? duration(ms / 1000) : NONE);

// From Unix seconds, or the text of a time stamp.
export function clock(when) {
  const date = new Date(typeof when === "number" ? when * 1000 : when);
  return Number.isNaN(date.getTime()) ? NONE : date.toLocaleTimeString();
}

// "3 s ago": for time stamps that are not long ago.
export const ago = (when) => {
  const date = new Date(typeof when === "number" ? when * 1000 : when);
  return Number.isNaN(date.getTime()) ? NONE : `${duration(Math.max(0, Math.round((Date.now() - date) / 1000)))} ago`;
};
