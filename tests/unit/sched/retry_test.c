#include "sched/retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const uint64_t s = 1000000000;

static const struct retry_rules rules = {
    .chunk_retries = 1,
    .poison_deaths = 2,
    .poison_ttl_ns = 600ULL * 1000000000,
    .brake_deaths = 10,
    .brake_window_ns = 60ULL * 1000000000,
    .brake_first_ns = 1ULL * 1000000000,
    .brake_max_ns = 60ULL * 1000000000,
};

static int set_up(void **state)
{
    *state = calloc(1, sizeof(struct retry_poison));
    return *state == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

static void an_input_is_refused_after_its_second_death(void **state)
{
    struct retry_poison *t = *state;
    uint64_t left = 77;

    assert_false(retry_poison_add(t, &rules, 5, 10 * s));
    assert_false(retry_poison_has(t, &rules, 5, 11 * s, &left));
    assert_int_equal(left, 77);
    assert_true(retry_poison_add(t, &rules, 5, 20 * s));
    assert_true(retry_poison_has(t, &rules, 5, 30 * s, &left));
    assert_int_equal(left, 590 * s);
    assert_false(retry_poison_has(t, &rules, 6, 30 * s, &left));
}

static void a_refusal_ends_with_its_time(void **state)
{
    struct retry_poison *t = *state;
    uint64_t left;

    (void)retry_poison_add(t, &rules, 5, 0);
    (void)retry_poison_add(t, &rules, 5, 0);
    assert_true(retry_poison_has(t, &rules, 5, 600 * s - 1, &left));
    assert_int_equal(left, 1);
    assert_false(retry_poison_has(t, &rules, 5, 600 * s, &left));
    assert_false(retry_poison_add(t, &rules, 5, 600 * s));
}

static void two_deaths_far_apart_do_not_add_up(void **state)
{
    struct retry_poison *t = *state;

    assert_false(retry_poison_add(t, &rules, 5, 0));
    assert_false(retry_poison_add(t, &rules, 5, 600 * s));
}

static void poison_can_be_switched_off(void **state)
{
    struct retry_rules off = rules;
    uint64_t left;

    off.poison_deaths = 0;
    for (int i = 0; i < 5; i++)
        assert_false(retry_poison_add(*state, &off, 5, 0));
    assert_false(retry_poison_has(*state, &off, 5, 0, &left));
    assert_true(retry_poison_is_empty(*state, 0));
}

static void empty_until_a_death_and_after_its_time(void **state)
{
    struct retry_poison *t = *state;

    assert_true(retry_poison_is_empty(t, 0));
    (void)retry_poison_add(t, &rules, 5, 0);
    assert_false(retry_poison_is_empty(t, 600 * s - 1));
    assert_true(retry_poison_is_empty(t, 600 * s));
}

static void a_full_table_forgets_the_oldest_death(void **state)
{
    struct retry_poison *t = *state;
    uint64_t left;

    for (uint64_t f = 0; f < RETRY_POISON_MAX; f++) {
        (void)retry_poison_add(t, &rules, f, f);
        (void)retry_poison_add(t, &rules, f, f);
    }
    (void)retry_poison_add(t, &rules, 0, RETRY_POISON_MAX); /* so that 1 is the oldest now */
    (void)retry_poison_add(t, &rules, 999999, RETRY_POISON_MAX);
    assert_int_equal(t->count, RETRY_POISON_MAX);
    assert_true(retry_poison_has(t, &rules, 0, RETRY_POISON_MAX, &left));
    assert_false(retry_poison_has(t, &rules, 1, RETRY_POISON_MAX, &left));
    assert_true(retry_poison_has(t, &rules, 2, RETRY_POISON_MAX, &left));
}

static void the_longest_refusal_does_not_overflow(void **state)
{
    struct retry_rules for_ever = rules;
    uint64_t left;

    for_ever.poison_ttl_ns = UINT64_MAX;
    (void)retry_poison_add(*state, &for_ever, 5, 100);
    (void)retry_poison_add(*state, &for_ever, 5, 100);
    assert_true(retry_poison_has(*state, &for_ever, 5, 200, &left));
}

static uint64_t left_of(const struct retry_brake *b, uint64_t now_ns)
{
    uint64_t left = 0;

    return retry_brake_allows(b, now_ns, &left) ? 0 : left;
}

static void add_deaths(struct retry_brake *b, int n, uint64_t now_ns)
{
    for (int i = 0; i < n; i++)
        retry_brake_add(b, &rules, now_ns);
}

static void ten_deaths_stop_a_kernel_and_nine_do_not(void **state)
{
    struct retry_brake b = {0};

    (void)state;
    add_deaths(&b, 9, 100 * s);
    assert_int_equal(left_of(&b, 100 * s), 0);
    add_deaths(&b, 1, 101 * s);
    assert_int_equal(left_of(&b, 101 * s), 1 * s);
    assert_int_equal(left_of(&b, 102 * s - 1), 1);
    assert_int_equal(left_of(&b, 102 * s), 0);
}

static void deaths_outside_the_window_do_not_count(void **state)
{
    struct retry_brake b = {0};

    (void)state;
    add_deaths(&b, 9, 100 * s);
    add_deaths(&b, 9, 160 * s);
    assert_int_equal(left_of(&b, 160 * s), 0);
    add_deaths(&b, 1, 219 * s);
    assert_int_equal(left_of(&b, 219 * s), 1 * s);
}

static void the_pause_doubles_up_to_its_maximum(void **state)
{
    struct retry_brake b = {0};
    uint64_t now = 100 * s;
    const uint64_t pauses[] = {1, 2, 4, 8, 16, 32, 60, 60};

    (void)state;
    for (size_t i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++) {
        add_deaths(&b, 10, now);
        assert_int_equal(left_of(&b, now), pauses[i] * s);
        now += pauses[i] * s;
    }
}

static void after_a_short_pause_one_death_is_enough(void **state)
{
    struct retry_brake b = {0};

    (void)state;
    add_deaths(&b, 10, 100 * s);
    add_deaths(&b, 1, 101 * s);
    assert_int_equal(left_of(&b, 101 * s), 2 * s);
}

static void deaths_during_a_pause_do_not_lengthen_it(void **state)
{
    struct retry_brake b = {0};

    (void)state;
    add_deaths(&b, 30, 100 * s);
    assert_int_equal(left_of(&b, 100 * s), 1 * s);
}

static void a_quiet_window_forgives(void **state)
{
    struct retry_brake b = {0};

    (void)state;
    add_deaths(&b, 10, 100 * s);
    add_deaths(&b, 1, 101 * s); /* stopped until 103 */
    add_deaths(&b, 10, 163 * s);
    assert_int_equal(left_of(&b, 163 * s), 1 * s);
}

static void the_brake_can_be_switched_off(void **state)
{
    struct retry_rules off = rules;
    struct retry_brake b = {0};

    (void)state;
    off.brake_deaths = 0;
    for (int i = 0; i < 1000; i++)
        retry_brake_add(&b, &off, 5 * s);
    assert_int_equal(left_of(&b, 5 * s), 0);
}

static void more_deaths_than_are_kept_still_stop(void **state)
{
    struct retry_rules many = rules;
    struct retry_brake b = {0};

    (void)state;
    many.brake_deaths = RETRY_DEATHS_KEPT * 2;
    for (int i = 0; i < RETRY_DEATHS_KEPT; i++)
        retry_brake_add(&b, &many, 5 * s);
    assert_int_equal(left_of(&b, 5 * s), 1 * s);
}

#define POISON_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        POISON_TEST(an_input_is_refused_after_its_second_death),
        POISON_TEST(a_refusal_ends_with_its_time),
        POISON_TEST(two_deaths_far_apart_do_not_add_up),
        POISON_TEST(poison_can_be_switched_off),
        POISON_TEST(empty_until_a_death_and_after_its_time),
        POISON_TEST(a_full_table_forgets_the_oldest_death),
        POISON_TEST(the_longest_refusal_does_not_overflow),
        cmocka_unit_test(ten_deaths_stop_a_kernel_and_nine_do_not),
        cmocka_unit_test(deaths_outside_the_window_do_not_count),
        cmocka_unit_test(the_pause_doubles_up_to_its_maximum),
        cmocka_unit_test(after_a_short_pause_one_death_is_enough),
        cmocka_unit_test(deaths_during_a_pause_do_not_lengthen_it),
        cmocka_unit_test(a_quiet_window_forgives),
        cmocka_unit_test(the_brake_can_be_switched_off),
        cmocka_unit_test(more_deaths_than_are_kept_still_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
