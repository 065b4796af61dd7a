// A kernel's other numbers, each as a slider where its bounds allow one.

import { h, setText } from "../dom.js";
import { number } from "../format.js";

const STEPS = 240;
const WIDE = 1000; // from here on the steps are ratios
const MANY = 1e6; // more values than a slider can tell apart

const isRatio = ({ minimum, maximum }) => minimum > 0 && maximum / minimum >= WIDE;

const toStep = (schema, value) => (isRatio(schema)
  ? (STEPS * Math.log(value / schema.minimum)) / Math.log(schema.maximum / schema.minimum)
  : (STEPS * (value - schema.minimum)) / (schema.maximum - schema.minimum));

function fromStep(schema, step) {
  const { minimum, maximum, type } = schema;
  const value = isRatio(schema) ? minimum * (maximum / minimum) ** (step / STEPS) : minimum + ((maximum - minimum) * step) / STEPS;
  return type === "integer" ? Math.round(value) : Number(value.toPrecision(4));
}

const hasSlider = ({ minimum, maximum }) => minimum !== undefined && maximum !== undefined && (maximum - minimum <= MANY);

function sliderOf(name, schema, change) {
  const output = h("output", { for: `set-${name}` });
  const slider = h("input", { id: `set-${name}`, type: "range", min: 0, max: STEPS, step: 1 });
  slider.addEventListener("input", () => change({ [name]: fromStep(schema, Number(slider.value)) }));
  const show = (value) => {
    slider.value = toStep(schema, value);
    slider.setAttribute("aria-valuetext", number(value));
    setText(output, number(value));
  };
  return { control: slider, output, show };
}

function inputOf(name, schema, change) {
  const input = h("input", { id: `set-${name}`, type: "number", min: schema.minimum, max: schema.maximum, step: schema.type === "integer" ? 1 : "any" });
  input.addEventListener("change", () => input.value !== "" && change({ [name]: Number(input.value) }));
  return { control: input, output: null, show: (value) => { input.value = value; } };
}

// {show(values)}; `change({name: value})` when the person has moved one.
export function settingsOf(place, properties, names, change) {
  const made = names.map((name) => {
    const schema = properties[name];
    const setting = (hasSlider(schema) ? sliderOf : inputOf)(name, schema, change);
    place.append(h("label", { class: "field setting", for: `set-${name}` },
      h("span", {}, name, setting.output), setting.control, h("small", {}, schema.description)));
    return [name, setting];
  });
  return {
    show(values) {
      for (const [name, setting] of made) setting.show(values[name]);
    },
  };
}
