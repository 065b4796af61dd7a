#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "check/example.h"

static const char *const words[] = {"red", "green", NULL};

static const struct prong_param params[] = {
    PRONG_PARAM_INT("n", -5, 1000000, 3, "A number"),
    PRONG_PARAM_REAL("x", 0, 1, 0.5, "A share"),
    PRONG_PARAM_TEXT("name", 80, "nobody", "A name"),
    PRONG_PARAM_CHOICE("colour", words, "green", "A colour"),
    PRONG_PARAM_VALUES("values", 100, "Numbers"),
    PRONG_PARAM_JSON("tree", 20, "Anything"),
};

static struct example e;
static struct err err;

static int read_example(const char *query, const char *over)
{
    struct prong_kernel k = {.size = sizeof(k),
                             .name = "all",
                             .example = query,
                             .params = params,
                             .param_count = sizeof(params) / sizeof(params[0])};
    json_t *instead = over == NULL ? NULL : json_loads(over, 0, NULL);
    int rc = example_read(&k, instead, &e, &err);

    json_decref(instead);
    return rc;
}

static void check_params(const char *query, const char *over, const char *expected)
{
    char *text;

    if (read_example(query, over) < 0)
        fail_msg("%s", err.text);
    text = json_dumps(e.params, JSON_COMPACT | JSON_SORT_KEYS);
    assert_string_equal(text, expected);
    free(text);
    example_release(&e);
}

static void queries_become_parameters(void **state)
{
    (void)state;
    check_params("tree=[1,2]", NULL,
                 "{\"colour\":\"green\",\"n\":3,\"name\":\"nobody\",\"tree\":[1,2],\"x\":0.5}");
    check_params("n=-5&x=0&name=a%20b+c%26d&colour=red&tree=%7B%22a%22:1%7D", NULL,
                 "{\"colour\":\"red\",\"n\":-5,\"name\":\"a b c&d\",\"tree\":{\"a\":1},\"x\":0.0}");
    check_params("n=1e3&name=&tree=null&", NULL,
                 "{\"colour\":\"green\",\"n\":1000,\"name\":\"\",\"tree\":null,\"x\":0.5}");
}

static void others_may_be_given_instead(void **state)
{
    (void)state;
    check_params("n=1&tree=1", "{\"n\":2,\"x\":1}",
                 "{\"colour\":\"green\",\"n\":2,\"name\":\"nobody\",\"tree\":1,\"x\":1}");
    check_params(NULL, "{\"tree\":[]}",
                 "{\"colour\":\"green\",\"n\":3,\"name\":\"nobody\",\"tree\":[],\"x\":0.5}");
}

static void what_another_kernel_has_is_left_out(void **state)
{
    struct prong_kernel least = {.size = sizeof(least), .name = "least"};
    json_t *over = json_pack("{s:i}", "n", 7);

    (void)state;
    check_params("tree=1", "{\"n\":2,\"m\":1}",
                 "{\"colour\":\"green\",\"n\":2,\"name\":\"nobody\",\"tree\":1,\"x\":0.5}");
    /* Nothing is known of this one. */
    assert_int_equal(example_read(&least, over, &e, &err), 0);
    assert_true(json_equal(e.params, over));
    example_release(&e);
    json_decref(over);
}

static void check_values(const char *query, const char *over)
{
    const double expected[] = {1, -2.5, 3e10};

    assert_int_equal(read_example(query, over), 0);
    assert_string_equal(e.input_kind, "values");
    assert_int_equal(e.input_bytes, sizeof(expected));
    assert_memory_equal(e.input, expected, sizeof(expected));
    assert_null(json_object_get(e.params, "values"));
    example_release(&e);
}

static void values_are_the_input(void **state)
{
    (void)state;
    check_values("tree=1&values=1,-2.5,3e10", NULL);
    check_values("tree=1&values=[1,-2.5,3e10]", NULL);
    check_values("tree=1", "{\"values\":[1,-2.5,3e10]}");
    assert_int_equal(read_example("tree=1", NULL), 0);
    assert_string_equal(e.input_kind, "none");
    example_set_raw(&e, 20);
    assert_string_equal(e.input_kind, "raw");
    assert_memory_equal(e.input, "one two three\none tw", 20);
    example_release(&e);
}

static void check_wrong(const char *query, const char *sentence)
{
    assert_int_equal(read_example(query, NULL), -EINVAL);
    assert_string_equal(err.text, sentence);
}

static void what_is_wrong_is_told(void **state)
{
    (void)state;
    check_wrong("n=1", "Its example gives no tree; say --params '{\"tree\":…}'.");
    check_wrong("m=1", "The example names a parameter m, which there is not.");
    check_wrong("n=x", "The example's n is not of its type.");
    check_wrong("x=1,5", "The example's x is not of its type.");
    check_wrong("tree={", "The example's tree is not of its type.");
    check_wrong("values=1;2", "The example's values is not of its type.");
}

static void wrong_values_are_wrong(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(params) / sizeof(params[0]); i++) {
        json_t *wrong = example_wrong_value(&params[i]);

        assert_int_equal(wrong == NULL,
                         params[i].type == PRONG_JSON || params[i].type == PRONG_VALUES);
        if (params[i].type == PRONG_INT || params[i].type == PRONG_REAL)
            assert_false(json_is_number(wrong));
        if (params[i].type == PRONG_TEXT)
            assert_false(json_is_string(wrong));
        if (params[i].type == PRONG_CHOICE)
            assert_string_equal(json_string_value(wrong), "none of its words");
        json_decref(wrong);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries_become_parameters),
        cmocka_unit_test(others_may_be_given_instead),
        cmocka_unit_test(what_another_kernel_has_is_left_out),
        cmocka_unit_test(values_are_the_input),
        cmocka_unit_test(what_is_wrong_is_told),
        cmocka_unit_test(wrong_values_are_wrong),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
