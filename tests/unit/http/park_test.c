#include "http/park.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "thread/thread.h"

enum { ROUNDS = 2000, LEAVERS = 3 };

static void *leave(void *lot)
{
    park_lot_leave(lot);
    return NULL;
}

/* With the sanitizers this fails when a leaver still touches what has been taken apart. */
static void who_has_waited_may_take_it_apart(void **state)
{
    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        struct park_lot *lot = malloc(sizeof(*lot));
        struct thread threads[LEAVERS];

        park_lot_init(lot);
        for (int t = 0; t < LEAVERS; t++)
            assert_true(park_lot_enter(lot));
        for (int t = 0; t < LEAVERS; t++)
            assert_int_equal(thread_start(&threads[t], "leaver", leave, lot), 0);
        park_lot_drain(lot);
        assert_int_equal(park_lot_wait(lot, clock_now_ns() + 60 * CLOCK_NS_PER_S), 0);
        park_lot_release(lot);
        free(lot);
        for (int t = 0; t < LEAVERS; t++)
            thread_join(&threads[t]);
    }
}

static void a_draining_lot_takes_nobody(void **state)
{
    struct park_lot lot;

    (void)state;
    park_lot_init(&lot);
    assert_true(park_lot_enter(&lot));
    park_lot_drain(&lot);
    assert_false(park_lot_enter(&lot));
    assert_int_equal(park_lot_count(&lot), 1);
    assert_int_equal(park_lot_wait(&lot, clock_now_ns()), 1);
    park_lot_leave(&lot);
    assert_int_equal(park_lot_wait(&lot, clock_now_ns()), 0);
    park_lot_release(&lot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_has_waited_may_take_it_apart),
        cmocka_unit_test(a_draining_lot_takes_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
