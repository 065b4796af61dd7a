/*
 * F4b. What happened lately: rings of 1 s for five minutes, 10 s for an hour, 5 min for a day. Fixed memory, and no
 * clock of its own: times are seconds of Unix time, given by the caller, who also sees to it that only one thread is here.
 *
 * May use state (histograms) and base.
 */
#ifndef LIVE_HISTORY_H
#define LIVE_HISTORY_H

#include "state/metrics.h"

enum history_column {
#define COLUMN(id, name, kind) HISTORY_##id,
#include "live/columns.def"
#undef COLUMN
    HISTORY_COLUMN_COUNT
};
extern const char *const history_column_names[HISTORY_COLUMN_COUNT];

enum history_span { HISTORY_5M, HISTORY_1H, HISTORY_24H, HISTORY_SPAN_COUNT };

enum {
    HISTORY_SECONDS = 300, /* cells of each ring */
    HISTORY_TENS = 360,
    HISTORY_FIVE_MINUTES = 288,
    HISTORY_POINTS_MAX = 360,
    HISTORY_CELLS = HISTORY_SECONDS + HISTORY_TENS + HISTORY_FIVE_MINUTES,
};

/* "5m", "1h", "24h", and how long their steps are. */
extern const char *const history_span_names[HISTORY_SPAN_COUNT];
extern const unsigned history_step_s[HISTORY_SPAN_COUNT];

/* One second, or several that were alike. Quantiles in `values` are not looked at. */
struct history_second {
    double values[HISTORY_COLUMN_COUNT];
    struct metrics_histogram latency; /* of the requests in it */
};

struct history_point {
    uint64_t t;                          /* when the step began */
    double values[HISTORY_COLUMN_COUNT]; /* NAN: unknown */
};

struct history_cell {
    uint64_t t;       /* when its step began */
    uint32_t seconds; /* known of it */
    float sums[HISTORY_COLUMN_COUNT];
    uint32_t buckets[METRICS_BUCKETS];
};

struct history {
    uint64_t last; /* the newest second */
    double last_rss;
    struct history_cell cells[HISTORY_CELLS]; /* one ring after the other */
};

/* Nothing is known up to the second `last`. */
void history_init(struct history *h, uint64_t last);

/* The second that began at `t`, later than all that were added. What lies between stays unknown. */
void history_add(struct history *h, uint64_t t, const struct history_second *second);

/* Nothing has happened after the newest second and up to `until`, that one included: all is zero, memory is as it was, and
 * there is no latency. */
void history_add_rest(struct history *h, uint64_t until);

/* The same values as a point, with their quantiles. */
void history_point_of(uint64_t t, const struct history_second *second, struct history_point *ret);

/* All steps of the span up to that of the newest second, oldest first; how many. */
size_t history_read(const struct history *h, enum history_span span,
                    struct history_point ret[HISTORY_POINTS_MAX]);

#endif
