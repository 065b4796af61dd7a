// What can be asked for, in words; the server decides what of it is possible.

export const EXPERIMENTS = {
  cpu: {
    title: "Computing",
    text: "Adds up 0 … n−1, one number after the other: needs a core all the time.",
    n: 100_000_000, nMax: 1_000_000_000, unit: "additions",
    modes: ["sequential", "threads", "threads+gil", "processes", "python-sequential", "python-threads", "python-processes"],
    lane: "computing",
  },
  io: {
    title: "Waiting",
    text: "Waits n times for 50 ms, as for the answer of another machine: needs no core.",
    n: 8, nMax: 1000, unit: "waits",
    modes: ["sequential", "threads", "threads+gil", "processes", "python-sequential", "python-threads", "python-processes"],
    lane: "waiting",
  },
  race: {
    title: "Race",
    text: "All threads add to one counter: without a lock, with one, and with an atomic addition.",
    n: 1_000_000, nMax: 10_000_000, unit: "additions of each",
    modes: ["unlocked", "locked", "atomic"],
    lane: "adding",
  },
  crash: {
    title: "Crash",
    text: "One of the workers follows a bad pointer. Who is left to answer?",
    n: 10_000_000, nMax: 100_000_000, unit: "additions of each",
    modes: ["threads", "processes"],
    lane: "alive",
  },
};

const GREY = "--chart-6", BLUE = "--chart-3", ORANGE = "--chart-2", GREEN = "--chart-1", PINK = "--chart-4";

export const MODES = {
  sequential: { title: "one thread", colour: GREY, text: "all of it, one after the other" },
  threads: { title: "threads", colour: BLUE, text: "of one process" },
  "threads+gil": { title: "threads, one lock", colour: ORANGE, text: "5 ms each in turn" },
  processes: { title: "processes", colour: GREEN, text: "forked, one for each share" },
  "python-sequential": { title: "Python, one thread", colour: GREY, text: "a plain loop" },
  "python-threads": { title: "Python, threads", colour: ORANGE, text: "threading" },
  "python-processes": { title: "Python, processes", colour: GREEN, text: "multiprocessing" },
  unlocked: { title: "no lock", colour: ORANGE, text: "read, add, write" },
  locked: { title: "a lock", colour: GREEN, text: "around each addition" },
  atomic: { title: "atomic", colour: BLUE, text: "one instruction" },
};

export const titleOf = (mode) => MODES[mode]?.title ?? mode;
export const colourOf = (mode) => `var(${MODES[mode]?.colour ?? GREY})`;
export const isPython = (mode) => mode.startsWith("python-");
const baseOf = (mode) => (isPython(mode) ? "python-sequential" : "sequential");

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length === 0 ? NaN : (sorted[middle] + sorted[(sorted.length - 1) >> 1]) / 2;
}

// What is known while a lab runs, in the form in which the server reports it at the end.
export function liveReport(plan) {
  const modes = [...new Set(plan.order.map(([mode]) => mode))];
  const runs = modes.map((mode) => ({ mode, wall_s: [], cpu_s: [], lanes: [], speedup: null, ideal: null, median_s: null }));
  return { ...plan, runs, machine: null, advice: null };
}

export function addRun(report, { mode, repeat, wall_s: wall, cpu_s: cpu }) {
  const run = report.runs.find((r) => r.mode === mode);
  if (repeat === 0 || run === undefined) return;
  run.wall_s.push(wall);
  run.cpu_s.push(cpu);
  for (const each of report.runs) {
    const base = report.runs.find((r) => r.mode === baseOf(each.mode));
    each.median_s = each.wall_s.length ? median(each.wall_s) : null;
    each.speedup = base?.wall_s.length && each.wall_s.length ? median(base.wall_s) / each.median_s : null;
  }
}

// Those that share one axis: C and Python differ a hundredfold.
export function familiesOf(report) {
  const families = [
    { title: "In C", runs: report.runs.filter((run) => !isPython(run.mode)) },
    { title: report.machine?.python ? `In Python ${report.machine.python}` : "In Python", runs: report.runs.filter((run) => isPython(run.mode)) },
  ].filter((family) => family.runs.length > 0);
  return families.length === 1 && !isPython(families[0].runs[0].mode) ? [{ ...families[0], title: "" }] : families;
}
