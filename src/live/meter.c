#include "live/meter.h"

void meter_read(struct meter *ret)
{
    struct metrics_histogram runs;

    metrics_histogram(METRIC_JOB_RUN, &runs);
    metrics_histogram(METRIC_HTTP_DURATION, &ret->latency);
    ret->runs = metrics_histogram_count(&runs);
    ret->requests = metrics_histogram_count(&ret->latency);
    ret->errors = metrics_http_errors();
}

void meter_difference(const struct meter *before, const struct meter *after, double passed_s,
                      struct history_second *ret)
{
    ret->values[HISTORY_REQUESTS] = (double)(after->requests - before->requests) / passed_s;
    ret->values[HISTORY_RUNS] = (double)(after->runs - before->runs) / passed_s;
    ret->values[HISTORY_ERRORS] = (double)(after->errors - before->errors) / passed_s;
    for (size_t b = 0; b < METRICS_BUCKETS; b++)
        ret->latency.buckets[b] = after->latency.buckets[b] - before->latency.buckets[b];
}
