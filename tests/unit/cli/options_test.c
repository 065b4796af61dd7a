#include "cli/options.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/ask.h"

/* Texts that stay until the next. */
static int read_line(struct cli_line *line, const char *const *argv, struct err *err)
{
    static char texts[16][32];
    char *copy[ARRAY_SIZE(texts)] = {NULL};
    int argc = 0;

    for (; argv[argc] != NULL; argc++) {
        (void)snprintf(texts[argc], sizeof(texts[argc]), "%s", argv[argc]);
        copy[argc] = texts[argc];
    }
    return cli_line_read(line, argc, copy, err);
}

#define READ(line, err, ...)                                                                       \
    read_line(line, (const char *const[]) {"prong", __VA_ARGS__, NULL}, err)

static void words_and_options_come_in_any_order(void **state)
{
    struct cli_line line;
    struct err err;

    (void)state;
    assert_int_equal(
        READ(&line, &err, "--json", "state", "--url", "http://x", "get", "--limit=7", "k"), 0);
    assert_int_equal(line.word_count, 3);
    assert_string_equal(line.words[0], "state");
    assert_string_equal(line.words[1], "get");
    assert_string_equal(line.words[2], "k");
    assert_string_equal(line.values[CLI_URL], "http://x");
    assert_string_equal(line.values[CLI_LIMIT], "7");
    assert_non_null(line.values[CLI_JSON]);
    assert_null(line.values[CLI_AFTER]);
    assert_false(line.wants_help);
}

static void numbers_below_zero_are_words(void **state)
{
    struct cli_line line;
    struct err err;

    (void)state;
    assert_int_equal(READ(&line, &err, "state", "add", "k", "-5"), 0);
    assert_int_equal(line.word_count, 4);
    assert_string_equal(line.words[3], "-5");
    assert_int_equal(READ(&line, &err, "state", "get", "--", "--json"), 0);
    assert_string_equal(line.words[2], "--json");
    assert_null(line.values[CLI_JSON]);
}

static void what_is_wrong_is_named(void **state)
{
    static const struct {
        const char *argv[8];
        const char *says;
    } bad[] = {
        {{"prong", "--nope", NULL}, "--nope"},
        {{"prong", "--nope=1", NULL}, "--nope;"},
        {{"prong", "--ur", "x", NULL}, "--ur;"},
        {{"prong", "state", "--url", NULL}, "--url URL"},
        {{"prong", "state", "--url=", NULL}, "--url URL"},
        {{"prong", "--json=1", NULL}, "--json takes no value"},
        {{"prong", "1", "2", "3", "4", "five", NULL}, "'five'"},
    };
    struct cli_line line;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct err err = {""};
        assert_int_equal(read_line(&line, bad[i].argv, &err), -EINVAL);
        assert_non_null(strstr(err.text, bad[i].says));
    }
}

static void a_command_takes_only_its_own_options(void **state)
{
    struct cli_line line;
    struct err err = {""};

    (void)state;
    assert_int_equal(READ(&line, &err, "state", "list", "--limit", "5", "--wait", "3"), 0);
    assert_int_equal(cli_line_check(&line, CLI_TAKES(CLI_LIMIT) | CLI_TAKES(CLI_WAIT), &err), 0);
    assert_int_equal(cli_line_check(&line, CLI_TAKES(CLI_LIMIT), &err), -EINVAL);
    assert_non_null(strstr(err.text, "--wait"));
}

static void targets_are_escaped(void **state)
{
    struct buf target;
    char *text;

    (void)state;
    buf_init(&target, 1000);
    assert_int_equal(buf_add_text(&target, "/state/"), 0);
    target_add(&target, "a/b c?#%\xc3\xa9~");
    target_add_query(&target, "none", NULL);
    target_add_query(&target, "after", "x&y=z");
    target_add_query(&target, "limit", "5");
    text = buf_take(&target);
    assert_string_equal(text, "/state/a%2Fb%20c%3F%23%25%C3%A9~?after=x%26y%3Dz&limit=5");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_and_options_come_in_any_order),
        cmocka_unit_test(numbers_below_zero_are_words),
        cmocka_unit_test(what_is_wrong_is_named),
        cmocka_unit_test(a_command_takes_only_its_own_options),
        cmocka_unit_test(targets_are_escaped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
