#include "prong_end.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>

#include "base/err.h"
#include "host/link.h"

static struct err err;

static void frames_come_whole(void **state)
{
    struct prong_end end = prong_end_open();
    struct link l;
    struct frame f;

    (void)state;
    link_init(&l, end.other);
    prong_end_send(&end, FRAME_JOB, 77, "{\"a\":1}", "raw\0bytes", 9);
    prong_end_send(&end, FRAME_PING, 0, "", "", 0);
    assert_int_equal(link_receive(&l, &f, &err), 0);
    assert_int_equal(f.type, FRAME_JOB);
    assert_int_equal(f.job, 77);
    assert_string_equal(f.meta, "{\"a\":1}");
    assert_int_equal(f.meta_bytes, 7);
    assert_int_equal(f.raw_bytes, 9);
    assert_memory_equal(f.raw, "raw\0bytes", 10); /* with its NUL */
    assert_int_equal((uintptr_t)f.raw % 64, 0);
    assert_int_equal(link_receive(&l, &f, &err), 0);
    assert_int_equal(f.type, FRAME_PING);
    assert_int_equal(f.raw_bytes, 0);
    link_release(&l);
    prong_end_close(&end);
}

static void a_body_may_be_missing(void **state)
{
    struct prong_end end = prong_end_open();
    struct frame_head head = {.magic = FRAME_MAGIC, .version = FRAME_VERSION, .type = FRAME_QUIET};
    struct link l;
    struct frame f;

    (void)state;
    link_init(&l, end.other);
    prong_end_write(&end, &head, sizeof(head));
    assert_int_equal(link_receive(&l, &f, &err), 0);
    assert_int_equal(f.type, FRAME_QUIET);
    assert_int_equal(f.meta_bytes + f.raw_bytes, 0);
    link_release(&l);
    prong_end_close(&end);
}

/* What comes of this head and meta size. */
static int receive_odd(struct frame_head head, uint32_t meta_bytes)
{
    struct prong_end end = prong_end_open();
    struct link l;
    struct frame f;
    int rc;

    link_init(&l, end.other);
    prong_end_write(&end, &head, sizeof(head));
    prong_end_write(&end, &meta_bytes, sizeof(meta_bytes));
    (void)close(end.fd);
    end.fd = -1;
    rc = link_receive(&l, &f, &err);
    link_release(&l);
    prong_end_close(&end);
    return rc;
}

static void what_is_no_frame_is_refused(void **state)
{
    const struct frame_head good = {
        .magic = FRAME_MAGIC, .version = FRAME_VERSION, .type = FRAME_PING, .bytes = 4};
    struct frame_head h;

    (void)state;
    assert_int_equal(receive_odd(good, 0), 0);
    h = good, h.magic = 0x5050;
    assert_int_equal(receive_odd(h, 0), -EPROTO);
    h = good, h.version = 2;
    assert_int_equal(receive_odd(h, 0), -EPROTO);
    h = good, h.type = FRAME_READY;
    assert_int_equal(receive_odd(h, 0), -EPROTO);
    h = good, h.type = 0;
    assert_int_equal(receive_odd(h, 0), -EPROTO);
    h = good, h.bytes = 3;
    assert_int_equal(receive_odd(h, 0), -EPROTO);
    h = good, h.bytes = FRAME_BODY_MAX + 1;
    assert_int_equal(receive_odd(h, 0), -EPROTO);
    assert_int_equal(receive_odd(good, 1), -EPROTO);
    h = good, h.bytes = FRAME_BODY_MAX;
    assert_int_equal(receive_odd(h, FRAME_META_MAX + 1), -EPROTO);
}

static void the_end_is_the_end(void **state)
{
    const struct frame_head begun = {
        .magic = FRAME_MAGIC, .version = FRAME_VERSION, .type = FRAME_JOB, .bytes = 100};
    struct prong_end end = prong_end_open();
    struct link l;
    struct frame f;

    (void)state;
    assert_int_equal(receive_odd(begun, 20), -EPIPE); /* within a frame */
    link_init(&l, end.other);
    (void)close(end.fd);
    end.fd = -1;
    assert_int_equal(link_receive(&l, &f, &err), -EPIPE);
    assert_int_equal(link_send(&l, FRAME_PONG, 0, "", "", 0), -EPIPE);
    link_release(&l);
    prong_end_close(&end);
}

static void only_its_own_cancel_cancels(void **state)
{
    struct prong_end end = prong_end_open();
    struct link l;
    struct frame f;

    (void)state;
    link_init(&l, end.other);
    prong_end_send(&end, FRAME_JOB, 5, "{}", "input", 5);
    assert_int_equal(link_receive(&l, &f, &err), 0);
    assert_false(link_is_cancelled(&l, 5)); /* nothing has come */
    prong_end_send(&end, FRAME_CANCEL, 4, "", "", 0);
    assert_false(link_is_cancelled(&l, 5));
    prong_end_send(&end, FRAME_CANCEL, 5, "{\"why\":\"late\"}", "", 0);
    assert_true(link_is_cancelled(&l, 5));
    assert_memory_equal(f.raw, "input", 5); /* the job's own frame is as it was */
    assert_false(link_is_cancelled(&l, 5)); /* it was taken */
    prong_end_send(&end, FRAME_PING, 0, "", "", 0);
    prong_end_send(&end, FRAME_CANCEL, 5, "", "", 0);
    assert_false(link_is_cancelled(&l, 5)); /* what is not its own stays */
    assert_int_equal(link_receive(&l, &f, &err), 0);
    assert_int_equal(f.type, FRAME_PING);
    assert_true(link_is_cancelled(&l, 5));
    prong_end_write(&end, "PK", 2);
    assert_false(link_is_cancelled(&l, 5)); /* not a whole head yet */
    link_release(&l);
    prong_end_close(&end);
}

static void a_closed_socket_cancels(void **state)
{
    struct prong_end end = prong_end_open();
    struct link l;

    (void)state;
    link_init(&l, end.other);
    (void)close(end.fd);
    end.fd = -1;
    assert_true(link_is_cancelled(&l, 5));
    link_release(&l);
    prong_end_close(&end);
}

/* Much more than a socket holds, to one who reads while it is sent, on a socket that does not wait. */
static void large_frames_are_sent_whole(void **state)
{
    enum { BYTES = 5 << 20 };
    struct prong_end end = prong_end_open();
    char *raw = malloc(BYTES);
    struct link l;
    int status;
    pid_t pid;

    (void)state;
    for (size_t i = 0; i < BYTES; i++)
        raw[i] = (char)(i * 7 >> 3);
    assert_int_equal(fcntl(end.other, F_SETFL, O_NONBLOCK), 0);
    pid = fork();
    if (pid == 0) {
        link_init(&l, end.other);
        _exit(link_send(&l, FRAME_RESULT, 9, "{\"media_type\":\"a/b\"}", raw, BYTES) == 0 ? 0 : 1);
    }
    struct prong_end_frame f = prong_end_receive(&end);

    assert_int_equal(f.head.type, FRAME_RESULT);
    assert_string_equal(f.meta, "{\"media_type\":\"a/b\"}");
    assert_int_equal(f.raw_bytes, BYTES);
    assert_memory_equal(f.raw, raw, BYTES);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    prong_end_release(&f);
    free(raw);
    prong_end_close(&end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_come_whole),           cmocka_unit_test(a_body_may_be_missing),
        cmocka_unit_test(what_is_no_frame_is_refused), cmocka_unit_test(the_end_is_the_end),
        cmocka_unit_test(only_its_own_cancel_cancels), cmocka_unit_test(a_closed_socket_cancels),
        cmocka_unit_test(large_frames_are_sent_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
