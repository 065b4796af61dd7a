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

#include "base/err.h"
#include "program/frame.h"

enum { RESULT_MAX = 200000 };

static struct frame_reader reader;
static int ends[2];

static int open_all(void **state)
{
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(frame_reader_init(&reader, RESULT_MAX), 0);
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    frame_reader_release(&reader);
    (void)close(ends[0]);
    (void)close(ends[1]);
    return 0;
}

static void put(const void *data, size_t bytes)
{
    assert_int_equal(send(ends[1], data, bytes, 0), (ssize_t)bytes);
}

static void put_frame(enum frame_type type, uint64_t job, const char *meta, const char *raw)
{
    struct frame_opening o = frame_opening(type, job, strlen(meta), strlen(raw));

    put(&o, FRAME_OPENING_BYTES);
    put(meta, strlen(meta));
    put(raw, strlen(raw));
}

static void put_head(struct frame_head head)
{
    put(&head, sizeof(head));
}

static struct frame_head good_head(void)
{
    return (struct frame_head) {
        .magic = FRAME_MAGIC, .version = FRAME_VERSION, .type = FRAME_RESULT, .job = 7};
}

/* The first that is not "more must come". */
static int next(struct frame *f, struct err *err)
{
    int rc = frame_reader_next(&reader, f, err);

    while (rc == 0) {
        rc = frame_reader_fill(&reader, ends[0]);
        if (rc == 0)
            rc = frame_reader_next(&reader, f, err);
    }
    return rc;
}

static void test_an_opening_has_the_agreed_bytes(void **state)
{
    static const unsigned char expected[FRAME_OPENING_BYTES] = {'P', 'K', 1, 3, 9, 0, 0, 0, 8, 7,
                                                                6,   5,   4, 3, 2, 1, 2, 0, 0, 0};
    struct frame_opening o = frame_opening(FRAME_JOB, 0x0102030405060708ULL, 2, 3);

    (void)state;
    assert_memory_equal(&o, expected, sizeof(expected));
}

static void test_frames_are_split(void **state)
{
    struct frame f;

    (void)state;
    put_frame(FRAME_PROGRESS, 1, "{\"done\":1}", "");
    put_frame(FRAME_RESULT, 2, "{}", "raw");
    assert_int_equal(next(&f, NULL), 1);
    assert_int_equal(f.type, FRAME_PROGRESS);
    assert_int_equal(f.job, 1);
    assert_int_equal(f.meta_bytes, 10);
    assert_memory_equal(f.meta, "{\"done\":1}", 10);
    assert_int_equal(f.raw_bytes, 0);
    assert_int_equal(next(&f, NULL), 1);
    assert_int_equal(f.type, FRAME_RESULT);
    assert_int_equal(f.raw_bytes, 3);
    assert_memory_equal(f.raw, "raw", 3);
    assert_true(frame_reader_is_empty(&reader));
    assert_int_equal(next(&f, NULL), -EAGAIN);
}

static void test_a_frame_may_come_byte_by_byte(void **state)
{
    struct frame_opening o = frame_opening(FRAME_RESULT, 9, 2, 1);
    char bytes[FRAME_OPENING_BYTES + 3];
    struct frame f;

    (void)state;
    memcpy(bytes, &o, FRAME_OPENING_BYTES);
    memcpy(bytes + FRAME_OPENING_BYTES, "{}x", 3);
    for (size_t i = 0; i < sizeof(bytes) - 1; i++) {
        put(bytes + i, 1);
        assert_int_equal(next(&f, NULL), -EAGAIN);
    }
    put(bytes + sizeof(bytes) - 1, 1);
    assert_int_equal(next(&f, NULL), 1);
    assert_memory_equal(f.raw, "x", 1);
}

static void test_no_body_is_a_frame(void **state)
{
    struct frame_head head = good_head();
    struct frame f;

    (void)state;
    head.type = FRAME_PONG;
    put_head(head);
    assert_int_equal(next(&f, NULL), 1);
    assert_int_equal(f.type, FRAME_PONG);
    assert_int_equal(f.meta_bytes + f.raw_bytes, 0);
}

static void test_a_large_result_is_collected(void **state)
{
    static char raw[RESULT_MAX];
    struct frame_opening o = frame_opening(FRAME_RESULT, 9, 0, sizeof(raw));
    struct frame f;
    size_t sent = 0;
    int rc = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(raw); i++)
        raw[i] = (char)(i * 7);
    put(&o, FRAME_OPENING_BYTES);
    while (rc <= 0) {
        ssize_t n = sent < sizeof(raw)
                        ? send(ends[1], raw + sent, MIN(sizeof(raw) - sent, 30000U), MSG_DONTWAIT)
                        : 0;
        sent += n > 0 ? (size_t)n : 0;
        rc = next(&f, NULL);
        assert_true(rc == 1 || rc == -EAGAIN);
    }
    assert_int_equal(f.raw_bytes, sizeof(raw));
    assert_memory_equal(f.raw, raw, sizeof(raw));
    frame_reader_clear(&reader);
    assert_int_equal(reader.capacity, FRAME_KEEP_BYTES);
}

static void refuse(struct frame_head head, int rc, const char *sentence)
{
    struct err err = {""};
    struct frame f;

    put_head(head);
    assert_int_equal(next(&f, &err), rc);
    assert_non_null(strstr(err.text, sentence));
}

static void test_another_magic(void **state)
{
    struct frame_head head = good_head();

    (void)state;
    head.magic = 0x4b51;
    refuse(head, -EPROTO, "no frame");
}

static void test_another_version(void **state)
{
    struct frame_head head = good_head();

    (void)state;
    head.version = 2;
    refuse(head, -EPROTO, "version 2");
}

static void test_a_type_of_ours(void **state)
{
    struct frame_head head = good_head();

    (void)state;
    head.type = FRAME_JOB;
    refuse(head, -EPROTO, "type 3");
}

static void test_a_body_of_three_bytes(void **state)
{
    struct frame_head head = good_head();

    (void)state;
    head.bytes = 3;
    refuse(head, -EPROTO, "3 bytes");
}

static void test_a_huge_length_is_not_waited_for(void **state)
{
    struct frame_head head = good_head();

    (void)state;
    head.type = FRAME_ERROR;
    head.bytes = UINT32_MAX;
    refuse(head, -EPROTO, "too long");
}

static void test_a_result_above_the_limit(void **state)
{
    struct frame_head head = good_head();

    (void)state;
    head.bytes = sizeof(uint32_t) + FRAME_SAID_MAX + RESULT_MAX + 1;
    refuse(head, -EMSGSIZE, "");
}

static void test_a_part_above_the_limit(void **state)
{
    static char raw[FRAME_PART_MAX + 1];
    struct frame_opening o = frame_opening(FRAME_PART, 9, 0, sizeof(raw));
    struct err err;
    struct frame f;

    (void)state;
    put(&o, FRAME_OPENING_BYTES);
    put(raw, sizeof(raw));
    assert_int_equal(next(&f, &err), -EPROTO);
    assert_non_null(strstr(err.text, "49153"));
}

static void test_more_json_than_body(void **state)
{
    struct frame_opening o = frame_opening(FRAME_RESULT, 9, 0, 0);
    struct err err;
    struct frame f;

    (void)state;
    o.meta_bytes = 1;
    put(&o, FRAME_OPENING_BYTES);
    assert_int_equal(next(&f, &err), -EPROTO);
    assert_non_null(strstr(err.text, "1 bytes of JSON in a body of 4"));
}

static void test_the_end_of_the_stream(void **state)
{
    struct frame f;

    (void)state;
    put_frame(FRAME_RESULT, 2, "{}", "last breath");
    (void)shutdown(ends[1], SHUT_WR);
    assert_int_equal(next(&f, NULL), 1);
    assert_int_equal(next(&f, NULL), -EPIPE);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_an_opening_has_the_agreed_bytes),
        CASE(test_frames_are_split),
        CASE(test_a_frame_may_come_byte_by_byte),
        CASE(test_no_body_is_a_frame),
        CASE(test_a_large_result_is_collected),
        CASE(test_another_magic),
        CASE(test_another_version),
        CASE(test_a_type_of_ours),
        CASE(test_a_body_of_three_bytes),
        CASE(test_a_huge_length_is_not_waited_for),
        CASE(test_a_result_above_the_limit),
        CASE(test_a_part_above_the_limit),
        CASE(test_more_json_than_body),
        CASE(test_the_end_of_the_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
