#include "live/history.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

enum { START = 1700000000 - 1700000000 % 300 }; /* a full step of every span */

static struct history history;
static struct history_point points[HISTORY_POINTS_MAX];

static int set_up(void **state)
{
    (void)state;
    history_init(&history, START - 1);
    return 0;
}

static void add(uint64_t t, double requests)
{
    struct history_second second = {
        .values = {[HISTORY_REQUESTS] = requests, [HISTORY_RSS] = 1000 + requests}};

    history_add(&history, t, &second);
}

/* The newest step but `back`. */
static const struct history_point *read_back(enum history_span span, size_t back)
{
    size_t count = history_read(&history, span, points);

    return &points[count - 1 - back];
}

static void before_the_first_second_nothing_is_known(void **state)
{
    (void)state;
    assert_int_equal(history_read(&history, HISTORY_5M, points), 300);
    assert_int_equal(points[299].t, START - 1);
    for (size_t i = 0; i < 300; i++) {
        for (int c = 0; c < HISTORY_COLUMN_COUNT; c++)
            assert_true(isnan(points[i].values[c]));
    }
}

static void each_span_has_its_steps_oldest_first(void **state)
{
    const size_t counts[HISTORY_SPAN_COUNT] = {300, 360, 288};

    (void)state;
    add(START, 1);
    for (int s = 0; s < HISTORY_SPAN_COUNT; s++) {
        size_t count = history_read(&history, (enum history_span)s, points);
        assert_int_equal(count, counts[s]);
        assert_int_equal(points[count - 1].t, START);
        for (size_t i = 1; i < count; i++)
            assert_int_equal(points[i].t - points[i - 1].t, history_step_s[s]);
    }
}

static void a_second_is_found_as_it_was(void **state)
{
    (void)state;
    add(START, 5);
    add(START + 1, 7);
    assert_true(read_back(HISTORY_5M, 0)->values[HISTORY_REQUESTS] == 7);
    assert_true(read_back(HISTORY_5M, 1)->values[HISTORY_REQUESTS] == 5);
    assert_true(read_back(HISTORY_5M, 1)->values[HISTORY_RSS] == 1005);
    assert_true(isnan(read_back(HISTORY_5M, 2)->values[HISTORY_REQUESTS]));
}

static void longer_steps_are_means_of_what_is_known(void **state)
{
    (void)state;
    for (uint64_t t = 0; t < 10; t++)
        add(START + t, (double)t);
    assert_true(read_back(HISTORY_1H, 0)->values[HISTORY_REQUESTS] == 4.5);
    add(START + 12, 30);
    add(START + 14, 40);
    assert_true(read_back(HISTORY_1H, 0)->values[HISTORY_REQUESTS] == 35);
    assert_true(read_back(HISTORY_1H, 1)->values[HISTORY_REQUESTS] == 4.5);
    assert_true(read_back(HISTORY_24H, 0)->values[HISTORY_REQUESTS] == (45 + 70) / 12.0);
}

static void a_gap_stays_unknown(void **state)
{
    (void)state;
    add(START, 1);
    add(START + 3, 4);
    assert_true(isnan(read_back(HISTORY_5M, 1)->values[HISTORY_REQUESTS]));
    assert_true(isnan(read_back(HISTORY_5M, 2)->values[HISTORY_RSS]));
    assert_true(read_back(HISTORY_5M, 3)->values[HISTORY_REQUESTS] == 1);
}

static void rest_is_known_to_be_zero(void **state)
{
    (void)state;
    add(START, 5);
    history_add_rest(&history, START + 2);
    assert_int_equal(read_back(HISTORY_5M, 0)->t, START + 2);
    for (size_t back = 0; back < 2; back++) {
        assert_true(read_back(HISTORY_5M, back)->values[HISTORY_REQUESTS] == 0);
        assert_true(read_back(HISTORY_5M, back)->values[HISTORY_RSS] == 1005);
        assert_true(isnan(read_back(HISTORY_5M, back)->values[HISTORY_P50]));
    }
    history_add_rest(&history, START + 2);
    history_add_rest(&history, START);
    assert_int_equal(read_back(HISTORY_5M, 0)->t, START + 2);
    assert_true(read_back(HISTORY_1H, 0)->values[HISTORY_REQUESTS] == 5 / 3.0);
}

static void a_rest_of_months_is_soon_over(void **state)
{
    uint64_t end = START + 200ULL * 86400 + 299;

    (void)state;
    add(START, 5);
    history_add_rest(&history, end);
    assert_int_equal(read_back(HISTORY_24H, 0)->t, end - 299);
    for (int s = 0; s < HISTORY_SPAN_COUNT; s++) {
        size_t count = history_read(&history, (enum history_span)s, points);
        for (size_t i = 1; i < count; i++)
            assert_true(points[i].values[HISTORY_REQUESTS] == 0);
    }
}

static void what_is_a_ring_ago_is_forgotten(void **state)
{
    (void)state;
    add(START, 99);
    history_add_rest(&history, START + 299);
    assert_true(read_back(HISTORY_5M, 299)->values[HISTORY_REQUESTS] == 99);
    history_add_rest(&history, START + 300);
    assert_true(read_back(HISTORY_5M, 299)->values[HISTORY_REQUESTS] == 0);
    /* … but not by the next ring. */
    assert_true(read_back(HISTORY_1H, 30)->values[HISTORY_REQUESTS] == 99 / 10.0);
    add(START + 400, 3);
    assert_true(isnan(read_back(HISTORY_5M, 1)->values[HISTORY_REQUESTS]));
}

static void quantiles_are_of_all_requests_of_a_step(void **state)
{
    struct history_second fast = {.latency = {.buckets = {99}}};
    struct history_second slow = {.latency = {.buckets = {[3] = 1}}}; /* 0.5 to 1 ms */

    (void)state;
    history_add(&history, START, &fast);
    history_add(&history, START + 1, &slow);
    assert_true(read_back(HISTORY_5M, 1)->values[HISTORY_P99] <= 0.1);
    assert_true(read_back(HISTORY_5M, 0)->values[HISTORY_P50] > 0.5);
    assert_true(read_back(HISTORY_1H, 0)->values[HISTORY_P50] < 0.1);
    assert_true(read_back(HISTORY_1H, 0)->values[HISTORY_P99] == 0.1);
    slow.latency.buckets[3] = 9;
    history_add(&history, START + 2, &slow);
    assert_true(read_back(HISTORY_1H, 0)->values[HISTORY_P99] > 0.5);
}

static void a_point_of_a_second_is_as_it_will_be_read(void **state)
{
    struct history_second second = {.values = {[HISTORY_BUSY] = 1.5, [HISTORY_QUEUE_LOW] = 3},
                                    .latency = {.buckets = {[2] = 4}}};
    struct history_point point;

    (void)state;
    history_add(&history, START, &second);
    history_point_of(START, &second, &point);
    assert_int_equal(point.t, START);
    for (int c = 0; c < HISTORY_COLUMN_COUNT; c++)
        assert_true(point.values[c] == read_back(HISTORY_5M, 0)->values[c]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(before_the_first_second_nothing_is_known, set_up),
        cmocka_unit_test_setup(each_span_has_its_steps_oldest_first, set_up),
        cmocka_unit_test_setup(a_second_is_found_as_it_was, set_up),
        cmocka_unit_test_setup(longer_steps_are_means_of_what_is_known, set_up),
        cmocka_unit_test_setup(a_gap_stays_unknown, set_up),
        cmocka_unit_test_setup(rest_is_known_to_be_zero, set_up),
        cmocka_unit_test_setup(a_rest_of_months_is_soon_over, set_up),
        cmocka_unit_test_setup(what_is_a_ring_ago_is_forgotten, set_up),
        cmocka_unit_test_setup(quantiles_are_of_all_requests_of_a_step, set_up),
        cmocka_unit_test_setup(a_point_of_a_second_is_as_it_will_be_read, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
