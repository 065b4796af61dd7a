// What happened lately, as columns: read from GET /history, kept going by the samples of GET /events.

import { getJson } from "../api.js";

const RELOAD_S = { "1h": 10, "24h": 60 }; // a longer step is its mean so far, so it is read anew now and then

// `changed(columns)` is called with "t" and all figures by name, oldest first; `failed(error)` when they cannot be read.
export function seriesOf(changed, failed) {
  let span = null, columns = null, readAt = 0, reading = null;

  async function read() {
    reading?.abort();
    reading = new AbortController();
    const { signal } = reading;
    try {
      const told = await getJson(`/history?span=${span}`, { signal });
      if (signal.aborted) return;
      columns = told.columns;
      readAt = columns.t.at(-1);
      changed(columns);
    } catch (error) {
      if (!signal.aborted) failed(error);
    }
  }

  function append(sample) {
    for (const [name, values] of Object.entries(columns)) {
      values.push(sample[name] ?? null);
      values.shift();
    }
    changed(columns);
  }

  // A second that was missed, because the tab was hidden or the connection lost, is in the history.
  function add(sample) {
    if (columns === null) return;
    const passed = sample.t - (span === "5m" ? columns.t.at(-1) : readAt);
    if (span === "5m" && passed === 1) append(sample);
    else if (span === "5m" ? passed > 1 : passed >= RELOAD_S[span]) {
      readAt = sample.t;
      read();
    }
  }

  function show(wanted) {
    span = wanted;
    columns = null;
    return read();
  }

  return { add, show };
}
