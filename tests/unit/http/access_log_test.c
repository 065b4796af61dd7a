#include "http/access_log.h"

#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/check.h"
#include "base/clock.h"
#include "http/serve.h"

/* Requests are made here; the file is real. */

static struct server server;
static char dir[] = "/tmp/access_log_test_XXXXXX", path[64], text[1 << 20];

static struct request usual(void)
{
    struct request r = {
        .server = &server,
        .address = "127.0.0.1",
        .method = HTTP_GET,
        .method_text = "GET",
        .version_text = "HTTP/1.1",
        .logged_target = "/compute/sum?end=10",
        .status = 200,
        .queued = true,
        .answer_bytes = 31,
    };

    r.headers.values[HEADER_USER_AGENT] = "curl/8";
    return r;
}

static struct access_log *open_log(enum access_log_format format)
{
    struct access_log *log;
    struct err err;

    assert_int_equal(access_log_new(&log, path, format, &err), 0);
    return log;
}

static const char *content(const char *of)
{
    int fd = open(of, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);

    check_close_fd(&fd);
    text[MAX(n, 0)] = '\0';
    return text;
}

/* The one line that this leaves in a file of its own. */
static const char *line_of(const struct request *r, enum access_log_format format)
{
    struct access_log *log;

    (void)unlink(path);
    log = open_log(format);
    access_log_add(log, r, 1234567);
    (void)access_log_free(log);
    (void)content(path);
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    return text;
}

static void assert_like(const char *line, const char *pattern)
{
    regex_t re;

    assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
    if (regexec(&re, line, 0, NULL, 0) != 0)
        fail_msg("%s is not like %s", line, pattern);
    regfree(&re);
}

#define STAMP                                                                                      \
    "\\[[0-3][0-9]/[A-Z][a-z][a-z]/20[0-9][0-9]:[0-2][0-9]:[0-5][0-9]:[0-6][0-9] \\+0000\\]"

static void the_combined_format(void **state)
{
    struct request r = usual();

    (void)state;
    assert_like(line_of(&r, ACCESS_LOG_COMBINED),
                "^127\\.0\\.0\\.1 - - " STAMP
                " \"GET /compute/sum\\?end=10 HTTP/1\\.1\" 200 31 \"-\" \"curl/8\"\n$");
    r.headers.values[HEADER_REFERER] = "http://x/\"\n\xff\\";
    r.headers.values[HEADER_USER_AGENT] = NULL;
    r.logged_target = "/\x1b[31m";
    r.answer_bytes = UINT64_MAX;
    assert_like(line_of(&r, ACCESS_LOG_COMBINED),
                "\"GET /\\\\x1B\\[31m HTTP/1\\.1\" 200 - "
                "\"http://x/\\\\x22\\\\x0A\\\\xFF\\\\x5C\" \"-\"\n$");
}

static const char *member(const json_t *line, const char *name)
{
    return json_string_value(json_object_get(line, name));
}

static void json_lines(void **state)
{
    struct request r = usual();
    json_t *line;

    (void)state;
    (void)snprintf(r.id.text, sizeof(r.id.text), "the-request");
    (void)snprintf(r.job.text, sizeof(r.job.text), "the-job");
    (void)snprintf(r.trace, sizeof(r.trace), "00-%032d-%016d-01", 7, 8);
    r.headers.values[HEADER_REFERER] = "a\"\x1b\xff";
    line = json_loads(line_of(&r, ACCESS_LOG_JSON), 0, NULL);
    assert_non_null(line);
    assert_int_equal(json_object_size(line), 14);
    assert_like(member(line, "time"), "^20..-[01].-[0-3].T[0-2].:[0-5].:[0-6].\\.[0-9]{3}Z$");
    assert_string_equal(member(line, "address"), "127.0.0.1");
    assert_string_equal(member(line, "method"), "GET");
    assert_string_equal(member(line, "target"), "/compute/sum?end=10");
    assert_string_equal(member(line, "version"), "HTTP/1.1");
    assert_int_equal(json_integer_value(json_object_get(line, "status")), 200);
    assert_int_equal(json_integer_value(json_object_get(line, "bytes")), 31);
    assert_true(json_real_value(json_object_get(line, "duration_ms")) == 1.234);
    assert_string_equal(member(line, "request_id"), "the-request");
    assert_string_equal(member(line, "trace_id"), "00000000000000000000000000000007");
    assert_string_equal(member(line, "job"), "the-job");
    assert_string_equal(member(line, "referer"), "a\"\x1b\xef\xbf\xbd");
    assert_string_equal(member(line, "user_agent"), "curl/8");
    assert_true(json_is_false(json_object_get(line, "tls")));
    json_decref(line);
}

static void what_is_absent_is_null(void **state)
{
    struct request r = usual();
    json_t *line;

    (void)state;
    r.headers.values[HEADER_USER_AGENT] = NULL;
    r.answer_bytes = UINT64_MAX;
    line = json_loads(line_of(&r, ACCESS_LOG_JSON), 0, NULL);
    assert_int_equal(json_object_size(line), 14);
    for (const char *const *name = (const char *const[]) {"bytes", "request_id", "trace_id", "job",
                                                          "referer", "user_agent", NULL};
         *name != NULL; name++)
        assert_true(json_is_null(json_object_get(line, *name)));
    json_decref(line);
}

static void what_became_of_it(void **state)
{
    struct request r = usual();

    (void)state;
    r.method = HTTP_HEAD;
    assert_like(line_of(&r, ACCESS_LOG_COMBINED), " 200 0 ");
    r = usual();
    r.status = 304;
    assert_like(line_of(&r, ACCESS_LOG_COMBINED), " 304 0 ");
    r = usual();
    r.queued = false;
    r.status = 0;
    assert_like(line_of(&r, ACCESS_LOG_COMBINED), " 499 0 ");
}

/* All at its worst: every byte is escaped, and nothing is short. */
static void long_texts_are_cut(void **state)
{
    static char much[16 << 10];
    struct request r = usual();
    json_t *line;

    (void)state;
    memset(much, 1, sizeof(much) - 1);
    r.method_text = r.version_text = r.logged_target = much;
    r.headers.values[HEADER_REFERER] = r.headers.values[HEADER_USER_AGENT] = much;
    r.answer_bytes = INT64_MAX;
    assert_true(strlen(line_of(&r, ACCESS_LOG_COMBINED)) <= ACCESS_LOG_LINE_BYTES_MAX);
    assert_true(strlen(line_of(&r, ACCESS_LOG_JSON)) <= ACCESS_LOG_LINE_BYTES_MAX);
    line = json_loads(text, JSON_ALLOW_NUL, NULL);
    assert_non_null(line);
    assert_int_equal(json_object_size(line), 14);
    json_decref(line);
}

static void await_lines(const char *of, unsigned count)
{
    uint64_t deadline_ns = clock_now_ns() + 20 * CLOCK_NS_PER_S;
    const struct timespec pause = {.tv_nsec = 5000000};

    for (;;) {
        unsigned n = 0;
        for (const char *p = content(of); (p = strchr(p, '\n')) != NULL; p++)
            n++;
        if (n == count)
            return;
        assert_true(n < count && clock_now_ns() < deadline_ns);
        (void)nanosleep(&pause, NULL);
    }
}

static void it_is_written_soon_and_opened_anew(void **state)
{
    struct request r = usual();
    struct access_log *log;
    struct stat st;
    char old[80];

    (void)state;
    (void)unlink(path);
    log = open_log(ACCESS_LOG_COMBINED);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    access_log_add(log, &r, 1);
    await_lines(path, 1);
    (void)snprintf(old, sizeof(old), "%s.1", path);
    assert_int_equal(rename(path, old), 0);
    access_log_add(log, &r, 1);
    access_log_reopen(log);
    await_lines(old, 2); /* what came before goes where it belongs */
    access_log_add(log, &r, 1);
    await_lines(path, 1);
    await_lines(old, 2);
    (void)access_log_free(log);
    assert_int_equal(unlink(old), 0);
}

static void a_removed_file_is_made_anew(void **state)
{
    struct request r = usual();
    struct access_log *log;

    (void)state;
    (void)unlink(path);
    log = open_log(ACCESS_LOG_COMBINED);
    assert_int_equal(unlink(path), 0);
    access_log_add(log, &r, 1);
    await_lines(path, 1);
    (void)access_log_free(log);
}

static void it_is_appended_to(void **state)
{
    struct request r = usual();

    (void)state;
    (void)unlink(path);
    for (unsigned n = 1; n <= 2; n++) {
        struct access_log *log = open_log(ACCESS_LOG_COMBINED);
        access_log_add(log, &r, 1);
        (void)access_log_free(log);
        await_lines(path, n);
    }
}

/* Standard error into a pipe, until it says something. */
static void listen_to_log(int ret_fds[3])
{
    ret_fds[2] = dup(STDERR_FILENO);
    assert_true(ret_fds[2] >= 0);
    assert_int_equal(pipe(ret_fds), 0);
    assert_int_equal(dup2(ret_fds[1], STDERR_FILENO), STDERR_FILENO);
}

static void await_log(int fds[3], const char *what)
{
    char said[1024];
    ssize_t n = read(fds[0], said, sizeof(said) - 1);

    assert_int_equal(dup2(fds[2], STDERR_FILENO), STDERR_FILENO);
    for (int i = 0; i < 3; i++)
        (void)close(fds[i]);
    assert_true(n > 0);
    said[n] = '\0';
    assert_non_null(strstr(said, what));
}

/* As when a disk is full for a while: the file may not grow beyond the middle of the second line. */
static void half_a_line_stays_alone(void **state)
{
    struct request r = usual();
    struct rlimit unlimited, limit;
    struct access_log *log;
    char line[512];
    int fds[3];
    size_t bytes;

    (void)state;
    (void)snprintf(line, sizeof(line), "%s", line_of(&r, ACCESS_LOG_COMBINED));
    bytes = strlen(line);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &unlimited), 0);
    limit = unlimited;
    limit.rlim_cur = 2 * bytes - 10;
    (void)signal(SIGXFSZ, SIG_IGN);
    log = open_log(ACCESS_LOG_COMBINED);
    listen_to_log(fds);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    access_log_add(log, &r, 1);
    await_log(fds, "File too large; 1 lines are lost");
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &unlimited), 0);
    access_log_add(log, &r, 1);
    (void)access_log_free(log);
    (void)content(path);
    assert_int_equal(strlen(text), 3 * bytes - 10 + 1);
    assert_int_equal(text[2 * bytes - 10], '\n');
    assert_string_equal(strrchr(text + 2 * bytes - 9, ']'), strrchr(line, ']'));
}

enum { THREADS = 4, LINES_EACH = 5000 };

static void *add_many(void *arg)
{
    struct request r = usual();

    for (int i = 0; i < LINES_EACH; i++)
        access_log_add(arg, &r, 1);
    return NULL;
}

static void no_line_of_many_threads_is_lost_or_torn(void **state)
{
    pthread_t threads[THREADS];
    struct access_log *log;
    size_t bytes;
    struct request r = usual();
    FILE *file;
    unsigned lines = 0;

    (void)state;
    bytes = strlen(line_of(&r, ACCESS_LOG_COMBINED));
    (void)unlink(path);
    log = open_log(ACCESS_LOG_COMBINED);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, add_many, log), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    (void)access_log_free(log);
    file = fopen(path, "re");
    assert_non_null(file);
    while (fgets(text, sizeof(text), file) != NULL) {
        assert_int_equal(strlen(text), bytes);
        lines++;
    }
    (void)fclose(file);
    assert_int_equal(lines, THREADS * LINES_EACH);
}

static void it_is_refused_with_a_sentence(void **state)
{
    struct access_log *log = NULL;
    struct err err = {""};
    char fifo[80];

    (void)state;
    assert_int_equal(access_log_new(&log, "/nonexistent/log", ACCESS_LOG_JSON, &err), -ENOENT);
    assert_non_null(strstr(err.text, "/nonexistent/log"));
    assert_int_equal(access_log_new(&log, dir, ACCESS_LOG_JSON, &err), -EISDIR);
    (void)snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(access_log_new(&log, fifo, ACCESS_LOG_JSON, &err), -ENXIO);
    assert_int_equal(unlink(fifo), 0);
    assert_null(log);
}

static void a_reader_who_reads_nothing_holds_nobody(void **state)
{
    struct request r = usual();
    struct access_log *log;
    struct err err;
    char fifo[80];
    int reader;

    (void)state;
    (void)snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    reader = open(fifo, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(reader >= 0);
    assert_int_equal(access_log_new(&log, fifo, ACCESS_LOG_COMBINED, &err), 0);
    for (int i = 0; i < LINES_EACH; i++)
        access_log_add(log, &r, 1);
    assert_null(access_log_free(log)); /* comes back */
    (void)close(reader);
    assert_int_equal(unlink(fifo), 0);
}

static void formats_are_read_by_name(void **state)
{
    enum access_log_format format = ACCESS_LOG_JSON;

    (void)state;
    assert_int_equal(access_log_format_parse("combined", &format), 0);
    assert_int_equal(format, ACCESS_LOG_COMBINED);
    assert_int_equal(access_log_format_parse("json", &format), 0);
    assert_int_equal(format, ACCESS_LOG_JSON);
    assert_int_equal(access_log_format_parse("common", &format), -EINVAL);
}

static int make_dir(void **state)
{
    (void)state;
    if (mkdtemp(dir) == NULL)
        return -1;
    (void)snprintf(path, sizeof(path), "%s/log", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_combined_format),
        cmocka_unit_test(json_lines),
        cmocka_unit_test(what_is_absent_is_null),
        cmocka_unit_test(what_became_of_it),
        cmocka_unit_test(long_texts_are_cut),
        cmocka_unit_test(it_is_written_soon_and_opened_anew),
        cmocka_unit_test(a_removed_file_is_made_anew),
        cmocka_unit_test(it_is_appended_to),
        cmocka_unit_test(half_a_line_stays_alone),
        cmocka_unit_test(no_line_of_many_threads_is_lost_or_torn),
        cmocka_unit_test(it_is_refused_with_a_sentence),
        cmocka_unit_test(a_reader_who_reads_nothing_holds_nobody),
        cmocka_unit_test(formats_are_read_by_name),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
