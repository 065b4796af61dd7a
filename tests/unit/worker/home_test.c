#include "worker/home.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static cpu_set_t allowed;

static int remember(void **state)
{
    (void)state;
    return sched_getaffinity(0, sizeof(allowed), &allowed);
}

static int restore(void **state)
{
    (void)state;
    return sched_setaffinity(0, sizeof(allowed), &allowed);
}

static void stays_on_its_core(void **state)
{
    cpu_set_t now;

    (void)state;
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed))
            continue;
        home_settle((int)cpu);
        assert_int_equal(sched_getaffinity(0, sizeof(now), &now), 0);
        assert_int_equal(CPU_COUNT(&now), 1);
        assert_true(CPU_ISSET(cpu, &now));
        assert_int_equal(sched_getcpu(), cpu);
    }
}

static void stays_free_without_one(void **state)
{
    cpu_set_t now;

    (void)state;
    home_settle(-1);
    home_settle(CPU_SETSIZE + 5);
    assert_int_equal(sched_getaffinity(0, sizeof(now), &now), 0);
    assert_true(CPU_EQUAL(&now, &allowed));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(stays_on_its_core, remember, restore),
        cmocka_unit_test_setup_teardown(stays_free_without_one, remember, restore),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
