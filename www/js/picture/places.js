// Places worth a look, by kernel.

export const PLACES = {
  mandelbrot: [
    { title: "Whole", view: { x: -0.5, y: 0, scale: 3, iterations: 256 } },
    { title: "Seahorses", view: { x: -0.7453, y: 0.1127, scale: 0.0065, iterations: 2000 } },
    { title: "Elephants", view: { x: 0.2925, y: 0.0149, scale: 0.02, iterations: 1500 } },
    { title: "Spirals", view: { x: -0.743643887037151, y: 0.13182590420533, scale: 0.00001, iterations: 20000 } },
    { title: "Small set", view: { x: -1.76877883, y: 0.00173891, scale: 0.00003, iterations: 4000 } },
  ],
};
