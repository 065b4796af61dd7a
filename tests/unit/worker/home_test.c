#include "worker/home.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void goes_home_and_stays_free(void **state)
{
    cpu_set_t before, after;
    struct home h;

    (void)state;
    assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
    if (CPU_COUNT(&before) < 2)
        skip();
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET((size_t)cpu, &before))
            continue;
        home_init(&h, cpu);
        assert_int_equal(h.cpu, cpu);
        home_return(&h);
        assert_int_equal(sched_getaffinity(0, sizeof(after), &after), 0);
        assert_true(CPU_EQUAL(&before, &after));
    }
}

static void no_home(void **state)
{
    struct home h;

    (void)state;
    home_init(&h, -1);
    assert_int_equal(h.cpu, -1);
    home_return(&h);
    home_init(&h, CPU_SETSIZE - 1);
    assert_int_equal(h.cpu, -1);
    home_init(&h, CPU_SETSIZE + 5);
    assert_int_equal(h.cpu, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_home_and_stays_free),
        cmocka_unit_test(no_home),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
