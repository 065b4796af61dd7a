// Rectangles of pixels, {x, y, width, height}.

// What is left of `area` without `hole`: at most four.
function minus(area, hole) {
  const left = Math.max(area.x, hole.x), right = Math.min(area.x + area.width, hole.x + hole.width);
  const top = Math.max(area.y, hole.y), bottom = Math.min(area.y + area.height, hole.y + hole.height);
  if (left >= right || top >= bottom) return [area];
  return [
    { x: area.x, y: area.y, width: area.width, height: top - area.y },
    { x: area.x, y: bottom, width: area.width, height: area.y + area.height - bottom },
    { x: area.x, y: top, width: left - area.x, height: bottom - top },
    { x: right, y: top, width: area.x + area.width - right, height: bottom - top },
  ].filter(({ width, height }) => width > 0 && height > 0);
}

export const areaOf = (areas) => areas.reduce((sum, { width, height }) => sum + width * height, 0);
export const without = (areas, hole) => areas.flatMap((area) => minus(area, hole));

// The areas of the units [from, to) of `total`, as far as they can be told: units are runs of pixels along the rows, so
// many to a row; or tiles, row by row, as large as the largest of `tiles`. Units at the ends that are only part of a row
// are left out.
export function areasOf({ from, to }, total, { width, height }, tiles) {
  if (total >= height && total % height === 0) {
    const first = Math.ceil((from * height) / total), end = Math.floor((to * height) / total);
    return end > first ? [{ x: 0, y: first, width, height: end - first }] : [];
  }
  const side = Math.max(0, ...tiles.map((tile) => tile.width));
  const columns = Math.ceil(width / side);
  if (columns * Math.ceil(height / side) !== total) return [];
  return Array.from({ length: to - from }, (_, i) => {
    const x = ((from + i) % columns) * side, y = Math.floor((from + i) / columns) * side;
    return { x, y, width: Math.min(side, width - x), height: Math.min(side, height - y) };
  });
}
