// Where the picture looks: how a drag, the wheel and the keys change a kernel's parameters. Lengths are in widths of the
// picture, from its middle, down and to the right.

const clamp = (value, { minimum = -Infinity, maximum = Infinity }) => Math.min(Math.max(value, minimum), maximum);

// Of parameters x, y and scale: a plane that is looked at from above.
const plane = {
  needs: ["x", "y", "scale"],
  pan: ({ x, y, scale }, right, down) => ({ x: x - right * scale, y: y + down * scale }),
  // The point at (right, down) stays where it is.
  zoom: ({ x, y, scale }, factor, right, down) => {
    const shift = scale - scale / factor;
    return { x: x + right * shift, y: y - down * shift, scale: scale / factor };
  },
  // Where a picture of `from` lies in one of `to`.
  placed: (from, to) => ({ right: (from.x - to.x) / to.scale, down: (to.y - from.y) / to.scale, size: from.scale / to.scale }),
};

// Of parameters angle, elevation and distance: a camera that goes round its subject.
const orbit = {
  needs: ["angle", "elevation", "distance"],
  pan: ({ angle, elevation }, right, down) => ({ angle: angle - 180 * right, elevation: elevation + 90 * down }),
  zoom: ({ distance }, factor) => ({ distance: distance / factor }),
  placed: () => ({ right: 0, down: 0, size: 1 }),
};

const still = { needs: [], pan: () => ({}), zoom: () => ({}), placed: () => ({ right: 0, down: 0, size: 1 }) };

export const cameraOf = (properties) =>
  [plane, orbit, still].find(({ needs }) => needs.every((name) => properties[name] !== undefined));

// `values` with `changes`, each within its bounds.
export function within(properties, values, changes) {
  const made = { ...values };
  for (const [name, value] of Object.entries(changes)) {
    const whole = properties[name].type === "integer" ? Math.round(value) : value;
    if (Number.isFinite(whole)) made[name] = clamp(whole, properties[name]);
  }
  return made;
}

// The parameters that a page can set: numbers, but for the size, which is the element's.
export const settableOf = (properties) => Object.entries(properties)
  .filter(([name, { type, default: value }]) => !["width", "height"].includes(name) && ["integer", "number"].includes(type) && value !== undefined)
  .map(([name]) => name);

// Kernels whose answer is a picture of a size that can be asked for.
export const isPicture = ({ media_type: type, params: { properties = {} } }) =>
  type === "image/png" && properties.width?.type === "integer" && properties.height?.type === "integer";
