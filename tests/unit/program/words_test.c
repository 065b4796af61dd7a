#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <fcntl.h>

#include "base/check.h"
#include "program/words.h"

static struct words words;
static char told[400][WORDS_LINE_MAX + 1];
static size_t told_count;
static int out, err;

static void tell(void *arg, const char *line)
{
    assert_ptr_equal(arg, &words);
    assert_true(told_count < sizeof(told) / sizeof(told[0]));
    (void)snprintf(told[told_count++], sizeof(told[0]), "%s", line);
}

static int open_all(void **state)
{
    int a[2], b[2];

    (void)state;
    assert_int_equal(pipe2(a, O_NONBLOCK), 0);
    assert_int_equal(pipe2(b, O_NONBLOCK), 0);
    words_open(&words, a[0], b[0]);
    out = a[1];
    err = b[1];
    told_count = 0;
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    words_close(&words);
    (void)close(out);
    (void)close(err);
    return 0;
}

static void write_text(int fd, const char *text)
{
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static void test_lines_of_both_streams(void **state)
{
    (void)state;
    write_text(out, "one\ntw");
    write_text(err, "error\n");
    assert_true(words_read(&words, tell, &words));
    write_text(out, "o\n\n");
    assert_true(words_read(&words, tell, &words));
    assert_int_equal(told_count, 3);
    assert_string_equal(told[0], "one");
    assert_string_equal(told[1], "error");
    assert_string_equal(told[2], "two");
}

static void test_a_line_without_end_is_told_at_last(void **state)
{
    (void)state;
    write_text(err, "half");
    assert_true(words_read(&words, tell, &words));
    assert_int_equal(told_count, 0);
    words_flush(&words, tell, &words);
    assert_string_equal(told[0], "half");
}

static void test_both_ended(void **state)
{
    (void)state;
    write_text(out, "bye\n");
    (void)close(out);
    (void)close(err);
    out = err = -1;
    assert_false(words_read(&words, tell, &words));
    assert_string_equal(told[0], "bye");
    assert_int_equal(words.fds[0], -1);
}

static void test_what_is_no_text_is_made_plain(void **state)
{
    (void)state;
    write_text(out, "a\033[1mb\xff z\xc3\xa4 \xe2\x82 \r\n");
    (void)words_read(&words, tell, &words);
    assert_string_equal(told[0], "a?[1mb? z\xc3\xa4 ?? ?");
}

static void test_a_long_line_is_cut(void **state)
{
    (void)state;
    for (int i = 0; i < 300; i++)
        write_text(out, "0123456789");
    write_text(out, "\nnext\n");
    (void)words_read(&words, tell, &words);
    assert_int_equal(strlen(told[0]), WORDS_LINE_MAX);
    assert_string_equal(told[1], "next");
}

static void test_many_lines_are_counted(void **state)
{
    size_t lines = 0, counted = 0;
    unsigned long long more;

    (void)state;
    for (int i = 0; i < 300; i++)
        write_text(out, "x\n");
    (void)words_read(&words, tell, &words);
    words_flush(&words, tell, &words);
    for (size_t i = 0; i < told_count; i++) {
        if (sscanf(told[i], "(and %llu lines more)", &more) == 1)
            counted += more;
        else
            lines++;
    }
    /* A new second may have begun. */
    assert_true(lines <= 2 * WORDS_LINES_PER_SECOND);
    assert_int_equal(lines + counted, 300);
}

static void test_the_last_words(void **state)
{
    char last[256];

    (void)state;
    words_last(&words, last, sizeof(last));
    assert_string_equal(last, "");
    for (int i = 0; i < 13; i++) {
        char line[24];
        (void)snprintf(line, sizeof(line), "line %d\n", i);
        write_text(err, line);
    }
    (void)words_read(&words, tell, &words);
    words_last(&words, last, sizeof(last));
    assert_string_equal(last, "line 3 | line 4 | line 5 | line 6 | line 7 | line 8 | line 9 | "
                              "line 10 | line 11 | line 12");
    words_last(&words, last, 24);
    assert_string_equal(last, "line 11 | line 12");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_lines_of_both_streams),
        CASE(test_a_line_without_end_is_told_at_last),
        CASE(test_both_ended),
        CASE(test_what_is_no_text_is_made_plain),
        CASE(test_a_long_line_is_cut),
        CASE(test_many_lines_are_counted),
        CASE(test_the_last_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
