#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "ipc/wire.h"
#include "jobs/json.h"
#include "jobs/params.h"

static const char *const words[] = {"sqrt", "exp", NULL};
static const struct prong_param declared[] = {
    PRONG_PARAM_INT("limit", 0, 100, 10, "how far"),
    PRONG_PARAM_REAL("scale", -1.5, 1.5, 0.5, "how large"),
    PRONG_PARAM_TEXT("message", 5, "hello", "what to say"),
    PRONG_PARAM_CHOICE("fn", words, "exp", "which"),
    PRONG_PARAM_VALUES("values", 4, "numbers"),
};

/* Of a second kernel, whose parameters must be given but one. */
static const struct prong_param demanded[] = {
    {.size = sizeof(struct prong_param),
     .type = PRONG_INT,
     .name = "n",
     .help = "how many",
     .int_max = 9,
     .required = 1},
    PRONG_PARAM_JSON("doc", 20, "any value"),
    {.size = sizeof(struct prong_param),
     .type = PRONG_JSON,
     .name = "more",
     .help = "another",
     .count_max = 20,
     .text_default = "[1]"},
};

static int map(struct prong_ctx *c, uint64_t lo, uint64_t hi)
{
    (void)c;
    return lo == hi;
}

static struct description *about;

static int describe(const struct prong_param *params, uint32_t count)
{
    struct prong_kernel kernel = {.size = sizeof(kernel),
                                  .abi_major = PRONG_ABI_MAJOR,
                                  .name = "test",
                                  .version = "1",
                                  .params = params,
                                  .param_count = count,
                                  .map = map};
    struct buf b;
    int rc;

    buf_init(&b, DESCRIPTION_BYTES_MAX);
    rc = description_encode(&b, &kernel, NULL);
    if (rc == 0)
        rc = description_decode(b.data, b.size, &about);
    buf_release(&b);
    return rc;
}

static int make_description(void **state)
{
    (void)state;
    return describe(declared, ARRAY_SIZE(declared));
}

static int make_demanding(void **state)
{
    (void)state;
    return describe(demanded, ARRAY_SIZE(demanded));
}

static int free_description(void **state)
{
    (void)state;
    free(about);
    return 0;
}

static int encode(struct params *p, const char *text, bool raw, struct params_problem *problem)
{
    struct json_problem ignored;
    json_t *json = json_read(text, strlen(text), &ignored);
    struct params_given given;
    int rc;

    assert_non_null(json);
    params_init(p);
    params_given_init(&given, about);
    rc = params_give_object(&given, about, json, problem);
    if (rc == 0)
        rc = params_encode(p, about, &given, raw, problem);
    params_given_release(&given);
    json_decref(json);
    return rc;
}

static void test_given_and_default(void **state)
{
    struct params_problem problem;
    struct params p;
    struct wire_reader r;

    (void)state;
    assert_int_equal(encode(&p, "{\"limit\":7,\"values\":[1,2.5]}", false, &problem), 0);
    wire_read_init(&r, p.encoded.data, p.encoded.size);
    assert_int_equal(wire_i64(&r), 7);
    assert_true(wire_f64(&r) == 0.5);
    assert_string_equal(wire_text(&r, 5), "hello");
    assert_int_equal(wire_u32(&r), 1);
    assert_true(wire_ended(&r));
    assert_true(p.has_values && p.value_count == 2 && p.values[1] == 2.5);
    params_release(&p);
}

static void refuses(const char *text, const char *name, const char *word)
{
    struct params_problem problem = {0};
    struct params p;

    assert_int_equal(encode(&p, text, true, &problem), -EINVAL);
    assert_string_equal(problem.name, name);
    if (strstr(problem.text, word) == NULL || strstr(problem.text, name) == NULL)
        fail_msg("'%s' does not say '%s' and '%s'", problem.text, name, word);
    params_release(&p);
}

static void test_refusals_name_bounds_and_what_came(void **state)
{
    (void)state;
    refuses("{\"limit\":101}", "limit", "from 0 to 100; got 101");
    refuses("{\"limit\":-1}", "limit", "got -1");
    refuses("{\"limit\":\"7\"}", "limit", "got \"7\"");
    refuses("{\"limit\":1.5}", "limit", "integer");
    refuses("{\"limit\":true}", "limit", "got true");
    refuses("{\"limit\":null}", "limit", "got null");
    refuses("{\"scale\":2}", "scale", "from -1.5 to 1.5");
    refuses("{\"message\":\"longer\"}", "message", "5 bytes");
    refuses("{\"fn\":\"cube\"}", "fn", "one of sqrt, exp");
    refuses("{\"values\":[1]}", "values", "raw");
    refuses("{\"limmit\":1}", "limmit", "it has limit, scale");
}

static void test_values_are_checked(void **state)
{
    struct params_problem problem;
    struct params p;

    (void)state;
    assert_int_equal(encode(&p, "{\"values\":[1,2,3,4,5]}", false, &problem), -EINVAL);
    assert_non_null(strstr(problem.text, "at most 4"));
    params_release(&p);
    assert_int_equal(encode(&p, "{\"values\":[1,\"2\"]}", false, &problem), -EINVAL);
    params_release(&p);
    assert_int_equal(encode(&p, "{}", false, &problem), -EINVAL);
    assert_non_null(strstr(problem.text, "missing"));
    params_release(&p);
    assert_int_equal(encode(&p, "{}", true, &problem), 0);
    params_release(&p);
}

static void reads_query(const char *name, const char *value, const char *json)
{
    struct params_problem problem;
    struct params_given given;
    char *text;

    params_given_init(&given, about);
    assert_int_equal(params_give_query(&given, about, name, value, &problem), 0);
    text = json_write(given.values[params_find(about, name) - about->params], NULL);
    assert_string_equal(text, json);
    free(text);
    params_given_release(&given);
}

static void refuses_query(const char *name, const char *value, const char *word)
{
    struct params_problem problem;
    struct params_given given;

    params_given_init(&given, about);
    assert_int_equal(params_give_query(&given, about, name, value, &problem), -EINVAL);
    assert_non_null(strstr(problem.text, word));
    params_given_release(&given);
}

static void test_query_takes_the_declared_type(void **state)
{
    (void)state;
    reads_query("limit", "7", "7");
    reads_query("scale", "0.25", "0.25");
    reads_query("message", "7", "\"7\"");
    reads_query("values", "1,2,3", "[1,2,3]");
    reads_query("values", "[1,2]", "[1,2]");
    refuses_query("limit", "seven", "got \"seven\"");
    refuses_query("limit", "0x10", "integer");
    refuses_query("limit", " 1", "integer");
    refuses_query("limit", "", "integer");
    refuses_query("nope", "1", "no parameter nope");
}

static void test_nothing_is_given_twice(void **state)
{
    struct params_problem problem;
    struct params_given given;

    (void)state;
    params_given_init(&given, about);
    assert_int_equal(params_give_query(&given, about, "limit", "1", &problem), 0);
    assert_int_equal(params_give_query(&given, about, "limit", "1", &problem), -EINVAL);
    assert_string_equal(problem.name, "limit");
    assert_non_null(strstr(problem.text, "twice"));
    params_given_release(&given);
}

static char *canonical(const char *text)
{
    struct json_problem ignored;
    struct params_problem problem;
    struct params_given given;
    json_t *json = json_read(text, strlen(text), &ignored), *form;
    char *written;

    params_given_init(&given, about);
    assert_int_equal(params_give_object(&given, about, json, &problem), 0);
    form = params_canonical(&given, about);
    written = json_write(form, NULL);
    json_decref(form);
    json_decref(json);
    params_given_release(&given);
    return written;
}

static void test_one_form_for_what_means_the_same(void **state)
{
    static const char *const same[] = {
        "{\"values\":[1,2],\"limit\":100,\"scale\":1,\"fn\":\"exp\"}",
        "{ \"fn\" : \"exp\", \"limit\" : 1e2, \"scale\" : 1.0, \"values\" : [1, 2] }",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
        char *form = canonical(same[i]);
        assert_string_equal(form, "{\"fn\":\"exp\",\"limit\":100,\"scale\":1.0,\"values\":[1,2]}");
        free(form);
    }
    free(canonical("{}"));
}

static void test_schema_tells_all(void **state)
{
    json_t *schema = params_schema(about);
    json_t *limit = json_object_get(json_object_get(schema, "properties"), "limit");

    (void)state;
    assert_string_equal(json_string_value(json_object_get(limit, "type")), "integer");
    assert_int_equal(json_integer_value(json_object_get(limit, "maximum")), 100);
    assert_int_equal(json_integer_value(json_object_get(limit, "default")), 10);
    assert_int_equal(json_array_size(json_object_get(schema, "required")), 1);
    assert_true(json_is_false(json_object_get(schema, "additionalProperties")));
    json_decref(schema);
}

/* ---- required, and JSON ---- */

static void encodes_doc(const char *object, const char *doc)
{
    struct params_problem problem;
    struct wire_reader r;
    struct params p;

    if (encode(&p, object, false, &problem) < 0)
        fail_msg("%s", problem.text);
    wire_read_init(&r, p.encoded.data, p.encoded.size);
    assert_int_equal(wire_i64(&r), 3);
    assert_string_equal(wire_text(&r, 20), doc);
    assert_string_equal(wire_text(&r, 20), "[1]");
    assert_true(wire_ended(&r));
    params_release(&p);
}

static void test_what_is_required_must_be_given(void **state)
{
    (void)state;
    refuses("{\"doc\":1}", "n", "is missing: give an integer from 0 to 9");
    refuses("{\"n\":3}", "doc", "is missing: give JSON of at most 20 bytes");
    refuses("{\"n\":10,\"doc\":1}", "n", "got 10");
}

static void test_json_is_any_value_as_compact_sorted_text(void **state)
{
    (void)state;
    encodes_doc("{\"n\":3,\"doc\":{ \"b\" : 1, \"a\" : [ null ] }}", "{\"a\":[null],\"b\":1}");
    encodes_doc("{\"n\":3,\"doc\":null}", "null");
    encodes_doc("{\"n\":3,\"doc\":\"\u00fc\"}", "\"ü\"");
    encodes_doc("{\"n\":3,\"doc\":0.1}", "0.1");
    encodes_doc("{\"n\":3,\"doc\":\"123456789012345678\"}", "\"123456789012345678\"");
    refuses("{\"n\":3,\"doc\":\"1234567890123456789\"}", "doc", "at most 20 bytes");
}

static void test_json_in_a_query(void **state)
{
    (void)state;
    reads_query("doc", "{\"a\": [1]}", "{\"a\":[1]}");
    reads_query("doc", " \"text\" ", "\"text\"");
    reads_query("doc", "7", "7");
    refuses_query("doc", "text", "got \"text\"");
    refuses_query("doc", "", "JSON");
    refuses_query("doc", "1,2", "JSON");
    refuses_query("doc", "1],[2", "JSON");
}

static void test_json_has_one_form(void **state)
{
    char *form = canonical("{\"n\":3.0,\"doc\":{\"b\":{\"d\":1,\"c\":2},\"a\":0}}");

    (void)state;
    assert_string_equal(form, "{\"doc\":{\"a\":0,\"b\":{\"c\":2,\"d\":1}},\"n\":3}");
    free(form);
}

static void test_schema_of_required_and_json(void **state)
{
    json_t *schema = params_schema(about);
    json_t *properties = json_object_get(schema, "properties");
    json_t *doc = json_object_get(properties, "doc");
    json_t *required = json_object_get(schema, "required");

    (void)state;
    assert_null(json_object_get(json_object_get(properties, "n"), "default"));
    assert_int_equal(json_object_size(doc), 1);
    assert_string_equal(json_string_value(json_object_get(doc, "description")), "any value");
    assert_true(json_is_array(json_object_get(json_object_get(properties, "more"), "default")));
    assert_int_equal(json_array_size(required), 2);
    assert_string_equal(json_string_value(json_array_get(required, 0)), "n");
    assert_string_equal(json_string_value(json_array_get(required, 1)), "doc");
    json_decref(schema);
}

#define DEMANDING(test) cmocka_unit_test_setup_teardown(test, make_demanding, free_description)
#define PLAIN(test)     cmocka_unit_test_setup_teardown(test, make_description, free_description)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLAIN(test_given_and_default),
        PLAIN(test_refusals_name_bounds_and_what_came),
        PLAIN(test_values_are_checked),
        PLAIN(test_query_takes_the_declared_type),
        PLAIN(test_nothing_is_given_twice),
        PLAIN(test_one_form_for_what_means_the_same),
        PLAIN(test_schema_tells_all),
        DEMANDING(test_what_is_required_must_be_given),
        DEMANDING(test_json_is_any_value_as_compact_sorted_text),
        DEMANDING(test_json_in_a_query),
        DEMANDING(test_json_has_one_form),
        DEMANDING(test_schema_of_required_and_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
