// The picture itself: one canvas holds the kernel's pixels and nothing else, another above it the workers' colours and
// what was lost.

import { areaOf, without } from "./areas.js";

const FADE_MS = 900;
const TINT = 0.55; // of the worker's colour, at first
const TINT_KEPT = 0.4;
const OUTLINED = 4; // pixels; a lower tile is its outline
const HATCH = 10; // pixels from stripe to stripe
const SEEN = 8; // pixels; what was lost is marked at least so high
const AGAIN_MS = 2500; // a tile that was drawn again is marked so long
const LOST = "#ff6b57";

const calm = matchMedia("(prefers-reduced-motion: reduce)");

function rgbaOf({ width, height, rgb }) {
  const text = atob(rgb);
  const pixels = new Uint8ClampedArray(4 * width * height);
  if (text.length !== 3 * width * height) throw new Error("A part of the picture has not as many pixels as it says.");
  for (let from = 0, to = 0; from < text.length; to++) {
    pixels[to++] = text.charCodeAt(from++);
    pixels[to++] = text.charCodeAt(from++);
    pixels[to++] = text.charCodeAt(from++);
    pixels[to] = 255;
  }
  return new ImageData(pixels, width, height);
}

function hatchOf(context) {
  const cell = new OffscreenCanvas(HATCH, HATCH);
  const c = cell.getContext("2d");
  c.fillStyle = "rgb(0 0 0 / 65%)";
  c.fillRect(0, 0, HATCH, HATCH);
  c.strokeStyle = LOST;
  c.lineWidth = 2.5;
  c.beginPath();
  for (const x of [-HATCH, 0, HATCH]) {
    c.moveTo(x, HATCH);
    c.lineTo(x + HATCH, 0);
  }
  c.stroke();
  return context.createPattern(cell, "repeat");
}

function copyOf(canvas) {
  const copy = new OffscreenCanvas(canvas.width, canvas.height);
  copy.getContext("2d").drawImage(canvas, 0, 0);
  return copy;
}

export function stageOf(canvas, overlay) {
  const pixels = canvas.getContext("2d");
  const above = overlay.getContext("2d");
  const hatch = hatchOf(above);
  let tiles = []; // of this picture: {x, y, width, height, colour, at, isAgain: in place of a lost one}
  let lost = [];
  let owed = []; // what no tile has come for
  let before = null; // the pixels of an earlier view, and that view: {picture, view}
  let view = null; // what the canvas shows
  let isTouched = false; // pixels have come since `before` was kept
  let isKept = false; // the workers' colours stay
  let isOver = true;
  let frame = 0;

  // In reduced motion a colour does not fade, but stays until the picture is whole.
  function alphaOf(tile, now) {
    if (isKept) return TINT_KEPT;
    if (calm.matches) return isOver ? 0 : TINT_KEPT;
    return TINT * Math.max(0, 1 - (now - tile.at) / FADE_MS);
  }

  function paintTile(tile, alpha) {
    above.globalAlpha = alpha;
    above.fillStyle = tile.colour;
    above.fillRect(tile.x, tile.y, tile.width, tile.height);
    if (tile.height < OUTLINED) return;
    above.globalAlpha = Math.min(1, 2 * alpha);
    above.strokeStyle = tile.colour;
    above.strokeRect(tile.x + 0.5, tile.y + 0.5, tile.width - 1, tile.height - 1);
  }

  // High enough to be seen.
  function raised({ x, y, width, height }) {
    const more = Math.max(0, SEEN - height) / 2;
    return [x, y - more, width, height + 2 * more];
  }

  function paintMarks(now) {
    above.globalAlpha = 1;
    above.fillStyle = hatch;
    for (const area of lost) above.fillRect(...raised(area));
    above.strokeStyle = LOST;
    const marked = tiles.filter((tile) => tile.isAgain && !isOver && (calm.matches || now - tile.at < AGAIN_MS));
    for (const tile of marked) above.strokeRect(...raised(tile));
    return marked.length > 0;
  }

  function drawAbove(now) {
    frame = 0;
    let isFading = false;
    above.clearRect(0, 0, overlay.width, overlay.height);
    for (const tile of tiles) {
      const alpha = alphaOf(tile, now);
      if (alpha > 0) paintTile(tile, alpha);
      isFading ||= alpha > 0;
    }
    const isMarked = paintMarks(now);
    if ((isMarked || (isFading && !isKept)) && !calm.matches) later();
  }
  const later = () => { frame ||= requestAnimationFrame(drawAbove); };

  function keepBefore() {
    if (!isTouched || view === null) return;
    before = { picture: copyOf(canvas), view };
    isTouched = false;
  }

  return {
    size: () => ({ width: canvas.width, height: canvas.height }),
    tiles: () => tiles,

    // Another view, of that size: what is there already is moved to where it belongs, by `placed(from, to)`.
    show(next, { width, height }, placed) {
      keepBefore();
      if (canvas.width !== width || canvas.height !== height) {
        canvas.width = overlay.width = width;
        canvas.height = overlay.height = height;
      }
      view = next;
      tiles = [];
      lost = [];
      later();
      pixels.clearRect(0, 0, width, height);
      if (before === null) return;
      const { right, down, size } = placed(before.view, next);
      const wide = width * size, high = (wide * before.picture.height) / before.picture.width;
      if (wide < 1 || wide > 1e6) return;
      pixels.drawImage(before.picture, width * (right + 0.5) - wide / 2, height / 2 + width * down - high / 2, wide, high);
    },

    begin() {
      isOver = false;
      tiles = [];
      lost = [];
      owed = [{ x: 0, y: 0, width: canvas.width, height: canvas.height }];
      later();
    },
    // A tile; its pixels are the kernel's own.
    tile(part, colour) {
      const { x, y, width, height } = part;
      pixels.putImageData(rgbaOf(part), x, y);
      isTouched = true;
      const rest = without(lost, part);
      const isAgain = areaOf(rest) < areaOf(lost);
      tiles.push({ x, y, width, height, colour, at: performance.now(), isAgain });
      lost = rest;
      owed = without(owed, part);
      later();
    },
    // The whole picture, for what was not sent as tiles: the server leaves events out for who is slow to take them. Gives
    // the part of it that was owed.
    async fill(png) {
      const area = areaOf(owed);
      if (area === 0) return 0;
      const whole = await createImageBitmap(png, { colorSpaceConversion: "none" });
      for (const { x, y, width, height } of owed) pixels.drawImage(whole, x, y, width, height, x, y, width, height);
      whole.close();
      owed = [];
      isTouched = true;
      return area / (canvas.width * canvas.height);
    },
    lose(areas) {
      lost = [...lost, ...areas];
      later();
    },
    end() {
      isOver = true;
      lost = [];
      later();
    },
    keepColours(isWanted) {
      isKept = isWanted;
      later();
    },
  };
}
