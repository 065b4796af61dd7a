// Who draws: a row for each worker with its colour, its share of this picture, and a button that kills it.

import { h, setText } from "../dom.js";
import { count, percent } from "../format.js";

// The same in light and dark, as the picture is. By sight apart from each other and from its blue and amber.
const COLOURS = ["#12c48b", "#ff4fb4", "#ffe14d", "#8f7bff", "#ff6b3d", "#4df0ff", "#c3ff4d", "#ffffff"];

export function workersOf(list, kill) {
  const rows = new Map(); // by pid
  const living = new Set();
  let whole = 1; // pixels of the picture

  const freeColour = () => COLOURS.find((colour) => ![...rows.values()].some((row) => row.colour === colour)) ?? COLOURS.at(-1);

  function rowOf(pid) {
    if (rows.has(pid)) return rows.get(pid);
    const colour = freeColour();
    const swatch = h("i", { class: "swatch", "aria-hidden": "true" });
    swatch.style.background = colour;
    const state = h("span", { class: "note" });
    const share = h("span", { class: "share" });
    const button = h("button", { type: "button", class: "quiet danger small", "aria-label": `Kill worker ${pid}`, onclick: () => kill(pid) }, "Kill");
    const element = h("li", { "data-pid": pid }, swatch, h("span", { class: "mono" }, pid), state, share, button);
    const row = { pid, colour, element, state, share, button, pixels: 0, tiles: 0 };
    rows.set(pid, row);
    list.append(element);
    return row;
  }

  function draw(row) {
    row.button.disabled = !living.has(row.pid);
    row.element.classList.toggle("dead", !living.has(row.pid));
    setText(row.share, row.tiles > 0 ? `${percent(row.pixels / whole)} · ${count(row.tiles)} tiles` : "");
  }

  function drop(row) {
    row.element.remove();
    rows.delete(row.pid);
  }

  return {
    // The workers of GET /status.
    live(workers) {
      living.clear();
      for (const { pid, kind, state } of workers) {
        living.add(pid);
        setText(rowOf(pid).state, kind === "express" ? `express, ${state}` : state);
      }
      for (const row of rows.values()) {
        if (!living.has(row.pid) && row.tiles === 0) drop(row);
        else if (!living.has(row.pid)) setText(row.state, "gone");
        if (rows.has(row.pid)) draw(row);
      }
    },
    begin(pixels) {
      whole = pixels;
      for (const row of rows.values()) {
        row.pixels = row.tiles = 0;
        if (living.has(row.pid)) draw(row);
        else drop(row);
      }
    },
    // Who drew `pixels` more: its colour. null: nobody has said who.
    drew(pid, pixels) {
      if (pid === null) return COLOURS[0];
      if (!rows.has(pid)) living.add(pid); // younger than the last status
      const row = rowOf(pid);
      row.pixels += pixels;
      row.tiles++;
      draw(row);
      return row.colour;
    },
    hasDrawn: (pid) => rows.get(pid).tiles > 0,
    died(pid) {
      living.delete(pid);
      if (!rows.has(pid)) return;
      setText(rows.get(pid).state, "died");
      draw(rows.get(pid));
    },
  };
}
