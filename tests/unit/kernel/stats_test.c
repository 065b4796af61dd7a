#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mock_host.h"

static void check_answer(enum prong_input kind, const double *values, size_t count,
                         const char *expected)
{
    struct mock m;

    mock_init(&m);
    mock_input(&m, kind, values, count * sizeof(*values));
    mock_check_answer(&m, expected);
    mock_release(&m);
}

static void sums_up_a_few_values(void **state)
{
    const double values[] = {2, 4, 4, 4, 5, 5, 7, 9};
    const char *expected = "{\"count\":8,\"sum\":40,\"min\":2,\"max\":9,\"mean\":5,\"stddev\":2}";

    (void)state;
    check_answer(PRONG_INPUT_VALUES, values, 8, expected);
    check_answer(PRONG_INPUT_RAW, values, 8, expected);
}

static void has_nothing_to_say_of_nothing(void **state)
{
    const char *expected =
        "{\"count\":0,\"sum\":null,\"min\":null,\"max\":null,\"mean\":null,\"stddev\":null}";

    (void)state;
    check_answer(PRONG_INPUT_VALUES, NULL, 0, expected);
    check_answer(PRONG_INPUT_RAW, NULL, 0, expected);
    check_answer(PRONG_INPUT_NONE, NULL, 0, expected);
}

static void passes_on_what_is_not_finite(void **state)
{
    double values[40];

    (void)state;
    for (int i = 0; i < 40; i++)
        values[i] = i;
    values[33] = (double)NAN;
    check_answer(
        PRONG_INPUT_RAW, values, 40,
        "{\"count\":40,\"sum\":null,\"min\":null,\"max\":null,\"mean\":null,\"stddev\":null}");
    values[33] = (double)INFINITY;
    check_answer(
        PRONG_INPUT_RAW, values, 40,
        "{\"count\":40,\"sum\":null,\"min\":0,\"max\":null,\"mean\":null,\"stddev\":null}");
    values[34] = (double)-INFINITY; /* the sum is NaN, the extremes are not */
    values[0] = 1e6;
    check_answer(
        PRONG_INPUT_RAW, values, 40,
        "{\"count\":40,\"sum\":null,\"min\":null,\"max\":null,\"mean\":null,\"stddev\":null}");
}

static void refuses_a_torn_number(void **state)
{
    struct mock m;

    (void)state;
    mock_init(&m);
    mock_input(&m, PRONG_INPUT_RAW, "123456789012", 12);
    assert_string_equal(mock_complaint(&m),
                        "The body has 12 bytes, which is not a whole number of float64s.");
    mock_release(&m);
}

static void splits_agree_and_numbers_are_exact_enough(void **state)
{
    const size_t count = 3000017;
    double *values = malloc(count * sizeof(*values));
    long double sum = 0, squares = 0;
    double said[4];
    struct mock m;

    (void)state;
    srand(5);
    for (size_t i = 0; i < count; i++)
        sum += values[i] = 1e6 + (double)rand() / RAND_MAX;
    for (size_t i = 0; i < count; i++)
        squares += (values[i] - sum / (long double)count) * (values[i] - sum / (long double)count);
    mock_init(&m);
    mock_input(&m, PRONG_INPUT_RAW, values, count * sizeof(*values));
    mock_check_splits(&m, 40);
    struct mock_bytes answer = mock_run(&m);

    assert_int_equal(sscanf(answer.data,
                            "{\"count\":3000017,\"sum\":%lf,\"min\":%lf,\"max\":%*f,"
                            "\"mean\":%lf,\"stddev\":%lf}",
                            &said[0], &said[1], &said[2], &said[3]),
                     4);
    assert_true(fabs(said[0] / (double)sum - 1) < 1e-15);
    assert_true(said[1] >= 1e6 && said[1] < 1e6 + 1e-5);
    assert_true(fabs(said[2] - (double)(sum / (long double)count)) < 1e-9);
    assert_true(fabs(said[3] - (double)sqrtl(squares / (long double)count)) < 1e-9);
    free(answer.data);
    free(values);
    mock_release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_up_a_few_values),
        cmocka_unit_test(has_nothing_to_say_of_nothing),
        cmocka_unit_test(passes_on_what_is_not_finite),
        cmocka_unit_test(refuses_a_torn_number),
        cmocka_unit_test(splits_agree_and_numbers_are_exact_enough),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
