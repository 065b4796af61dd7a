#include "state/metrics.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "thread/thread.h"

enum { THREADS = 8, ADDS = 10000, TEXT_BYTES_MAX = 4 << 20 };

/* The text format, the test's to free. */
static char *render(void)
{
    struct buf b;

    buf_init(&b, TEXT_BYTES_MAX);
    metrics_render(&b);
    return buf_take(&b);
}

static void assert_line(const char *line)
{
    char *text = render();
    char *at = strstr(text, line);

    if (at == NULL || (at != text && at[-1] != '\n') || at[strlen(line)] != '\n')
        fail_msg("no line \"%s\" in:\n%s", line, text);
    free(text);
}

static void the_same_label_is_the_same_series(void **state)
{
    int run = metrics_label(METRIC_WORKERS, "busy");

    (void)state;
    assert_int_equal(metrics_label(METRIC_WORKERS, "busy"), run);
    assert_int_not_equal(metrics_label(METRIC_WORKERS, "idle"), run);
    metrics_set(METRIC_WORKERS, run, 3);
    assert_int_equal(metrics_value(METRIC_WORKERS, run), 3);
    assert_line("prong_workers{state=\"busy\"} 3");
    assert_line("prong_workers{state=\"idle\"} 0");
}

static void gauges_go_both_ways(void **state)
{
    (void)state;
    metrics_add(METRIC_HTTP_PARKED, 0, 2);
    metrics_add(METRIC_HTTP_PARKED, 0, (uint64_t)-3);
    assert_line("prong_http_requests_parked -1");
    metrics_set(METRIC_HTTP_PARKED, 0, 0);
}

static void label_values_are_escaped(void **state)
{
    (void)state;
    metrics_add(METRIC_WORKER_DEATHS, metrics_label(METRIC_WORKER_DEATHS, "a\"b\\c\nd"), 1);
    assert_line("prong_worker_deaths_total{reason=\"a\\\"b\\\\c\\nd\"} 1");
}

static void a_jobs_label_is_two(void **state)
{
    (void)state;
    metrics_add(METRIC_JOBS, metrics_label(METRIC_JOBS, "primes|ok"), 4);
    assert_line("prong_jobs_total{kernel=\"primes\",outcome=\"ok\"} 4");
}

static void cpu_time_is_rendered_in_seconds(void **state)
{
    (void)state;
    metrics_add(METRIC_JOB_CPU, metrics_label(METRIC_JOB_CPU, "pi"), 1500 * CLOCK_NS_PER_MS);
    assert_line("prong_job_cpu_seconds_total{kernel=\"pi\"} 1.500000000");
}

static void requests_are_counted_by_route_and_code(void **state)
{
    int route = metrics_label(METRIC_HTTP_REQUESTS, "/compute/{kernel}");

    (void)state;
    metrics_http(route, 200, 150 * CLOCK_NS_PER_US);
    metrics_http(route, 200, 90 * CLOCK_NS_PER_S);
    metrics_http(route, 503, 100 * CLOCK_NS_PER_US);
    metrics_http(route, 7, 1);
    assert_int_equal(metrics_value(METRIC_HTTP_REQUESTS, route), 4);
    assert_line("prong_http_requests_total{route=\"/compute/{kernel}\",code=\"200\"} 2");
    assert_line("prong_http_requests_total{route=\"/compute/{kernel}\",code=\"503\"} 1");
    assert_line("prong_http_requests_total{route=\"/compute/{kernel}\",code=\"500\"} 1");
    assert_line(
        "prong_http_request_duration_seconds_bucket{route=\"/compute/{kernel}\",le=\"0.0001\"} 2");
    assert_line(
        "prong_http_request_duration_seconds_bucket{route=\"/compute/{kernel}\",le=\"0.0002\"} 3");
    assert_line(
        "prong_http_request_duration_seconds_bucket{route=\"/compute/{kernel}\",le=\"60\"} 3");
    assert_line(
        "prong_http_request_duration_seconds_bucket{route=\"/compute/{kernel}\",le=\"+Inf\"} 4");
    assert_line("prong_http_request_duration_seconds_count{route=\"/compute/{kernel}\"} 4");
    assert_line(
        "prong_http_request_duration_seconds_sum{route=\"/compute/{kernel}\"} 90.000250001");
}

static void quantiles_are_upper_bounds(void **state)
{
    int kernel = metrics_label(METRIC_JOB_RUN, "q");

    (void)state;
    assert_int_equal(metrics_quantile_ns(METRIC_JOB_QUEUE, 0.5), 0);
    for (int i = 0; i < 90; i++)
        metrics_observe_ns(METRIC_JOB_RUN, kernel, 3 * CLOCK_NS_PER_MS);
    for (int i = 0; i < 10; i++)
        metrics_observe_ns(METRIC_JOB_RUN, metrics_label(METRIC_JOB_RUN, "r"), 70 * CLOCK_NS_PER_S);
    assert_int_equal(metrics_quantile_ns(METRIC_JOB_RUN, 0.5), 5 * CLOCK_NS_PER_MS);
    assert_int_equal(metrics_quantile_ns(METRIC_JOB_RUN, 0.9), 5 * CLOCK_NS_PER_MS);
    assert_int_equal(metrics_quantile_ns(METRIC_JOB_RUN, 0.99), 70 * CLOCK_NS_PER_S);
    assert_int_equal(metrics_value(METRIC_JOB_RUN, kernel), 90);
}

static void every_family_has_its_help_and_type_once(void **state)
{
    char *text = render();
    int helps = 0, types = 0;

    (void)state;
    for (const char *p = text; (p = strstr(p, "# HELP ")) != NULL; p++)
        helps++;
    for (const char *p = text; (p = strstr(p, "# TYPE ")) != NULL; p++)
        types++;
    free(text);
    assert_int_equal(helps, METRIC_COUNT);
    assert_int_equal(types, METRIC_COUNT);
}

static void *add_many(void *route)
{
    for (int i = 0; i < ADDS; i++) {
        metrics_add(METRIC_TASKS, 0, 1);
        metrics_http(*(int *)route, 201, CLOCK_NS_PER_MS);
    }
    return NULL;
}

static void nothing_is_lost_between_threads(void **state)
{
    int route = metrics_label(METRIC_HTTP_REQUESTS, "shared");
    struct thread threads[THREADS];

    (void)state;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(thread_start(&threads[i], "adder", add_many, &route), 0);
    free(render());
    for (int i = 0; i < THREADS; i++)
        thread_join(&threads[i]);
    assert_int_equal(metrics_value(METRIC_TASKS, 0), THREADS * ADDS);
    assert_int_equal(metrics_value(METRIC_HTTP_REQUESTS, route), THREADS * ADDS);
}

static void the_table_of_labels_has_an_end(void **state)
{
    char label[16];
    int i = 0;

    (void)state;
    do
        (void)snprintf(label, sizeof(label), "p%d", i++);
    while (metrics_label(METRIC_QUEUE_DEPTH, label) >= 0);
    assert_int_equal(i, METRICS_LABELS_MAX + 1);
    assert_int_equal(metrics_label(METRIC_QUEUE_DEPTH, label), -ENOSPC);
    assert_int_equal(metrics_label(METRIC_QUEUE_DEPTH, "p0"), 0);
}

static void a_histograms_quantiles_lie_within_its_buckets(void **state)
{
    struct metrics_histogram h = {.buckets = {0}};

    (void)state;
    assert_int_equal(metrics_histogram_quantile_ns(&h, 0.5), 0);
    h.buckets[0] = 10; /* up to 0.1 ms */
    assert_int_equal(metrics_histogram_quantile_ns(&h, 0.5), 50 * CLOCK_NS_PER_US);
    assert_int_equal(metrics_histogram_quantile_ns(&h, 1), 100 * CLOCK_NS_PER_US);
    h.buckets[3] = 10; /* 0.5 to 1 ms */
    assert_int_equal(metrics_histogram_count(&h), 20);
    assert_int_equal(metrics_histogram_quantile_ns(&h, 0.5), 100 * CLOCK_NS_PER_US);
    assert_int_equal(metrics_histogram_quantile_ns(&h, 0.75), 750 * CLOCK_NS_PER_US);
    h.buckets[METRICS_BUCKETS - 1] = 1000000;
    assert_int_equal(metrics_histogram_quantile_ns(&h, 0.99), 60 * CLOCK_NS_PER_S);
}

static void a_histogram_is_of_all_labels(void **state)
{
    struct metrics_histogram before, after;

    (void)state;
    metrics_histogram(METRIC_JOB_QUEUE, &before);
    metrics_observe_ns(METRIC_JOB_QUEUE, metrics_label(METRIC_JOB_QUEUE, "one"), 1);
    metrics_observe_ns(METRIC_JOB_QUEUE, metrics_label(METRIC_JOB_QUEUE, "two"), CLOCK_NS_PER_MS);
    metrics_observe_ns(METRIC_JOB_QUEUE, metrics_label(METRIC_JOB_QUEUE, "two"),
                       1000 * CLOCK_NS_PER_S);
    metrics_histogram(METRIC_JOB_QUEUE, &after);
    assert_int_equal(after.buckets[0] - before.buckets[0], 1);
    assert_int_equal(after.buckets[3] - before.buckets[3], 1);
    assert_int_equal(after.buckets[METRICS_BUCKETS - 1] - before.buckets[METRICS_BUCKETS - 1], 1);
    assert_int_equal(metrics_histogram_count(&after) - metrics_histogram_count(&before), 3);
}

static void errors_are_those_of_500_and_above(void **state)
{
    int route = metrics_label(METRIC_HTTP_REQUESTS, "/errors");
    uint64_t before = metrics_http_errors();

    (void)state;
    metrics_http(route, 200, 1);
    metrics_http(route, 499, 1);
    assert_int_equal(metrics_http_errors(), before);
    metrics_http(route, 500, 1);
    metrics_http(route, 599, 1);
    assert_int_equal(metrics_http_errors(), before + 2);
}

static unsigned rings;

static void count_ring(void *arg)
{
    assert_ptr_equal(arg, &rings);
    rings++;
}

static void an_alarm_rings_once_with_the_next_that_is_counted(void **state)
{
    int label = metrics_label(METRIC_JOB_QUEUE, "bell");

    (void)state;
    metrics_add(METRIC_BATCHES, 0, 1); /* there is none yet */
    metrics_set_alarm(count_ring, &rings);
    metrics_add(METRIC_BATCHES, 0, 1);
    assert_int_equal(rings, 0);
    metrics_arm();
    assert_int_equal(rings, 0);
    metrics_add(METRIC_BATCHES, 0, 1);
    metrics_add(METRIC_BATCHES, 0, 1);
    assert_int_equal(rings, 1);
    metrics_arm();
    metrics_observe_ns(METRIC_JOB_QUEUE, label, 1);
    assert_int_equal(rings, 2);
    metrics_arm();
    metrics_set_alarm(NULL, NULL);
    metrics_add(METRIC_BATCHES, 0, 1);
    assert_int_equal(rings, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_label_is_the_same_series),
        cmocka_unit_test(gauges_go_both_ways),
        cmocka_unit_test(label_values_are_escaped),
        cmocka_unit_test(a_jobs_label_is_two),
        cmocka_unit_test(cpu_time_is_rendered_in_seconds),
        cmocka_unit_test(requests_are_counted_by_route_and_code),
        cmocka_unit_test(quantiles_are_upper_bounds),
        cmocka_unit_test(a_histograms_quantiles_lie_within_its_buckets),
        cmocka_unit_test(a_histogram_is_of_all_labels),
        cmocka_unit_test(errors_are_those_of_500_and_above),
        cmocka_unit_test(an_alarm_rings_once_with_the_next_that_is_counted),
        cmocka_unit_test(every_family_has_its_help_and_type_once),
        cmocka_unit_test(nothing_is_lost_between_threads),
        cmocka_unit_test(the_table_of_labels_has_an_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
