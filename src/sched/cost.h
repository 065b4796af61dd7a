/*
 * F4, pure: what a kernel's tasks have cost so far, and so what the next is predicted to cost. All times in
 * nanoseconds. The caller holds the scheduler's lock.
 *
 * A prediction errs to the long side: it jumps to any longer time seen and comes down slowly, because
 * taking a long task for a short one makes others wait, and the reverse does not.
 */
#ifndef SCHED_COST_H
#define SCHED_COST_H

#include <stdbool.h>
#include <stdint.h>

enum {
    COST_UNKNOWN_NS = 20 * 1000 * 1000, /* predicted for a kernel that has never run */
    COST_EXPRESS_NS_MAX = 5 * 1000 * 1000,
    COST_EXPRESS_RUNS_MIN = 1, /* tasks seen before a kernel may be called short */
};

/* One per kernel. Zero it to begin. */
struct cost {
    double start_ns;    /* wall time of START tasks, erring long */
    double job_cpu_ns;  /* CPU time of whole requests, mean */
    double ns_per_cost; /* CPU time per unit of cost 1.0, mean; 0: nothing measured */
    uint64_t starts, jobs;
    bool
        is_rough; /* ns_per_cost comes from runs too short to tell; the first longer one replaces it */
};

/* A START task ended after run_ns. */
void cost_add_start(struct cost *c, uint64_t run_ns);

/* A START or MAP task ran `units` units of `unit_cost` (0 means 1.0) in run_ns. Ignores what is too short
 * to tell, unless nothing is known, and a unit_cost that is no positive number. */
void cost_add_units(struct cost *c, uint64_t units, double unit_cost, uint64_t run_ns);

/* A request ended, having used cpu_ns in all. */
void cost_add_job(struct cost *c, uint64_t cpu_ns);

uint64_t cost_start_ns(const struct cost *c); /* predicted wall time of a START task */
uint64_t cost_job_ns(const struct cost *c);   /* predicted CPU time of a request */
bool cost_is_short(const struct cost *c);     /* its START may go to the express worker */

#endif
