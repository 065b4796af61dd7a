#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/err.h"
#include "host/args.h"

static const char *const words[] = {"red", "green", NULL};

static const struct prong_param params[] = {
    PRONG_PARAM_INT("n", -5, 10, 3, "A number"),
    PRONG_PARAM_REAL("x", 0, 1, 0.5, "A share"),
    PRONG_PARAM_TEXT("name", 8, "nobody", "A name"),
    PRONG_PARAM_CHOICE("colour", words, "green", "A colour"),
    PRONG_PARAM_VALUES("values", 100, "Numbers"),
    PRONG_PARAM_JSON("tree", 20, "Anything"),
};

static const struct prong_kernel kernel = {
    .size = sizeof(kernel),
    .name = "all",
    .params = params,
    .param_count = sizeof(params) / sizeof(params[0]),
};

static struct args args;
static struct err err;
static json_t *given;

static int read_args(const char *json)
{
    json_decref(given);
    given = json_loads(json, JSON_DECODE_ANY, NULL);
    assert_non_null(given);
    return args_read(&kernel, given, &args, &err);
}

static void all_kinds_are_read(void **state)
{
    (void)state;
    assert_int_equal(read_args("{\"n\":-5,\"x\":1,\"name\":\"\\u00e9\",\"colour\":\"red\","
                               "\"tree\":{\"b\":[1, 2],\"a\":null}}"),
                     0);
    assert_int_equal(args.count, 6);
    assert_int_equal(args.values[0].integer, -5);
    assert_true(args.values[1].real == 1);
    assert_string_equal(args.values[2].text, "\xc3\xa9");
    assert_int_equal(args.values[3].integer, 0);
    assert_string_equal(args.values[3].text, "red");
    assert_string_equal(args.values[5].text, "{\"a\":null,\"b\":[1,2]}");
    args_release(&args);
}

static void what_is_not_given_is_the_default(void **state)
{
    (void)state;
    assert_int_equal(read_args("{\"tree\":7}"), 0);
    assert_int_equal(args.values[0].integer, 3);
    assert_true(args.values[1].real == 0.5);
    assert_string_equal(args.values[2].text, "nobody");
    assert_int_equal(args.values[3].integer, 1);
    assert_string_equal(args.values[3].text, "green");
    assert_string_equal(args.values[5].text, "7");
    args_release(&args);
}

static void check_refused(const char *json, const char *sentence)
{
    assert_int_equal(read_args(json), -EINVAL);
    assert_string_equal(err.text, sentence);
    args_release(&args);
}

static void what_is_wrong_is_refused(void **state)
{
    (void)state;
    check_refused("{}", "Parameter tree is missing.");
    check_refused("[]", "The parameters are no object.");
    check_refused("{\"tree\":1,\"m\":1}", "Kernel all has no parameter m.");
    check_refused("{\"tree\":1,\"n\":11}", "Parameter n must be an integer within its bounds.");
    check_refused("{\"tree\":1,\"n\":1.0}", "Parameter n must be an integer within its bounds.");
    check_refused("{\"tree\":1,\"n\":\"1\"}", "Parameter n must be an integer within its bounds.");
    check_refused("{\"tree\":1,\"x\":-1e-9}", "Parameter x must be a number within its bounds.");
    check_refused("{\"tree\":1,\"x\":null}", "Parameter x must be a number within its bounds.");
    check_refused("{\"tree\":1,\"name\":\"123456789\"}",
                  "Parameter name must be a text without NUL within its bound.");
    check_refused("{\"tree\":1,\"name\":5}",
                  "Parameter name must be a text without NUL within its bound.");
    check_refused("{\"tree\":1,\"colour\":\"blue\"}",
                  "Parameter colour must be one of its choices.");
    check_refused("{\"tree\":1,\"colour\":0}", "Parameter colour must be one of its choices.");
    check_refused("{\"tree\":\"more than 20 bytes of it\"}",
                  "Parameter tree must be JSON within its bound.");
    check_refused("{\"tree\":1,\"values\":[1]}",
                  "Parameter values must be the input, not a parameter.");
}

static void no_parameters_at_all_are_defaults(void **state)
{
    static const struct prong_kernel none = {.size = sizeof(none), .name = "none"};

    (void)state;
    assert_int_equal(args_read(&none, NULL, &args, &err), 0);
    assert_int_equal(args.count, 0);
    args_release(&args);
    json_decref(given);
    given = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_kinds_are_read),
        cmocka_unit_test(what_is_not_given_is_the_default),
        cmocka_unit_test(what_is_wrong_is_refused),
        cmocka_unit_test(no_parameters_at_all_are_defaults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
