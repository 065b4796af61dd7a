#include "jobs/store/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void drop(void *thing)
{
    ++*(int *)thing;
}

static int set_up(void **state)
{
    *state = table_new(drop);
    return *state == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)table_free(*state);
    return 0;
}

static void a_thing_is_found_at_once_and_stays_after_the_commit(void **state)
{
    static int thing; /* the table drops it after the test */

    assert_null(table_get(*state, "a"));
    assert_int_equal(table_set(*state, "a", &thing), 0);
    assert_ptr_equal(table_get(*state, "a"), &thing);
    table_commit(*state);
    table_rollback(*state);
    assert_ptr_equal(table_get(*state, "a"), &thing);
    assert_int_equal(thing, 0);
    assert_null(table_get(*state, "A"));
}

static void a_rollback_brings_back_what_was(void **state)
{
    static int first, second, third;

    assert_int_equal(table_set(*state, "a", &first), 0);
    table_commit(*state);
    assert_int_equal(table_set(*state, "a", NULL), 0);
    assert_null(table_get(*state, "a"));
    assert_int_equal(table_set(*state, "a", &second), 0);
    assert_int_equal(table_set(*state, "a", &third), 0);
    assert_int_equal(second, 1);
    assert_int_equal(table_set(*state, "b", &second), 0);
    table_rollback(*state);
    assert_ptr_equal(table_get(*state, "a"), &first);
    assert_null(table_get(*state, "b"));
    assert_int_equal(first, 0);
    assert_int_equal(second, 2);
    assert_int_equal(third, 1);
}

static void what_is_replaced_or_removed_is_dropped_by_the_commit(void **state)
{
    static int first, second;

    assert_int_equal(table_set(*state, "a", &first), 0);
    assert_int_equal(table_set(*state, "b", &first), 0);
    table_commit(*state);
    assert_int_equal(table_set(*state, "a", &second), 0);
    assert_int_equal(table_set(*state, "b", NULL), 0);
    assert_int_equal(first, 0);
    table_commit(*state);
    assert_int_equal(first, 2);
    assert_int_equal(second, 0);
    assert_null(table_get(*state, "b"));
}

static int count_each(void *arg, const char *name, void *thing)
{
    ++*(int *)thing;
    return --*(int *)arg == 0 ? 7 : strcmp(name, "gone") == 0;
}

static void each_is_told_until_one_says_stop(void **state)
{
    static int a, b, gone;
    int left = 10;

    assert_int_equal(table_set(*state, "a", &a), 0);
    assert_int_equal(table_set(*state, "b", &b), 0);
    assert_int_equal(table_set(*state, "gone", &gone), 0);
    assert_int_equal(table_set(*state, "gone", NULL), 0);
    assert_int_equal(gone, 1);
    assert_int_equal(table_each(*state, count_each, &left), 0);
    assert_int_equal(a + b, 2);
    left = 1;
    assert_int_equal(table_each(*state, count_each, &left), 7);
    assert_int_equal(a + b, 3);
    assert_int_equal(gone, 1);
}

static void it_holds_many(void **state)
{
    enum { MANY = 20000 };
    static int things[MANY];
    char name[32];

    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < MANY; i++) {
            (void)snprintf(name, sizeof(name), "name %d", i);
            assert_int_equal(table_set(*state, name, round == 0 || i % 2 ? &things[i] : NULL), 0);
        }
        table_commit(*state);
    }
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(name, sizeof(name), "name %d", i);
        assert_ptr_equal(table_get(*state, name), i % 2 ? &things[i] : NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_thing_is_found_at_once_and_stays_after_the_commit, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_rollback_brings_back_what_was, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_replaced_or_removed_is_dropped_by_the_commit,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_is_told_until_one_says_stop, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_holds_many, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
