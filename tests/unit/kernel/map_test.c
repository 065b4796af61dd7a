#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mock_host.h"

#define MANY 50021

static const double few[] = {4, 0.25, 0, -1};

static void check_json(const char *fn, const char *expected)
{
    struct mock m;

    mock_init(&m);
    mock_text(&m, "fn", fn);
    mock_input(&m, PRONG_INPUT_VALUES, few, sizeof(few));
    mock_check_answer(&m, expected);
    assert_string_equal(m.media, "application/json");
    mock_release(&m);
}

static void maps_values_to_json(void **state)
{
    (void)state;
    check_json("sqrt", "[2,0.5,0,null]");
    check_json("square", "[16,0.0625,0,1]");
    check_json("abs", "[4,0.25,0,1]");
    check_json("negate", "[-4,-0.25,-0,1]");
    check_json("log", "[1.3862943611198906,-1.3862943611198906,null,null]");
}

static void maps_nothing_to_nothing(void **state)
{
    struct mock m;

    (void)state;
    mock_init(&m);
    mock_input(&m, PRONG_INPUT_VALUES, NULL, 0);
    mock_check_answer(&m, "[]");
    mock_input(&m, PRONG_INPUT_NONE, NULL, 0);
    mock_check_answer(&m, "[]");
    mock_input(&m, PRONG_INPUT_RAW, NULL, 0);
    mock_check_answer(&m, "");
    mock_release(&m);
}

static void refuses_a_torn_number(void **state)
{
    struct mock m;

    (void)state;
    mock_init(&m);
    mock_input(&m, PRONG_INPUT_RAW, "123", 3);
    assert_string_equal(mock_complaint(&m),
                        "The body has 3 bytes, which is not a whole number of float64s.");
    mock_release(&m);
}

static void fails_when_the_answer_is_too_large(void **state)
{
    struct mock m;

    (void)state;
    mock_init(&m);
    mock_input(&m, PRONG_INPUT_RAW, few, sizeof(few));
    m.out_max = 31;
    assert_non_null(mock_complaint(&m));
    mock_input(&m, PRONG_INPUT_VALUES, few, sizeof(few));
    m.out_max = 4;
    assert_non_null(mock_complaint(&m));
    mock_release(&m);
}

static const double *many_values(void)
{
    static double values[MANY];

    for (int i = 0; i < MANY; i++)
        values[i] = (i - 100) * 0.01;
    return values;
}

static double by_name(const char *fn, double x)
{
    if (strcmp(fn, "exp") == 0)
        return exp(x);
    return strcmp(fn, "sin") == 0 ? sin(x) : cos(x);
}

static void maps_raw_to_raw(void **state)
{
    static const char *const fns[] = {"exp", "sin", "cos"};
    const double *values = many_values();
    struct mock m;

    (void)state;
    mock_init(&m);
    mock_input(&m, PRONG_INPUT_RAW, values, MANY * sizeof(*values));
    for (size_t f = 0; f < sizeof(fns) / sizeof(fns[0]); f++) {
        mock_text(&m, "fn", fns[f]);
        struct mock_bytes answer = mock_run(&m);

        assert_string_equal(m.media, "application/octet-stream");
        assert_int_equal(answer.size, MANY * sizeof(double));
        for (int i = 0; i < MANY; i++) {
            double y;

            memcpy(&y, answer.data + (size_t)i * sizeof(y), sizeof(y));
            assert_true(y == by_name(fns[f], values[i]));
        }
        free(answer.data);
    }
    mock_release(&m);
}

static void splits_agree(void **state)
{
    const double *values = many_values();
    struct mock m;

    (void)state;
    mock_init(&m);
    mock_input(&m, PRONG_INPUT_RAW, values, MANY * sizeof(*values));
    mock_check_splits(&m, 20);
    mock_input(&m, PRONG_INPUT_VALUES, values, MANY * sizeof(*values));
    mock_check_splits(&m, 5);
    mock_release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_values_to_json),
        cmocka_unit_test(maps_nothing_to_nothing),
        cmocka_unit_test(refuses_a_torn_number),
        cmocka_unit_test(fails_when_the_answer_is_too_large),
        cmocka_unit_test(maps_raw_to_raw),
        cmocka_unit_test(splits_agree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
