#include "live/history.h"

#include <math.h>
#include <string.h>

#include "base/clock.h"

const char *const history_column_names[HISTORY_COLUMN_COUNT] = {
#define COLUMN(id, name, kind) [HISTORY_##id] = name,
#include "live/columns.def"
#undef COLUMN
};

enum column_kind { MEAN, QUANTILE };

static const enum column_kind kinds[HISTORY_COLUMN_COUNT] = {
#define COLUMN(id, name, kind) [HISTORY_##id] = kind,
#include "live/columns.def"
#undef COLUMN
};

static const struct ring {
    size_t first, count; /* among the cells */
} rings[HISTORY_SPAN_COUNT] = {
    [HISTORY_5M] = {0, HISTORY_SECONDS},
    [HISTORY_1H] = {HISTORY_SECONDS, HISTORY_TENS},
    [HISTORY_24H] = {HISTORY_SECONDS + HISTORY_TENS, HISTORY_FIVE_MINUTES},
};
const char *const history_span_names[HISTORY_SPAN_COUNT] = {"5m", "1h", "24h"};
const unsigned history_step_s[HISTORY_SPAN_COUNT] = {1, 10, 300};

static const uint64_t longest_s = (uint64_t)HISTORY_FIVE_MINUTES * 300;

void history_init(struct history *h, uint64_t last)
{
    memset(h, 0, sizeof(*h));
    h->last = last;
}

static uint64_t step_of(enum history_span span, uint64_t t)
{
    return t - t % history_step_s[span];
}

static size_t place_of(enum history_span span, uint64_t t)
{
    return rings[span].first + t / history_step_s[span] % rings[span].count;
}

static void add_to_cell(struct history_cell *cell, uint64_t step,
                        const struct history_second *second)
{
    if (cell->t != step)
        *cell = (struct history_cell) {.t = step};
    cell->seconds++;
    for (int c = 0; c < HISTORY_COLUMN_COUNT; c++)
        cell->sums[c] += kinds[c] == MEAN ? (float)second->values[c] : 0;
    for (size_t b = 0; b < METRICS_BUCKETS; b++)
        cell->buckets[b] += (uint32_t)second->latency.buckets[b];
}

void history_add(struct history *h, uint64_t t, const struct history_second *second)
{
    CHECK(t > h->last);
    for (int s = 0; s < HISTORY_SPAN_COUNT; s++)
        add_to_cell(&h->cells[place_of((enum history_span)s, t)], step_of((enum history_span)s, t),
                    second);
    h->last = t;
    h->last_rss = second->values[HISTORY_RSS];
}

void history_add_rest(struct history *h, uint64_t until)
{
    struct history_second rest = {.values = {[HISTORY_RSS] = h->last_rss}};
    uint64_t t = h->last + 1;

    if (until > longest_s)
        t = MAX(t, until - longest_s);
    for (; t <= until; t++)
        history_add(h, t, &rest);
}

static double quantile_ms(const struct metrics_histogram *latency, double q)
{
    if (metrics_histogram_count(latency) == 0)
        return NAN;
    return (double)metrics_histogram_quantile_ns(latency, q) / (double)CLOCK_NS_PER_MS;
}

void history_point_of(uint64_t t, const struct history_second *second, struct history_point *ret)
{
    ret->t = t;
    memcpy(ret->values, second->values, sizeof(ret->values));
    ret->values[HISTORY_P50] = quantile_ms(&second->latency, 0.5);
    ret->values[HISTORY_P99] = quantile_ms(&second->latency, 0.99);
}

static void unknown_point(uint64_t t, struct history_point *ret)
{
    ret->t = t;
    for (int c = 0; c < HISTORY_COLUMN_COUNT; c++)
        ret->values[c] = NAN;
}

static void point_of_cell(const struct history_cell *cell, struct history_point *ret)
{
    struct history_second mean;

    for (int c = 0; c < HISTORY_COLUMN_COUNT; c++)
        mean.values[c] = (double)cell->sums[c] / cell->seconds;
    for (size_t b = 0; b < METRICS_BUCKETS; b++)
        mean.latency.buckets[b] = cell->buckets[b];
    history_point_of(cell->t, &mean, ret);
}

size_t history_read(const struct history *h, enum history_span span,
                    struct history_point ret[HISTORY_POINTS_MAX])
{
    size_t count = rings[span].count;
    uint64_t step = history_step_s[span], newest = step_of(span, h->last);

    for (size_t i = 0; i < count; i++) {
        uint64_t t = newest - (count - 1 - i) * step;
        const struct history_cell *cell = &h->cells[place_of(span, t)];
        if (cell->t == t && cell->seconds > 0)
            point_of_cell(cell, &ret[i]);
        else
            unknown_point(t, &ret[i]);
    }
    return count;
}
