/*
 * F4b, pure. The plan of a lab and the figures of its runs: what is run in which order, medians, how many times faster, and
 * how much faster it could be at best.
 */
#ifndef LAB_FIGURES_H
#define LAB_FIGURES_H

#include "lab/spec.h"

enum {
    LAB_STEPS_MAX = LAB_MODE_COUNT * (LAB_REPEAT_MAX + 1),
    LAB_WARM_SHARE = 10, /* a warm-up does so much less; of io one wait for each worker */
};

struct lab_step {
    enum lab_mode mode;
    unsigned repeat; /* 0: the warm-up, which is not counted */
};

struct lab_plan {
    struct lab_step steps[LAB_STEPS_MAX];
    unsigned count;
};

/* Warm-ups first, then `repeat` rounds with each mode once: every round in an order of its own, which the seed decides, so
 * that what changes on the machine meanwhile does not fall upon one mode alone. */
void lab_plan_make(const struct lab_spec *spec, struct lab_plan *ret);

/* What a warm-up does of n. */
uint64_t lab_warm_n(const struct lab_spec *spec);

/* What all runs of a mode have found; times in seconds. */
struct lab_figures {
    unsigned count;
    double wall_s[LAB_REPEAT_MAX], cpu_s[LAB_REPEAT_MAX];
    uint64_t results[LAB_REPEAT_MAX], switches[LAB_REPEAT_MAX];
    uint64_t expected;
    double warm_s; /* the warm-up's wall time */
};

/* Of `count` values, at least one. */
double lab_median(const double *values, unsigned count);

/* The run whose wall time is closest to the median: the one that is shown in detail. */
unsigned lab_typical(const struct lab_figures *f);

/* The result that differs most from what was expected, or the first. */
uint64_t lab_worst_result(const struct lab_figures *f);

/* The mode that others of its family are compared with, itself included; LAB_MODE_COUNT: none. */
enum lab_mode lab_baseline(enum lab_experiment experiment, enum lab_mode mode);

/* How many times faster the median is than that of its baseline; 0: unknown. `all` is indexed by mode. */
double lab_speedup(enum lab_experiment experiment, enum lab_mode mode,
                   const struct lab_figures *all);

/* How many times faster it can be at best on `cores`, which may be a fraction: what computes can use no more of them,
 * what waits needs none, and under one lock there is never more than one. 0: nothing is compared. `has_lock`: Python's. */
double lab_ideal(const struct lab_spec *spec, enum lab_mode mode, double cores, bool has_lock);

/* How long all of it will take, by its warm-ups. */
double lab_predict_s(const struct lab_spec *spec, const struct lab_figures *all);

#endif
