#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <errno.h>

#include "program/talk.h"

enum { JOB = 77, RESULT_MAX = 100000 };

static struct frame_reader reader;
static struct talk talk;
static struct talk_said said;
static int ends[2];

static int open_all(void **state)
{
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(frame_reader_init(&reader, RESULT_MAX), 0);
    talk_init(&talk, ends[0], &reader);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    talk_release(&talk);
    frame_reader_release(&reader);
    (void)close(ends[0]);
    (void)close(ends[1]);
    return 0;
}

/* ---- the program's part ---- */

static void answer(enum frame_type type, uint64_t job, const char *meta, const char *raw)
{
    struct frame_opening o = frame_opening(type, job, strlen(meta), strlen(raw));

    assert_int_equal(send(ends[1], &o, FRAME_OPENING_BYTES, 0), FRAME_OPENING_BYTES);
    assert_int_equal(send(ends[1], meta, strlen(meta), 0), (ssize_t)strlen(meta));
    assert_int_equal(send(ends[1], raw, strlen(raw), 0), (ssize_t)strlen(raw));
}

static void hear(enum frame_type type, uint64_t job, const char *meta, const char *raw)
{
    struct frame_opening o;
    char body[1024];
    size_t bytes = strlen(meta) + strlen(raw);

    assert_int_equal(recv(ends[1], &o, FRAME_OPENING_BYTES, MSG_WAITALL), FRAME_OPENING_BYTES);
    assert_int_equal(o.head.type, type);
    assert_int_equal(o.head.job, job);
    assert_int_equal(o.meta_bytes, strlen(meta));
    assert_int_equal(o.head.bytes, sizeof(uint32_t) + bytes);
    if (bytes > 0)
        assert_int_equal(recv(ends[1], body, bytes, MSG_WAITALL), (ssize_t)bytes);
    assert_memory_equal(body, meta, strlen(meta));
    assert_memory_equal(body + strlen(meta), raw, strlen(raw));
}

/* ---- ours ---- */

static void expect(enum talk_kind kind)
{
    talk_next(&talk, &said);
    if (said.kind == TALK_BROKEN && kind != TALK_BROKEN)
        print_message("broken: %s\n", said.how.text);
    assert_int_equal(said.kind, kind);
}

static void expect_broken(const char *how)
{
    expect(TALK_BROKEN);
    if (strstr(said.how.text, how) == NULL)
        print_message("it says: %s\n", said.how.text);
    assert_non_null(strstr(said.how.text, how));
    assert_int_equal(talk.state, TALK_OVER);
}

static void be_ready(void)
{
    answer(FRAME_READY, 0, "{}", "");
    expect(TALK_READY);
}

static void give_job(void)
{
    struct iovec pieces[] = {{.iov_base = (void *)(uintptr_t) "{\"op\":\"run\"}", .iov_len = 12},
                             {.iov_base = (void *)(uintptr_t) "input", .iov_len = 5}};

    be_ready();
    assert_int_equal(talk_job(&talk, JOB, pieces, 2), 0);
    hear(FRAME_JOB, JOB, "{\"op\":\"run\"}", "input");
}

static void test_hello_and_ready(void **state)
{
    (void)state;
    assert_int_equal(talk_hello(&talk, 1000), 0);
    hear(FRAME_HELLO, 0,
         "{\"protocol\":1,\"version\":\"" PRONG_VERSION
         "\",\"result_bytes_max\":1000,\"part_bytes_max\":49152}",
         "");
    expect(TALK_NOTHING);
    answer(FRAME_READY, 0, "{\"kernels\":[]}", "");
    expect(TALK_READY);
    assert_int_equal(said.about_bytes, 14);
    assert_memory_equal(said.about, "{\"kernels\":[]}", 14);
    assert_int_equal(talk.state, TALK_IDLE);
    assert_true(talk_is_settled(&talk));
}

static void test_a_job_with_all_that_it_may_say(void **state)
{
    (void)state;
    give_job();
    assert_false(talk_is_settled(&talk));
    answer(FRAME_PROGRESS, JOB, "{\"done\":3,\"total\":8}", "");
    answer(FRAME_PART, JOB, "", "[1]");
    answer(FRAME_RESULT, JOB, "{\"media_type\":\"image/png\"}", "pixels");
    expect(TALK_PROGRESS);
    assert_int_equal(said.done, 3);
    assert_int_equal(said.total, 8);
    expect(TALK_PART);
    assert_int_equal(said.raw_bytes, 3);
    expect(TALK_RESULT);
    assert_string_equal(said.media_type, "image/png");
    assert_memory_equal(said.raw, "pixels", 6);
    assert_false(said.has_units);
    assert_true(talk_is_settled(&talk));
    expect(TALK_NOTHING);
}

static void test_a_plan(void **state)
{
    (void)state;
    give_job();
    answer(FRAME_RESULT, JOB, "{\"units\":12,\"unit_cost\":2.5}", "");
    expect(TALK_RESULT);
    assert_true(said.has_units);
    assert_int_equal(said.units, 12);
    assert_true(said.unit_cost == 2.5);
}

static void test_an_error(void **state)
{
    (void)state;
    give_job();
    answer(FRAME_ERROR, JOB,
           "{\"message\":\"No such word.\",\"code\":\"retry\",\"trace\":[\"a\",\"b\"]}", "");
    expect(TALK_ERROR);
    assert_string_equal(said.message, "No such word.");
    assert_int_equal(said.code, TALK_RETRY);
    assert_int_equal(said.trace_count, 2);
    assert_string_equal(said.trace[1], "b");
    assert_int_equal(talk.state, TALK_IDLE);
}

static void test_ping(void **state)
{
    (void)state;
    be_ready();
    assert_int_equal(talk_ping(&talk), 0);
    hear(FRAME_PING, 0, "", "");
    assert_false(talk_is_settled(&talk));
    answer(FRAME_PONG, 0, "", "");
    expect(TALK_PONG);
    assert_true(talk_is_settled(&talk));
    answer(FRAME_PONG, 0, "", "");
    expect_broken("PONG frame that nobody asked for");
}

static void test_cancel_and_quiet(void **state)
{
    (void)state;
    give_job();
    assert_int_equal(talk_cancel(&talk), 0);
    hear(FRAME_CANCEL, JOB, "", "");
    answer(FRAME_ERROR, JOB, "{\"code\":\"cancelled\"}", "");
    expect(TALK_ERROR);
    assert_int_equal(said.code, TALK_CANCELLED);
    assert_string_equal(said.message, "");
    assert_int_equal(talk_quiet(&talk), 0);
    hear(FRAME_QUIET, 0, "", "");
}

static void test_a_job_larger_than_the_socket_is_sent_bit_by_bit(void **state)
{
    static char input[4 << 20], got[65536];
    struct iovec pieces[] = {{.iov_base = (void *)(uintptr_t) "{}", .iov_len = 2},
                             {.iov_base = input, .iov_len = sizeof(input)}};
    size_t bytes = 0;
    int rc;

    (void)state;
    be_ready();
    rc = talk_job(&talk, JOB, pieces, 2);
    assert_int_equal(rc, -EAGAIN);
    assert_true(talk_is_sending(&talk));
    while (rc == -EAGAIN) {
        bytes += (size_t)recv(ends[1], got, sizeof(got), 0);
        rc = talk_flush(&talk);
    }
    assert_int_equal(rc, 0);
    while (bytes < FRAME_OPENING_BYTES + 2 + sizeof(input))
        bytes += (size_t)recv(ends[1], got, sizeof(got), 0);
    assert_int_equal(bytes, FRAME_OPENING_BYTES + 2 + sizeof(input));
}

static void test_an_answer_before_the_whole_job(void **state)
{
    static char input[4 << 20];
    struct iovec pieces[] = {{.iov_base = (void *)(uintptr_t) "{}", .iov_len = 2},
                             {.iov_base = input, .iov_len = sizeof(input)}};

    (void)state;
    be_ready();
    assert_int_equal(talk_job(&talk, JOB, pieces, 2), -EAGAIN);
    answer(FRAME_RESULT, JOB, "{}", "");
    expect_broken("before it had read all");
}

static void test_it_ends(void **state)
{
    (void)state;
    give_job();
    (void)shutdown(ends[1], SHUT_RDWR);
    expect(TALK_ENDED);
    assert_int_equal(talk.state, TALK_OVER);
}

static void test_too_large(void **state)
{
    struct frame_head head = {.magic = FRAME_MAGIC,
                              .version = FRAME_VERSION,
                              .type = FRAME_RESULT,
                              .bytes = 100 << 20,
                              .job = JOB};

    (void)state;
    give_job();
    assert_int_equal(send(ends[1], &head, sizeof(head), 0), sizeof(head));
    expect(TALK_TOO_LARGE);
}

static void test_breaches(void **state)
{
    static const struct {
        enum frame_type type;
        uint64_t job;
        const char *meta, *how;
    } rows[] = {
        {FRAME_RESULT, JOB + 1, "{}", "about another job"},
        {FRAME_RESULT, 0, "{}", "about another job"},
        {FRAME_READY, 0, "{}", "READY frame that nobody asked for"},
        {FRAME_PONG, 0, "", "PONG frame that nobody asked for"},
        {FRAME_RESULT, JOB, "[1,2]", "no object"},
        {FRAME_RESULT, JOB, "{\"a\":", "no JSON"},
        {FRAME_RESULT, JOB, "{}x", "no JSON"},
        {FRAME_RESULT, JOB, "\"", "no JSON"},
        {FRAME_RESULT, JOB, "{\"media_type\":7}", "media_type"},
        {FRAME_RESULT, JOB, "{\"media_type\":\"a\\nb\"}", "media_type"},
        {FRAME_RESULT, JOB, "{\"units\":-1}", "units"},
        {FRAME_RESULT, JOB, "{\"units\":1.5}", "units"},
        {FRAME_RESULT, JOB, "{\"units\":1,\"unit_cost\":-1}", "unit_cost"},
        {FRAME_PROGRESS, JOB, "{\"done\":\"3\"}", "done"},
        {FRAME_ERROR, JOB, "{\"message\":1}", "message"},
        {FRAME_ERROR, JOB, "{\"code\":1}", "code"},
        {FRAME_ERROR, JOB, "{\"trace\":\"x\"}", "trace"},
        {FRAME_ERROR, JOB, "{\"trace\":[1]}", "trace"},
    };

    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (i > 0)
            (void)open_all(state);
        give_job();
        answer(rows[i].type, rows[i].job, rows[i].meta, "");
        expect_broken(rows[i].how);
        if (i + 1 < ARRAY_SIZE(rows))
            (void)close_all(state);
    }
}

static void test_an_answer_when_idle(void **state)
{
    (void)state;
    be_ready();
    answer(FRAME_RESULT, JOB, "{}", "");
    expect_broken("that nobody asked for");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_hello_and_ready),
        CASE(test_a_job_with_all_that_it_may_say),
        CASE(test_a_plan),
        CASE(test_an_error),
        CASE(test_ping),
        CASE(test_cancel_and_quiet),
        CASE(test_a_job_larger_than_the_socket_is_sent_bit_by_bit),
        CASE(test_an_answer_before_the_whole_job),
        CASE(test_it_ends),
        CASE(test_too_large),
        CASE(test_breaches),
        CASE(test_an_answer_when_idle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
