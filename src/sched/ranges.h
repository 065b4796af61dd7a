/*
 * F4, pure: a set of units, as ranges that are sorted and never touch. The caller holds the scheduler's lock.
 */
#ifndef SCHED_RANGES_H
#define SCHED_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* [lo, hi) */
struct range {
    uint64_t lo, hi;
};

/* Zero it to begin. */
struct ranges {
    struct range *all;
    size_t count, capacity;
};

void ranges_release(struct ranges *r);

/* None of it may be in yet. Joins what then touches; an empty range adds nothing. -ENOMEM changes nothing. */
int ranges_add(struct ranges *r, uint64_t lo, uint64_t hi);

/* Takes the first `units` units of the first range, which has at least as many. */
void ranges_take_first(struct ranges *r, uint64_t units);

/* The end of the range that begins at `at`; `at` itself when none does. */
uint64_t ranges_end_of(const struct ranges *r, uint64_t at);

#endif
