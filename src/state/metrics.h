/*
 * F2. What /metrics tells: counters, gauges and histograms, one table of them in metrics.def.
 *
 * Any thread; writers only add to atomics. Labels come from fixed sets (routes, kernels), never from
 * clients, so the number of series is bounded.
 */
#ifndef STATE_METRICS_H
#define STATE_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

enum metric {
#define METRIC(name, kind, text, label, help) METRIC_##name,
#include "state/metrics.def"
#undef METRIC
    METRIC_COUNT
};

enum {
    METRICS_LABELS_MAX = 2048, /* label values of one metric */
    METRICS_BUCKETS = 19, /* of a histogram, with that of all that is longer than the last bound */
};

/* Registers a label value of a metric that has a label, before it is used; in the text format it is
 * escaped. The index to pass below; the same value gives the same index. -ENOSPC. Main thread, or under
 * the caller's lock. */
int metrics_label(enum metric m, const char *value);

/* The same for one that was registered; -ENOENT. */
int metrics_find_label(enum metric m, const char *value);

/* `label` is 0 for a metric without labels. */
void metrics_add(enum metric m, int label, uint64_t n);
void metrics_set(enum metric m, int label, int64_t value);      /* gauges */
void metrics_observe_ns(enum metric m, int label, uint64_t ns); /* histograms of seconds */
uint64_t metrics_value(enum metric m, int label); /* counters, gauges; a histogram's count */

/* An upper bound of the q-quantile of a histogram in ns, over all labels; 0 when empty. */
uint64_t metrics_quantile_ns(enum metric m, double q);

/* A histogram as it is now, over all labels. */
struct metrics_histogram {
    uint64_t buckets[METRICS_BUCKETS]; /* not cumulative */
};
void metrics_histogram(enum metric m, struct metrics_histogram *ret);
uint64_t metrics_histogram_count(const struct metrics_histogram *h);

/* The q-quantile in ns, as if what is in a bucket were spread over it evenly; 0 when empty. What was longer than the last
 * bound counts as that. */
uint64_t metrics_histogram_quantile_ns(const struct metrics_histogram *h, double q);

/* Answers so far with a status of 500 and above. */
uint64_t metrics_http_errors(void);

/* Who sleeps while nothing happens is woken: `ring` is called once, by the thread that next adds or observes
 * anything after metrics_arm; what was counted before that is seen by who arms. `ring` may take no lock, since it is
 * called under any. Set it while it is not armed. */
void metrics_set_alarm(void (*ring)(void *arg), void *arg);
void metrics_arm(void);

/* One request, answered. Labels route and code; `route` is an index from metrics_label of
 * METRIC_HTTP_REQUESTS. */
void metrics_http(int route, unsigned status, uint64_t ns);

/* Appends the Prometheus text format 0.0.4. */
void metrics_render(struct buf *b);

#endif
