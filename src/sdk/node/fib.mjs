// The n-th Fibonacci number, the slow way: work enough to look at.
import { serve } from "./prong.mjs";

const slow = (n) => (n < 2 ? n : slow(n - 1) + slow(n - 2));

// fib(n) is 1 + fib(1) + … + fib(n - 2); between these it can be stopped.
async function run({ n }, job) {
  if (n < 2) return n;
  let sum = 1;
  for (let i = 1; i <= n - 2; i++) {
    sum += slow(i);
    job.emit({ fib: i + 2, is: sum });
    await job.progress(i, n - 2);
  }
  return sum;
}

serve({
  name: "fib",
  version: "1",
  summary: "Computes a Fibonacci number, the slow way.",
  example: "n=30",
  flags: ["pure", "idempotent"],
  params: { n: { type: "integer", minimum: 0, maximum: 38, default: 30, help: "Which one" } },
  run,
});
