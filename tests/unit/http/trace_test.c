#include "http/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define TRACE_ID "0af7651916cd43dd8448eb211c80319c"
#define SPAN     "b7ad6b7169203331"

static void it_goes_on_under_a_span_of_ours(void **state)
{
    char out[TRACE_BYTES], again[TRACE_BYTES];

    (void)state;
    assert_true(trace_continue("00-" TRACE_ID "-" SPAN "-01", out));
    assert_int_equal(strlen(out), TRACE_BYTES - 1);
    assert_memory_equal(out, "00-" TRACE_ID "-", 36);
    assert_memory_equal(out + TRACE_ID_AT, TRACE_ID, 32);
    assert_memory_not_equal(out + 36, SPAN, 16);
    assert_int_equal(strspn(out + 36, "0123456789abcdef"), 16);
    assert_string_equal(out + 52, "-01");
    assert_true(trace_continue("00-" TRACE_ID "-" SPAN "-00", again));
    assert_string_equal(again + 52, "-00");
    assert_memory_not_equal(out + 36, again + 36, 16);
    assert_true(trace_continue(out, again)); /* what we say, we take */
}

static void later_versions_are_read_as_far_as_we_know_them(void **state)
{
    char out[TRACE_BYTES];

    (void)state;
    assert_true(trace_continue("01-" TRACE_ID "-" SPAN "-01", out));
    assert_memory_equal(out, "00-" TRACE_ID "-", 36);
    assert_true(trace_continue("cc-" TRACE_ID "-" SPAN "-01-what else", out));
    assert_string_equal(out + 52, "-01");
}

static void what_is_none_is_left_alone(void **state)
{
    static const char *const bad[] = {
        NULL,
        "",
        "00",
        "00-" TRACE_ID "-" SPAN "-0",
        "00-" TRACE_ID "-" SPAN "-011",
        "00-" TRACE_ID "-" SPAN "-01-x",
        "01-" TRACE_ID "-" SPAN "-01x",
        "0g-" TRACE_ID "-" SPAN "-01",
        "ff-" TRACE_ID "-" SPAN "-01",
        "00-0AF7651916CD43DD8448EB211C80319C-" SPAN "-01",
        "00-" TRACE_ID "-B7AD6B7169203331-01",
        "00-" TRACE_ID "-" SPAN "-0g",
        "00_" TRACE_ID "-" SPAN "-01",
        "00-" TRACE_ID "_" SPAN "-01",
        "00-" TRACE_ID "-" SPAN "_01",
        "00-00000000000000000000000000000000-" SPAN "-01",
        "00-" TRACE_ID "-0000000000000000-01",
        "00-0af7651916cd43dd8448eb211c80319\n-" SPAN "-01",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char out[TRACE_BYTES] = "untouched";
        assert_false(trace_continue(bad[i], out));
        assert_string_equal(out, "untouched");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_goes_on_under_a_span_of_ours),
        cmocka_unit_test(later_versions_are_read_as_far_as_we_know_them),
        cmocka_unit_test(what_is_none_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
