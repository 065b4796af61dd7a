#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "jobs/json.h"

static json_t *read_text(const char *text, struct json_problem *problem)
{
    return json_read(text, strlen(text), problem);
}

static void refuses(const char *text, const char *word)
{
    struct json_problem problem = {0};

    assert_null(read_text(text, &problem));
    assert_true(problem.line >= 1 && problem.column >= 1);
    if (strstr(problem.text, word) == NULL)
        fail_msg("'%s' does not say '%s'", problem.text, word);
}

static void test_refusals_say_where(void **state)
{
    struct json_problem problem;

    (void)state;
    assert_null(read_text("{\n  \"a\": 1,\n  x\n}", &problem));
    assert_int_equal(problem.line, 3);
    refuses("", "line 1");
    refuses("{\"a\":1,\"a\":2}", "duplicate");
    refuses("NaN", "line 1");
    refuses("[1] [2]", "line 1");
    refuses("1e999", "double");
    refuses("123456789012345678901234567890", "2^53");
    refuses("\"\\ud800\"", "line 1");
    refuses("\"\xff\"", "line 1");
}

static void test_integers_stop_at_2_53(void **state)
{
    struct json_problem problem;
    json_t *json = read_text("[9007199254740992,-9007199254740992]", &problem);

    (void)state;
    assert_non_null(json);
    json_decref(json);
    refuses("9007199254740993", "2^53");
    refuses("{\"a\":[{\"b\":-9007199254740993}]}", "2^53");
}

static void test_depth_is_bounded(void **state)
{
    struct json_problem problem;
    char text[6001];

    (void)state;
    memset(text, '[', 3000);
    memset(text + 3000, ']', 3000);
    text[6000] = '\0';
    assert_null(read_text(text, &problem));
    assert_non_null(strstr(problem.text, "deep"));
}

static void writes(const char *in, const char *out)
{
    struct json_problem problem;
    json_t *json = read_text(in, &problem);
    char *text;
    size_t bytes;

    assert_non_null(json);
    text = json_write(json, &bytes);
    assert_string_equal(text, out);
    assert_int_equal(bytes, strlen(out));
    free(text);
    json_decref(json);
}

static void test_reals_are_written_short(void **state)
{
    (void)state;
    writes("0.1", "0.1");
    writes("[0.1, 3.141592653589793]", "[0.1,3.141592653589793]");
    writes("{\"a\": 1, \"b\": [true, null, \"\\u00e9\"]}", "{\"a\":1,\"b\":[true,null,\"é\"]}");
}

static void test_brief(void **state)
{
    struct json_problem problem;
    json_t *json = read_text("[1,2,3]", &problem);
    char out[80];

    (void)state;
    json_brief(json, out, sizeof(out));
    assert_string_equal(out, "an array of 3");
    json_decref(json);
    json = read_text("\"abc\"", &problem);
    json_brief(json, out, sizeof(out));
    assert_string_equal(out, "\"abc\"");
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals_say_where),
        cmocka_unit_test(test_integers_stop_at_2_53),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_reals_are_written_short),
        cmocka_unit_test(test_brief),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
