#include "http/static_conditional.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"

#define DATE   "Sun, 06 Nov 1994 08:49:37 GMT" /* of RFC 9110: 784111777 */
#define BEFORE "Sun, 06 Nov 1994 08:49:36 GMT"
#define AFTER  "Sun, 06 Nov 1994 08:49:38 GMT"

static const struct static_validators ours = {.etag = "\"a-1\"", .modified = 784111777};

static enum static_verdict judge(struct static_conditions conditions)
{
    return static_judge(&conditions, &ours);
}

static void none_match_is_a_list_compared_weakly(void **state)
{
    static const char *const same[] = {"\"a-1\"", "W/\"a-1\"",          "\"x\", W/\"a-1\"", "*",
                                       " * ",     ",,\"a,b\" ,\"a-1\"", "\"x\"\"a-1\""};
    static const char *const other[] = {"\"a-11\"", "a-1",   "",          ",,W/", "\"a-1",
                                        "\"x\", *", "W/a-1", "w/\"a-1\"", "*x",   "\"x, \"a-1\""};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(same); i++)
        assert_int_equal(judge((struct static_conditions) {.if_none_match = same[i]}),
                         STATIC_NOT_MODIFIED);
    for (size_t i = 0; i < ARRAY_SIZE(other); i++)
        assert_int_equal(judge((struct static_conditions) {.if_none_match = other[i]}),
                         STATIC_PROCEED);
}

static void match_is_a_list_compared_strongly(void **state)
{
    (void)state;
    assert_int_equal(judge((struct static_conditions) {.if_match = "\"a-1\""}), STATIC_PROCEED);
    assert_int_equal(judge((struct static_conditions) {.if_match = "\"x\",\"a-1\""}),
                     STATIC_PROCEED);
    assert_int_equal(judge((struct static_conditions) {.if_match = "*"}), STATIC_PROCEED);
    assert_int_equal(judge((struct static_conditions) {.if_match = "W/\"a-1\""}), STATIC_FAILED);
    assert_int_equal(judge((struct static_conditions) {.if_match = "\"x\""}), STATIC_FAILED);
    assert_int_equal(judge((struct static_conditions) {.if_match = ""}), STATIC_FAILED);
}

static void dates_are_compared_as_dates(void **state)
{
    (void)state;
    assert_int_equal(judge((struct static_conditions) {.if_modified_since = DATE}),
                     STATIC_NOT_MODIFIED);
    assert_int_equal(judge((struct static_conditions) {.if_modified_since = AFTER}),
                     STATIC_NOT_MODIFIED);
    assert_int_equal(judge((struct static_conditions) {.if_modified_since = BEFORE}),
                     STATIC_PROCEED);
    assert_int_equal(judge((struct static_conditions) {.if_unmodified_since = DATE}),
                     STATIC_PROCEED);
    assert_int_equal(judge((struct static_conditions) {.if_unmodified_since = AFTER}),
                     STATIC_PROCEED);
    assert_int_equal(judge((struct static_conditions) {.if_unmodified_since = BEFORE}),
                     STATIC_FAILED);
}

static void what_is_no_date_is_ignored(void **state)
{
    (void)state;
    assert_int_equal(judge((struct static_conditions) {.if_modified_since = "tomorrow"}),
                     STATIC_PROCEED);
    assert_int_equal(judge((struct static_conditions) {.if_unmodified_since = "yesterday"}),
                     STATIC_PROCEED);
}

/* Each row: the one that is asked first wins over all that are asked later. */
static void conditions_have_an_order(void **state)
{
    (void)state;
    assert_int_equal(judge((struct static_conditions) {.if_match = "\"x\"",
                                                       .if_none_match = "\"a-1\"",
                                                       .if_modified_since = DATE}),
                     STATIC_FAILED);
    assert_int_equal(
        judge((struct static_conditions) {.if_match = "\"a-1\"", .if_unmodified_since = BEFORE}),
        STATIC_PROCEED);
    assert_int_equal(
        judge((struct static_conditions) {.if_match = "\"a-1\"", .if_none_match = "\"a-1\""}),
        STATIC_NOT_MODIFIED);
    assert_int_equal(judge((struct static_conditions) {.if_unmodified_since = BEFORE,
                                                       .if_none_match = "\"a-1\""}),
                     STATIC_FAILED);
    assert_int_equal(
        judge((struct static_conditions) {.if_unmodified_since = DATE, .if_modified_since = DATE}),
        STATIC_NOT_MODIFIED);
    assert_int_equal(
        judge((struct static_conditions) {.if_none_match = "\"x\"", .if_modified_since = AFTER}),
        STATIC_PROCEED);
    assert_int_equal(
        judge((struct static_conditions) {.if_none_match = "\"a-1\"", .if_modified_since = BEFORE}),
        STATIC_NOT_MODIFIED);
}

static void a_date_of_one_of_several_forms_says_less(void **state)
{
    struct static_validators v = ours;
    struct static_conditions at = {.if_modified_since = DATE}, later = {.if_modified_since = AFTER};

    (void)state;
    v.date_use = STATIC_DATE_NAMES;
    assert_int_equal(static_judge(&at, &v), STATIC_NOT_MODIFIED);
    assert_int_equal(static_judge(&later, &v), STATIC_PROCEED);
    assert_true(static_if_range(DATE, &v));
    v.date_use = STATIC_DATE_VAGUE;
    assert_int_equal(static_judge(&at, &v), STATIC_PROCEED);
    assert_false(static_if_range(DATE, &v));
}

static void if_range_is_exact(void **state)
{
    static const char *const others[] = {"\"x\"", "W/\"a-1\"", "\"a-1", "\"a-1\"x", "*",
                                         BEFORE,  AFTER,       "x",     ""};

    (void)state;
    assert_true(static_if_range(NULL, &ours));
    assert_true(static_if_range("\"a-1\"", &ours));
    assert_true(static_if_range(DATE, &ours));
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        assert_false(static_if_range(others[i], &ours));
}

static void dates_come_in_three_forms(void **state)
{
    static const char *const same[] = {DATE, "Sunday, 06-Nov-94 08:49:37 GMT",
                                       "Sun Nov  6 08:49:37 1994"};
    static const char *const none[] = {"", "784111777", DATE " and more",
                                       "Sun, 06 Nov 1994 08:49:37",
                                       "Sun, 06 Nov 1994 25:49:37 GMT"};
    char text[STATIC_DATE_BYTES];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
        time_t t = 0;
        assert_true(static_date_read(same[i], &t));
        assert_int_equal(t, 784111777);
    }
    for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
        time_t t = 5;
        assert_false(static_date_read(none[i], &t));
        assert_int_equal(t, 5);
    }
    assert_true(static_date_write(text, 784111777));
    assert_string_equal(text, DATE);
    assert_false(static_date_write(text, 253402300800)); /* the year 10000 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_match_is_a_list_compared_weakly),
        cmocka_unit_test(match_is_a_list_compared_strongly),
        cmocka_unit_test(dates_are_compared_as_dates),
        cmocka_unit_test(what_is_no_date_is_ignored),
        cmocka_unit_test(conditions_have_an_order),
        cmocka_unit_test(a_date_of_one_of_several_forms_says_less),
        cmocka_unit_test(if_range_is_exact),
        cmocka_unit_test(dates_come_in_three_forms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
