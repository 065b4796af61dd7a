#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mock_host.h"

static void says_hello_by_default(void **state)
{
    struct mock m;

    (void)state;
    mock_init(&m);
    mock_check_answer(&m, "{\"message\":\"hello\"}");
    assert_string_equal(m.media, "application/json");
    mock_release(&m);
}

static void escapes_the_message(void **state)
{
    struct mock m;

    (void)state;
    mock_init(&m);
    mock_text(&m, "message", "a \"b\"\n");
    mock_check_answer(&m, "{\"message\":\"a \\\"b\\\"\\u000a\"}");
    mock_release(&m);
}

static void returns_a_raw_body_unchanged(void **state)
{
    struct mock m;

    (void)state;
    mock_init(&m);
    mock_input(&m, PRONG_INPUT_RAW, "\0\xff\"x", 4);
    struct mock_bytes answer = mock_run(&m);

    assert_int_equal(answer.size, 4);
    assert_memory_equal(answer.data, "\0\xff\"x", 4);
    assert_string_equal(m.media, "application/octet-stream");
    free(answer.data);
    mock_input(&m, PRONG_INPUT_RAW, "", 0);
    mock_check_answer(&m, "");
    mock_release(&m);
}

static void fails_when_the_answer_is_too_large(void **state)
{
    struct mock m;

    (void)state;
    mock_init(&m);
    m.out_max = 12;
    assert_non_null(mock_complaint(&m));
    mock_input(&m, PRONG_INPUT_RAW, "thirteen byte", 13);
    assert_non_null(mock_complaint(&m));
    mock_release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(says_hello_by_default),
        cmocka_unit_test(escapes_the_message),
        cmocka_unit_test(returns_a_raw_body_unchanged),
        cmocka_unit_test(fails_when_the_answer_is_too_large),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
