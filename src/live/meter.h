/*
 * F4b. From what is counted since the start to what happened between two readings.
 */
#ifndef LIVE_METER_H
#define LIVE_METER_H

#include "live/history.h"

struct meter {
    uint64_t requests, errors, runs;
    struct metrics_histogram latency;
};

void meter_read(struct meter *ret);

/* Rates and latency of the time from `before` to `after`, which was `passed_s`; the other values are untouched. */
void meter_difference(const struct meter *before, const struct meter *after, double passed_s,
                      struct history_second *ret);

#endif
