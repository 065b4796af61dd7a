#include "cli/print.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"

/* What `print(arg)` writes to standard output. */
static void capture(void (*print)(void *arg), void *arg, char *out, size_t capacity)
{
    FILE *file = tmpfile();
    int before = dup(STDOUT_FILENO);
    size_t n;

    assert_non_null(file);
    assert_int_equal(fflush(stdout), 0);
    assert_true(dup2(fileno(file), STDOUT_FILENO) >= 0);
    print(arg);
    assert_int_equal(fflush(stdout), 0);
    assert_true(dup2(before, STDOUT_FILENO) >= 0);
    (void)close(before);
    rewind(file);
    n = fread(out, 1, capacity - 1, file);
    out[n] = '\0';
    (void)fclose(file);
}

static void control_characters_are_made_visible(void **state)
{
    char *text = print_fit("a\x1b[31m\n\x7f \xc2\x9b"
                           "2J \xc3\xa9 \"q\\");

    (void)state;
    assert_string_equal(text, "a\\x1b[31m\\x0a\\x7f \\x9b2J \xc3\xa9 \"q\\");
    free(text);
}

static void durations_are_in_whole_units(void **state)
{
    static const struct {
        double seconds;
        const char *text;
    } cases[] = {{-3, "0 s"},        {0, "0 s"},        {59.9, "59 s"}, {119, "119 s"},
                 {120, "2 min"},     {7199, "119 min"}, {7200, "2 h"},  {172799, "47 h"},
                 {2 * 86400, "2 d"}, {864000, "10 d"}};
    char text[32];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        print_duration(cases[i].seconds, text, sizeof(text));
        assert_string_equal(text, cases[i].text);
    }
}

static void print_a_table(void *arg)
{
    assert_int_equal(print_table(arg), 0);
}

static void columns_are_as_wide_as_they_must_be(void **state)
{
    static const char *const headings[] = {"KEY", "VERSION"};
    struct print_table t;
    char out[500];

    (void)state;
    print_table_init(&t, headings, 2);
    print_table_add(&t, "\xc3\xa9t\xc3\xa9s\x1b");
    print_table_add(&t, "1");
    print_table_add(&t, "");
    print_table_add(&t, NULL);
    capture(print_a_table, &t, out, sizeof(out));
    assert_string_equal(out, "KEY       VERSION\n"
                             "\xc3\xa9t\xc3\xa9s\\x1b  1\n"
                             "-         -\n");
    print_table_release(&t);
}

static void print_an_object(void *arg)
{
    print_members(arg);
}

static void members_are_lines(void **state)
{
    char out[4000], large[PRINT_VALUE_BYTES_MAX + 100];
    json_t *object;

    (void)state;
    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    object =
        json_pack("{s:s, s:n, s:{s:i}, s:b, s:f, s:s, s:s}", "id", "one\ntwo", "error", "params",
                  "limit", 5, "expired", 0, "created", 1.5, "state", "2", "large", large);
    capture(print_an_object, object, out, sizeof(out));
    assert_non_null(strstr(out, "id: one\\x0atwo\n"));
    assert_non_null(strstr(out, "params: {\"limit\":5}\n"));
    assert_non_null(strstr(out, "expired: false\n"));
    assert_non_null(strstr(out, "created: 19"));
    assert_null(strstr(out, "error"));
    assert_non_null(strstr(out, "x... (--json has all)\n"));
    assert_true(strlen(out) < PRINT_VALUE_BYTES_MAX + 300);
    json_decref(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_characters_are_made_visible),
        cmocka_unit_test(durations_are_in_whole_units),
        cmocka_unit_test(columns_are_as_wide_as_they_must_be),
        cmocka_unit_test(members_are_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
