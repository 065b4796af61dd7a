#include "sched/ranges.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { UNITS = 400 };

static void assert_is(const struct ranges *r, const struct range *expected, size_t count)
{
    assert_int_equal(r->count, count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(r->all[i].lo, expected[i].lo);
        assert_int_equal(r->all[i].hi, expected[i].hi);
    }
}

static void what_touches_is_one(void **state)
{
    struct ranges r = {NULL};

    (void)state;
    assert_int_equal(ranges_add(&r, 10, 20), 0);
    assert_int_equal(ranges_add(&r, 30, 40), 0);
    assert_int_equal(ranges_add(&r, 5, 5), 0);
    assert_is(&r, (struct range[]) {{10, 20}, {30, 40}}, 2);
    assert_int_equal(ranges_add(&r, 5, 10), 0);
    assert_int_equal(ranges_add(&r, 40, 41), 0);
    assert_is(&r, (struct range[]) {{5, 20}, {30, 41}}, 2);
    assert_int_equal(ranges_add(&r, 20, 30), 0);
    assert_is(&r, (struct range[]) {{5, 41}}, 1);
    ranges_release(&r);
    assert_int_equal(r.count, 0);
}

static void the_first_is_taken_from_the_left(void **state)
{
    struct ranges r = {NULL};

    (void)state;
    assert_int_equal(ranges_add(&r, 10, 20), 0);
    assert_int_equal(ranges_add(&r, 30, 40), 0);
    ranges_take_first(&r, 4);
    assert_is(&r, (struct range[]) {{14, 20}, {30, 40}}, 2);
    ranges_take_first(&r, 6);
    assert_is(&r, (struct range[]) {{30, 40}}, 1);
    ranges_release(&r);
}

static void an_end_is_that_of_the_range_that_begins_there(void **state)
{
    struct ranges r = {NULL};

    (void)state;
    assert_int_equal(ranges_end_of(&r, 3), 3);
    assert_int_equal(ranges_add(&r, 3, 7), 0);
    assert_int_equal(ranges_add(&r, 9, 12), 0);
    assert_int_equal(ranges_end_of(&r, 3), 7);
    assert_int_equal(ranges_end_of(&r, 9), 12);
    assert_int_equal(ranges_end_of(&r, 4), 4);
    assert_int_equal(ranges_end_of(&r, 7), 7);
    assert_int_equal(ranges_end_of(&r, 100), 100);
    ranges_release(&r);
}

static void any_order_gives_the_same(void **state)
{
    struct ranges r = {NULL};
    int order[UNITS];

    (void)state;
    srand(5);
    for (int i = 0; i < UNITS; i++)
        order[i] = i;
    for (int i = UNITS - 1; i > 0; i--) {
        int j = rand() % (i + 1), kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }
    for (int i = 0; i < UNITS; i++) {
        assert_int_equal(ranges_add(&r, (uint64_t)order[i], (uint64_t)order[i] + 1), 0);
        for (size_t k = 1; k < r.count; k++)
            assert_true(r.all[k - 1].hi < r.all[k].lo);
    }
    assert_is(&r, (struct range[]) {{0, UNITS}}, 1);
    ranges_release(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_touches_is_one),
        cmocka_unit_test(the_first_is_taken_from_the_left),
        cmocka_unit_test(an_end_is_that_of_the_range_that_begins_there),
        cmocka_unit_test(any_order_gives_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
