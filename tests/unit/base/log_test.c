#include "base/log.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"

/* Each test runs in a child of its own, whose standard error is a pipe that is read to its end. */
static char got[1 << 20];

static void run(void (*writes)(void))
{
    int pipe_fds[2], status;
    size_t n = 0;
    ssize_t more;
    pid_t pid;

    assert_int_equal(pipe(pipe_fds), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)dup2(pipe_fds[1], STDERR_FILENO);
        writes();
        _exit(0);
    }
    (void)close(pipe_fds[1]);
    while (n < sizeof(got) - 1 && (more = read(pipe_fds[0], got + n, sizeof(got) - 1 - n)) > 0)
        n += (size_t)more;
    got[n] = '\0';
    (void)close(pipe_fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static size_t count_of(const char *what)
{
    size_t n = 0;

    for (const char *p = got; (p = strstr(p, what)) != NULL; p++)
        n++;
    return n;
}

static size_t lines(void)
{
    return count_of("\n");
}

static void writes_plain(void)
{
    log_init("tester", LOG_INFO);
    log_warning("%d of %s", 3, "them");
}

static void a_line_has_time_level_and_program(void **state)
{
    int year, month, day, end = 0;

    (void)state;
    run(writes_plain);
    assert_int_equal(lines(), 1);
    assert_int_equal(
        sscanf(got, "time=%4d-%2d-%2dT%*2d:%*2d:%*2d.%*3dZ%n", &year, &month, &day, &end), 3);
    assert_true(year > 2000 && end == 29);
    assert_string_equal(got + end, " level=warning program=tester msg=\"3 of them\"\n");
}

static void writes_plain_json(void)
{
    log_set_format(LOG_JSON);
    writes_plain();
}

static void json_has_the_same_keys(void **state)
{
    int end = 0;

    (void)state;
    run(writes_plain_json);
    assert_int_equal(lines(), 1);
    (void)sscanf(got, "{\"time\":\"%*4d-%*2d-%*2dT%*2d:%*2d:%*2d.%*3dZ%n", &end);
    assert_int_equal(end, 33);
    assert_string_equal(got + end, "\",\"level\":\"warning\",\"program\":\"tester\","
                                   "\"msg\":\"3 of them\"}\n");
}

static void writes_about_a_request(void)
{
    log_context("the-request", "0123456789abcdef0123456789abcdef-0011223344556677-01");
    log_context_job("the-job");
    log_info("1");
    log_set_format(LOG_JSON);
    log_info("2");
    log_context_job("");
    log_context("the-request", NULL);
    log_info("3");
    log_context(NULL, NULL);
    log_info("4");
}

static void a_line_says_what_it_is_about(void **state)
{
    (void)state;
    run(writes_about_a_request);
    assert_int_equal(lines(), 4);
    assert_non_null(strstr(got, "msg=\"1\" request_id=the-request "
                                "trace_id=0123456789abcdef0123456789abcdef job=the-job\n"));
    assert_non_null(strstr(got, "\"msg\":\"2\",\"request_id\":\"the-request\",\"trace_id\":"
                                "\"0123456789abcdef0123456789abcdef\",\"job\":\"the-job\"}\n"));
    assert_non_null(strstr(got, "\"msg\":\"3\",\"request_id\":\"the-request\"}\n"));
    assert_non_null(strstr(got, "\"msg\":\"4\"}\n"));
}

static void writes_all_levels(void)
{
    log_init("tester", LOG_WARNING);
    log_debug("1");
    log_info("2");
    log_warning("3");
    log_error("4");
}

static void lower_levels_are_left_out(void **state)
{
    (void)state;
    run(writes_all_levels);
    assert_int_equal(lines(), 2);
    assert_non_null(strstr(got, "level=warning program=tester msg=\"3\"\n"));
    assert_non_null(strstr(got, "level=error program=tester msg=\"4\"\n"));
}

static void writes_debug_untold(void)
{
    log_debug("hidden");
    log_info("shown");
}

static void information_is_shown_until_told_otherwise(void **state)
{
    (void)state;
    run(writes_debug_untold);
    assert_int_equal(lines(), 1);
    assert_non_null(strstr(got, "level=info program=prong msg=\"shown\"\n"));
}

static void writes_controls(void)
{
    log_init("tester", LOG_INFO);
    log_info("%s", "a\nb\x1b[31mc\x7f\td\r\xc2\x9b"
                   "e\xc2\xa0\xc3\x9bz");
}

static void controls_never_reach_the_terminal(void **state)
{
    (void)state;
    run(writes_controls);
    assert_int_equal(lines(), 1);
    assert_non_null(
        strstr(got, "msg=\"a\\nb\\u001b[31mc\\u007f\\td\\r\\u009be\xc2\xa0\xc3\x9bz\"\n"));
}

static void writes_long(void)
{
    static char text[LOG_LINE_BYTES_MAX * 3];

    log_context_job("about");
    memset(text, 'x', sizeof(text) - 1);
    log_info("%s", text);
    memset(text, '\n', sizeof(text) - 1);
    log_info("%s", text);
    text[1] = '\0';
    text[0] = (char)0xc2; /* must not look behind the end */
    log_info("%s", text);
}

static void a_long_line_is_cut(void **state)
{
    (void)state;
    run(writes_long);
    assert_int_equal(lines(), 3);
    for (const char *p = got, *end; (end = strchr(p, '\n')) != NULL; p = end + 1)
        assert_true(end + 1 - p <= LOG_LINE_BYTES_MAX);
    /* What follows the text is not cut. */
    assert_int_equal(count_of("about\n"), 3);
}

/* Waits for a second to begin, so that the lines are all of one. */
static void begin_second(void)
{
    uint64_t now = clock_now_ns();
    uint64_t left = CLOCK_NS_PER_S - now % CLOCK_NS_PER_S;
    struct timespec t = {.tv_nsec = (long)(left % CLOCK_NS_PER_S)};

    (void)nanosleep(&t, NULL);
}

static void writes_a_storm(void)
{
    begin_second();
    for (int i = 0; i < LOG_LINES_PER_SECOND + 50; i++)
        log_error("line %d", i);
    begin_second();
    log_error("after");
}

static void a_storm_is_cut_and_counted(void **state)
{
    (void)state;
    run(writes_a_storm);
    assert_int_equal(lines(), LOG_LINES_PER_SECOND + 2);
    assert_non_null(strstr(got, "line 199\"\n"));
    assert_null(strstr(got, "line 200\"\n"));
    assert_non_null(strstr(got, "\"50 lines were dropped"));
    assert_non_null(strstr(got, "\"after\"\n"));
}

static void levels_are_read_by_name(void **state)
{
    enum log_level level = LOG_LEVEL_COUNT;

    (void)state;
    assert_int_equal(log_level_parse("debug", &level), 0);
    assert_int_equal(level, LOG_DEBUG);
    assert_int_equal(log_level_parse("error", &level), 0);
    assert_int_equal(level, LOG_ERROR);
    assert_int_equal(log_level_parse("Error", &level), -EINVAL);
    assert_int_equal(log_level_parse("", &level), -EINVAL);
    assert_int_equal(level, LOG_ERROR);
}

static void formats_are_read_by_name(void **state)
{
    enum log_format format = LOG_LOGFMT;
    int fd = dup(STDERR_FILENO), other[2];

    (void)state;
    assert_int_equal(log_format_parse("json", &format), 0);
    assert_int_equal(format, LOG_JSON);
    assert_int_equal(log_format_parse("logfmt", &format), 0);
    assert_int_equal(format, LOG_LOGFMT);
    assert_int_equal(log_format_parse("JSON", &format), -EINVAL);
    assert_int_equal(pipe(other), 0);
    assert_true(dup2(other[1], STDERR_FILENO) >= 0);
    assert_int_equal(log_format_parse("auto", &format), 0);
    assert_true(dup2(fd, STDERR_FILENO) >= 0);
    assert_int_equal(format, LOG_JSON);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_time_level_and_program),
        cmocka_unit_test(json_has_the_same_keys),
        cmocka_unit_test(a_line_says_what_it_is_about),
        cmocka_unit_test(lower_levels_are_left_out),
        cmocka_unit_test(information_is_shown_until_told_otherwise),
        cmocka_unit_test(controls_never_reach_the_terminal),
        cmocka_unit_test(a_long_line_is_cut),
        cmocka_unit_test(a_storm_is_cut_and_counted),
        cmocka_unit_test(levels_are_read_by_name),
        cmocka_unit_test(formats_are_read_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
