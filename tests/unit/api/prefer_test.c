#include "api/prefer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/clock.h"

/* `wait_ms` < 0: none. */
static void means(const char *value, bool respond_async, int wait_ms)
{
    struct prefer p = prefer_read(value);

    assert_int_equal(p.respond_async, respond_async);
    assert_int_equal(p.wait, wait_ms >= 0);
    if (wait_ms >= 0)
        assert_int_equal(p.wait_ns / CLOCK_NS_PER_MS, wait_ms);
}

static void what_is_asked_is_found(void **state)
{
    (void)state;
    means("respond-async", true, -1);
    means("wait=5", false, 5000);
    means("respond-async, wait=10", true, 10000);
    means("wait=2.5,respond-async", true, 2500);
    means("wait=0", false, 0);
    means("wait=\"7\"", false, 7000);
    means("wait=\"\\7\"", false, 7000);
    means("Respond-ASYNC, WAIT = 3", true, 3000);
    means("respond-async=\"\"", true, -1);
    means(" ,, \trespond-async\t, ", true, -1);
}

static void waits_are_bounded(void **state)
{
    (void)state;
    means("wait=60", false, 60000);
    means("wait=61", false, PREFER_WAIT_MAX_S * 1000);
    means("wait=86400", false, PREFER_WAIT_MAX_S * 1000);
    means("wait=99999999999999999999", false, PREFER_WAIT_MAX_S * 1000);
}

static void what_is_unknown_is_ignored(void **state)
{
    (void)state;
    means(NULL, false, -1);
    means("", false, -1);
    means("return=minimal", false, -1);
    means("return=minimal, respond-async", true, -1);
    means("handling=\"lenient, respond-async\"", false, -1);
    means("x=\"a\\\", wait=1\", wait=2", false, 2000);
    means("respond-async; foo=\"a, b\"; bar, wait=1", true, 1000);
    means("wait=4; ttl=9; wait=5", false, 4000);
    means("respond-asynchronously", false, -1);
    means("a-name-much-longer-than-all-that-mean-something=1, wait=1", false, 1000);
}

static void what_is_malformed_is_ignored(void **state)
{
    (void)state;
    means("wait", false, -1);
    means("wait=", false, -1);
    means("wait=-1", false, -1);
    means("wait=abc, respond-async", true, -1);
    means("wait 5", false, -1);
    means("respond-async=1", false, -1);
    means("=, ;, \"respond-async\"", false, -1);
    means("wait=\"5", false, -1);
    means("wait=\"5\\", false, -1);
    means("@, wait=1", false, 1000);
}

static void the_first_of_two_counts(void **state)
{
    (void)state;
    means("wait=1, wait=2", false, 1000);
    means("wait=x, wait=2", false, -1);
    means("respond-async, respond-async=no", true, -1);
}

static void what_was_applied_is_said(void **state)
{
    char out[PREFER_APPLIED_BYTES];
    struct prefer both = prefer_read("respond-async, wait=2.5"), none = prefer_read("");

    (void)state;
    prefer_write(&both, true, out);
    assert_string_equal(out, "respond-async, wait=2.5");
    prefer_write(&both, false, out);
    assert_string_equal(out, "wait=2.5");
    prefer_write(&none, true, out);
    assert_string_equal(out, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_asked_is_found),
        cmocka_unit_test(waits_are_bounded),
        cmocka_unit_test(what_is_unknown_is_ignored),
        cmocka_unit_test(what_is_malformed_is_ignored),
        cmocka_unit_test(the_first_of_two_counts),
        cmocka_unit_test(what_was_applied_is_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
