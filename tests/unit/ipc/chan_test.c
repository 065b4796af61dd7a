#include "ipc/chan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/clock.h"

/* fds[0] and fds[1] of a pair; a test may close one and set it to -1. */
static int fds[2];
static size_t open_before;

static size_t open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    size_t n = 0;

    assert_non_null(dir);
    while (readdir(dir) != NULL)
        n++;
    (void)closedir(dir);
    return n;
}

static int set_up(void **state)
{
    (void)state;
    open_before = open_fds();
    return chan_pair(fds);
}

static void close_end(int i)
{
    if (fds[i] >= 0)
        (void)close(fds[i]);
    fds[i] = -1;
}

static int tear_down(void **state)
{
    (void)state;
    close_end(0);
    close_end(1);
    return open_fds() == open_before ? 0 : -1;
}

static const struct proto_ack ack = {.head = {.type = PROTO_ACK, .bytes = sizeof(ack)}};

/* Bytes as a hostile peer would send them, with `fd_count` descriptors. */
static void send_raw(const void *data, size_t bytes, size_t fd_count)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * 100)];
        struct cmsghdr align;
    } control = {0};
    struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = bytes};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

    if (fd_count > 0) {
        struct cmsghdr *c;
        msg.msg_control = control.bytes;
        msg.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        for (size_t i = 0; i < fd_count; i++)
            memcpy(CMSG_DATA(c) + i * sizeof(int), &fds[0], sizeof(int));
    }
    assert_int_equal(sendmsg(fds[0], &msg, 0), bytes);
}

static ssize_t receive(void *out, size_t capacity)
{
    return chan_recv(fds[1], out, capacity, NULL, NULL, MSG_DONTWAIT);
}

static void both_ends_close_on_exec(void **state)
{
    (void)state;
    assert_true(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
    assert_true(fcntl(fds[1], F_GETFD) & FD_CLOEXEC);
}

static void a_frame_arrives_as_it_was_sent(void **state)
{
    struct proto_ready sent = {.head = chan_head(PROTO_READY, sizeof(sent)), .kernel_count = 7};
    char got[PROTO_FRAME_MAX];

    (void)state;
    assert_int_equal(chan_send_struct(fds[0], &sent, sizeof(sent), 0), 0);
    assert_int_equal(receive(got, sizeof(got)), sizeof(sent));
    assert_memory_equal(got, &sent, sizeof(sent));
}

static void pieces_are_gathered_into_one_frame(void **state)
{
    struct proto_head head = chan_head(PROTO_KERNEL, sizeof(head) + 6);
    char abc[] = "abc", def[] = "def", got[64];
    struct iovec iov[] = {{&head, sizeof(head)}, {abc, 3}, {def, 3}};

    (void)state;
    assert_int_equal(chan_send(fds[0], iov, 3, NULL, 0, 0), 0);
    assert_int_equal(receive(got, sizeof(got)), sizeof(head) + 6);
    assert_memory_equal(got + sizeof(head), "abcdef", 6);
}

static void frames_keep_their_bounds(void **state)
{
    char got[64];

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(chan_send_struct(fds[0], &ack, sizeof(ack), 0), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(receive(got, sizeof(got)), sizeof(ack));
    assert_int_equal(receive(got, sizeof(got)), -EAGAIN);
}

static void the_largest_frame_passes(void **state)
{
    static char frame[PROTO_FRAME_MAX], got[PROTO_FRAME_MAX];
    struct proto_head head = chan_head(PROTO_TASK, sizeof(frame));

    (void)state;
    memcpy(frame, &head, sizeof(head));
    assert_int_equal(chan_send_struct(fds[0], frame, sizeof(frame), 0), 0);
    assert_int_equal(receive(got, sizeof(got)), sizeof(got));
}

static void a_head_that_lies_breaks_the_rules(void **state)
{
    const uint32_t lies[] = {0, 7, 9, UINT32_MAX};
    char got[64];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(lies); i++) {
        struct proto_head head = {.type = PROTO_ACK, .bytes = lies[i]};
        send_raw(&head, sizeof(head), 0);
        assert_int_equal(receive(got, sizeof(got)), -EPROTO);
    }
}

static void less_than_a_head_breaks_the_rules(void **state)
{
    char got[64];

    (void)state;
    for (size_t n = 1; n < sizeof(struct proto_head); n++) {
        send_raw(&ack, n, 0);
        assert_int_equal(receive(got, sizeof(got)), -EPROTO);
    }
}

static void a_frame_that_does_not_fit_breaks_the_rules(void **state)
{
    struct proto_hello hello = {.head = chan_head(PROTO_HELLO, sizeof(hello))};
    char got[sizeof(hello)];

    (void)state;
    send_raw(&hello, sizeof(hello), 0);
    memset(got, 'x', sizeof(got));
    assert_int_equal(receive(got, sizeof(got) - 1), -EPROTO);
    assert_int_equal(got[sizeof(got) - 1], 'x');
}

static void descriptors_arrive_and_close_on_exec(void **state)
{
    struct iovec iov = {(void *)(uintptr_t)&ack, sizeof(ack)};
    int sent[PROTO_FDS_MAX], got_fds[PROTO_FDS_MAX];
    size_t count = 0;
    char got[64];

    (void)state;
    for (size_t i = 0; i < PROTO_FDS_MAX; i++)
        sent[i] = fds[0];
    assert_int_equal(chan_send(fds[0], &iov, 1, sent, PROTO_FDS_MAX, 0), 0);
    assert_int_equal(chan_recv(fds[1], got, sizeof(got), got_fds, &count, 0), sizeof(ack));
    assert_int_equal(count, PROTO_FDS_MAX);
    for (size_t i = 0; i < count; i++) {
        assert_true(fcntl(got_fds[i], F_GETFD) & FD_CLOEXEC);
        assert_int_equal(chan_send_struct(got_fds[i], &ack, sizeof(ack), 0), 0);
        assert_int_equal(receive(got, sizeof(got)), sizeof(ack));
    }
    chan_close_fds(got_fds, count);
}

static void a_frame_without_descriptors_says_none(void **state)
{
    int got_fds[PROTO_FDS_MAX];
    size_t count = 99;
    char got[64];

    (void)state;
    send_raw(&ack, sizeof(ack), 0);
    assert_int_equal(chan_recv(fds[1], got, sizeof(got), got_fds, &count, 0), sizeof(ack));
    assert_int_equal(count, 0);
}

/* What tear_down looks at too: nothing that came may stay open. */
static void assert_refused_with_fds(const void *data, size_t bytes, size_t fd_count)
{
    int got_fds[PROTO_FDS_MAX];
    size_t count = 99, before = open_fds();
    char got[64];

    send_raw(data, bytes, fd_count);
    assert_int_equal(chan_recv(fds[1], got, sizeof(got), got_fds, &count, 0), -EPROTO);
    assert_int_equal(count, 99);
    assert_int_equal(open_fds(), before);
}

static void too_many_descriptors_are_closed(void **state)
{
    (void)state;
    assert_refused_with_fds(&ack, sizeof(ack), PROTO_FDS_MAX + 1);
    assert_refused_with_fds(&ack, sizeof(ack), PROTO_FDS_MAX + 2);
    assert_refused_with_fds(&ack, sizeof(ack), 100);
}

static void descriptors_of_a_bad_frame_are_closed(void **state)
{
    (void)state;
    assert_refused_with_fds("x", 1, 3);
    assert_refused_with_fds("", 0, 3);
}

static void descriptors_nobody_asked_for_are_closed(void **state)
{
    size_t before = open_fds();
    char got[64];

    (void)state;
    send_raw(&ack, sizeof(ack), 2);
    assert_int_equal(receive(got, sizeof(got)), -EPROTO);
    assert_int_equal(open_fds(), before);
}

static void a_closed_peer_is_the_end(void **state)
{
    char got[64];

    (void)state;
    close_end(0);
    assert_int_equal(receive(got, sizeof(got)), 0);
    assert_int_equal(receive(got, sizeof(got)), 0);
}

static void an_answer_outlives_a_peer_that_did_not_listen(void **state)
{
    char got[64];

    (void)state;
    assert_int_equal(chan_send_struct(fds[1], &ack, sizeof(ack), 0), 0);
    assert_int_equal(chan_send_struct(fds[0], &ack, sizeof(ack), 0), 0);
    close_end(0);
    assert_int_equal(receive(got, sizeof(got)), sizeof(ack));
    assert_int_equal(receive(got, sizeof(got)), 0);
}

static void sending_to_nobody_is_a_broken_pipe(void **state)
{
    (void)state;
    close_end(0);
    assert_int_equal(chan_send_struct(fds[1], &ack, sizeof(ack), 0), -EPIPE);
}

static void sending_to_one_who_left_unread_frames_is_a_broken_pipe(void **state)
{
    (void)state;
    assert_int_equal(chan_send_struct(fds[1], &ack, sizeof(ack), 0), 0);
    close_end(0);
    assert_int_equal(chan_send_struct(fds[1], &ack, sizeof(ack), 0), -EPIPE);
}

static void a_slow_peer_is_try_again(void **state)
{
    int rc = 0;

    (void)state;
    for (int i = 0; i < 1000000 && rc == 0; i++)
        rc = chan_send_struct(fds[0], &ack, sizeof(ack), MSG_DONTWAIT);
    assert_int_equal(rc, -EAGAIN);
}

static void waiting_ends_at_the_deadline(void **state)
{
    uint64_t deadline = clock_now_ns() + 20 * CLOCK_NS_PER_MS;
    char got[64];

    (void)state;
    assert_int_equal(chan_recv_until(fds[1], got, sizeof(got), deadline), -ETIMEDOUT);
    assert_true(clock_now_ns() >= deadline);
}

static void what_is_there_is_read_even_after_the_deadline(void **state)
{
    char got[64];

    (void)state;
    send_raw(&ack, sizeof(ack), 0);
    assert_int_equal(chan_recv_until(fds[1], got, sizeof(got), 1), sizeof(ack));
}

static void *send_later(void *arg)
{
    struct timespec t = {.tv_nsec = 10 * 1000 * 1000};

    (void)arg;
    (void)nanosleep(&t, NULL);
    (void)chan_send_struct(fds[0], &ack, sizeof(ack), 0);
    return NULL;
}

static void waiting_sees_what_comes(void **state)
{
    pthread_t thread;
    char got[64];

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, send_later, NULL), 0);
    assert_int_equal(chan_recv_until(fds[1], got, sizeof(got), CLOCK_NEVER), sizeof(ack));
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static void a_frame_is_of_its_type_and_length(void **state)
{
    (void)state;
    assert_ptr_equal(chan_frame(&ack, 8, PROTO_ACK, 8), &ack);
    assert_ptr_equal(chan_frame(&ack, 8, PROTO_ACK, 7), &ack);
    assert_null(chan_frame(&ack, 8, PROTO_TASK, 8));
    assert_null(chan_frame(&ack, 8, PROTO_ACK, 9));
    assert_ptr_equal(chan_frame_exact(&ack, 8, PROTO_ACK, 8), &ack);
    assert_null(chan_frame_exact(&ack, 9, PROTO_ACK, 8));
    assert_null(chan_frame_exact(&ack, 8, PROTO_TASK, 8));
}

static void random_messages_break_nothing(void **state)
{
    (void)state;
    srand(6);
    for (int i = 0; i < 5000; i++) {
        uint32_t words[32], n = 1 + (uint32_t)rand() % sizeof(words);
        char got[64];
        for (size_t w = 0; w < ARRAY_SIZE(words); w++)
            words[w] = (uint32_t)rand() % 130;
        send_raw(words, n, (size_t)(rand() % 3));
        if (receive(got, sizeof(got)) != -EPROTO)
            assert_true(words[1] == n && n <= sizeof(got));
    }
}

#define CHAN_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CHAN_TEST(both_ends_close_on_exec),
        CHAN_TEST(a_frame_arrives_as_it_was_sent),
        CHAN_TEST(pieces_are_gathered_into_one_frame),
        CHAN_TEST(frames_keep_their_bounds),
        CHAN_TEST(the_largest_frame_passes),
        CHAN_TEST(a_head_that_lies_breaks_the_rules),
        CHAN_TEST(less_than_a_head_breaks_the_rules),
        CHAN_TEST(a_frame_that_does_not_fit_breaks_the_rules),
        CHAN_TEST(descriptors_arrive_and_close_on_exec),
        CHAN_TEST(a_frame_without_descriptors_says_none),
        CHAN_TEST(too_many_descriptors_are_closed),
        CHAN_TEST(descriptors_of_a_bad_frame_are_closed),
        CHAN_TEST(descriptors_nobody_asked_for_are_closed),
        CHAN_TEST(a_closed_peer_is_the_end),
        CHAN_TEST(an_answer_outlives_a_peer_that_did_not_listen),
        CHAN_TEST(sending_to_nobody_is_a_broken_pipe),
        CHAN_TEST(sending_to_one_who_left_unread_frames_is_a_broken_pipe),
        CHAN_TEST(a_slow_peer_is_try_again),
        CHAN_TEST(waiting_ends_at_the_deadline),
        CHAN_TEST(what_is_there_is_read_even_after_the_deadline),
        CHAN_TEST(waiting_sees_what_comes),
        CHAN_TEST(a_frame_is_of_its_type_and_length),
        CHAN_TEST(random_messages_break_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
