#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "mock_host.h"

static double now_s(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void sleeps_as_long_as_asked(void **state)
{
    struct mock m;
    double start = now_s();

    (void)state;
    mock_init(&m);
    mock_real(&m, "seconds", 0.12);
    struct mock_bytes answer = mock_run(&m);

    assert_true(now_s() - start >= 0.12);
    assert_string_equal(answer.data, "{\"slept\":0.12}");
    assert_int_equal(m.progress_calls, 3);
    assert_int_equal(m.done, 120);
    free(answer.data);
    mock_release(&m);
}

static void wakes_when_told_to_stop(void **state)
{
    struct mock m;
    struct mock_bytes part;
    double start = now_s();

    (void)state;
    mock_init(&m);
    mock_real(&m, "seconds", 3600);
    (void)mock_map(&m, 0, 1, 60, &part);
    assert_true(now_s() - start < 5);
    assert_int_equal(part.size, 0);
    assert_int_equal(m.done, 100);
    free(part.data);
    mock_release(&m);
}

static void sleeps_not_at_all(void **state)
{
    struct mock m;

    (void)state;
    mock_init(&m);
    mock_real(&m, "seconds", 0);
    mock_check_answer(&m, "{\"slept\":0}");
    assert_int_equal(m.progress_calls, 0);
    mock_release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sleeps_as_long_as_asked),
        cmocka_unit_test(wakes_when_told_to_stop),
        cmocka_unit_test(sleeps_not_at_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
