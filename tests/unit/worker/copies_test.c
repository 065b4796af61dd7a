/* What a worker does with copies of programs; the zygote and the programs are played by the test. */
#include "worker/copies.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "ipc/chan.h"

enum { FRAMES, OTHER, ONCE, PROGRAMS };

static const struct program programs[PROGRAMS] = {
    [FRAMES] = {.name = "frames"},
    [OTHER] = {.name = "other"},
    [ONCE] = {.name = "once", .runs_once = true},
};

static struct registry registry;
static struct copies copies;
static int zygote;  /* its end of the spawn socket */
static int program; /* the end of the one that was lent last */
static int lent[16];
static size_t lent_count; /* the ends of all of them */

static int open_all(void **state)
{
    int ends[2];

    (void)state;
    registry.program_count = PROGRAMS;
    for (size_t i = 0; i < PROGRAMS; i++)
        registry.programs[i] = &programs[i];
    if (chan_pair(ends) < 0)
        return -1;
    zygote = ends[0];
    return copies_init(&copies, &registry, ends[1], 1 << 20);
}

static int close_all(void **state)
{
    (void)state;
    for (size_t i = 0; i < COPIES_HELD_MAX; i++) {
        if (copies.held[i].id != 0)
            copies_kill(&copies, &copies.held[i]);
    }
    frame_reader_release(&copies.in);
    while (lent_count > 0)
        (void)close(lent[--lent_count]);
    (void)close(copies.spawn_fd);
    return close(zygote);
}

/* ---- the zygote ---- */

/* The next frame of the worker's, which is of this type. */
static const void *heard(enum lend_type type, size_t bytes)
{
    static alignas(8) char frame[64];
    size_t fd_count;
    int fds[PROTO_FDS_MAX];
    ssize_t got = chan_recv(zygote, frame, sizeof(frame), fds, &fd_count, MSG_DONTWAIT);

    assert_true(got > 0);
    assert_non_null(chan_frame_exact(frame, (size_t)got, type, bytes));
    return frame;
}

static void heard_about(enum lend_type type, uint64_t id)
{
    const struct lend_copy *f = heard(type, sizeof(*f));

    assert_int_equal(f->id, id);
}

static void heard_nothing(void)
{
    char byte;

    assert_int_equal(recv(zygote, &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
}

static void heard_wish(uint32_t place)
{
    const struct lend_borrow *f = heard(LEND_BORROW, sizeof(*f));

    assert_int_equal(f->program, place);
}

static void tell(void *frame, size_t bytes, enum lend_type type, const int *fds, size_t fd_count)
{
    struct iovec iov = {.iov_base = frame, .iov_len = bytes};

    *(struct proto_head *)frame = chan_head((enum proto_type)type, bytes);
    assert_int_equal(chan_send(zygote, &iov, 1, fds, fd_count, MSG_DONTWAIT), 0);
}

static void lend(struct lend_lent f)
{
    int ends[2], fds[LEND_FD_COUNT];

    assert_true(lent_count < ARRAY_SIZE(lent));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    program = lent[lent_count++] = ends[0];
    fds[LEND_SOCKET] = ends[1];
    fds[LEND_OUT] = open("/dev/null", O_RDWR | O_CLOEXEC);
    fds[LEND_ERR] = dup(fds[LEND_OUT]);
    f.pid = getpid();
    tell(&f, sizeof(f), LEND_LENT, fds, LEND_FD_COUNT);
    chan_close_fds(fds, LEND_FD_COUNT);
}

static void tell_died(uint64_t id, int status)
{
    struct lend_died f = {.id = id, .status = status, .cpu_ns = 7000};

    tell(&f, sizeof(f), LEND_DIED, NULL, 0);
}

static void tell_forgotten(void)
{
    struct lend_plain f = {0};

    tell(&f, sizeof(f), LEND_FORGOTTEN, NULL, 0);
}

/* ---- the worker ---- */

static void ignore_line(void *arg, const char *line)
{
    (void)arg, (void)line;
}

static void listen_up(struct copy *copy)
{
    copies_wait(&copies, copy, 1000, ignore_line, NULL);
}

/* One that the worker wished for. */
static struct copy *borrowed(uint32_t place, struct lend_lent f)
{
    struct copy *copy;

    copies_wish(&copies, place);
    heard_wish(place);
    lend(f);
    listen_up(NULL);
    copy = copies_granted(&copies);
    assert_non_null(copy);
    assert_int_equal(copy->id, f.id);
    return copy;
}

#define READY(number, keep)                                                                        \
    ((struct lend_lent) {.id = (number), .is_greeted = 1, .is_ready = 1, .may_keep = (keep)})

/* ---- tests ---- */

static void a_wish_is_open_until_it_is_granted(void **state)
{
    struct copy *copy;

    (void)state;
    assert_null(copies_held(&copies, FRAMES));
    copies_wish(&copies, FRAMES);
    heard_wish(FRAMES);
    copies_wait(&copies, NULL, 0, ignore_line, NULL);
    assert_null(copies_granted(&copies));
    assert_true(copies.has_wish);
    lend(READY(5, 1));
    listen_up(NULL);
    copy = copies_granted(&copies);
    assert_non_null(copy);
    assert_ptr_equal(copy->program, &programs[FRAMES]);
    assert_int_equal(copy->talk.state, TALK_IDLE);
    assert_false(copies.has_wish);
}

static void a_wish_may_be_refused(void **state)
{
    struct lend_refused f = {.error = EAGAIN};

    (void)state;
    copies_wish(&copies, FRAMES);
    tell(&f, sizeof(f), LEND_REFUSED, NULL, 0);
    listen_up(NULL);
    assert_null(copies_granted(&copies));
    assert_int_equal(copies.refused, EAGAIN);
    assert_false(copies.has_wish);
}

static void only_who_has_not_been_greeted_is(void **state)
{
    char byte;

    (void)state;
    (void)borrowed(FRAMES, READY(5, 1));
    assert_int_equal(recv(program, &byte, 1, MSG_DONTWAIT), -1);
    (void)borrowed(OTHER, (struct lend_lent) {.id = 6, .may_keep = 1});
    assert_int_equal(recv(program, &byte, 1, MSG_DONTWAIT), 1);
}

static void one_that_may_be_kept_is(void **state)
{
    struct copy *copy = borrowed(FRAMES, READY(5, 1));

    (void)state;
    copies_release(&copies, copy);
    assert_ptr_equal(copies_held(&copies, FRAMES), copy);
    assert_null(copies_held(&copies, OTHER));
    heard_nothing();
}

static void any_other_is_given_back(void **state)
{
    (void)state;
    copies_release(&copies, borrowed(FRAMES, READY(5, 0)));
    heard_about(LEND_RETURN, 5);
    assert_null(copies_held(&copies, FRAMES));
}

static void one_in_the_middle_of_a_job_is_killed(void **state)
{
    struct copy *copy = borrowed(FRAMES, READY(5, 1));
    struct iovec json = {.iov_base = (void *)(uintptr_t) "{}", .iov_len = 2};

    (void)state;
    assert_int_equal(talk_job(&copy->talk, 77, &json, 1), 0);
    copies_release(&copies, copy);
    heard_about(LEND_KILL, 5);
    assert_null(copies_held(&copies, FRAMES));
}

static void one_that_speaks_unasked_is_replaced(void **state)
{
    copies_release(&copies, borrowed(FRAMES, READY(5, 1)));
    (void)state;
    assert_int_equal(send(program, "x", 1, 0), 1);
    assert_null(copies_held(&copies, FRAMES));
    heard_about(LEND_KILL, 5);
}

static void one_that_has_died_is_not_killed_again(void **state)
{
    struct copy *copy = borrowed(FRAMES, READY(5, 1));

    (void)state;
    tell_died(4, 9); /* somebody whom we do not have any more */
    tell_died(5, 256);
    listen_up(copy);
    assert_true(copy->has_died);
    assert_int_equal(copy->status, 256);
    copy->cpu_ns = 3000;
    assert_int_equal(copies_take_cpu_ns(copy), 4000);
    assert_int_equal(copies_take_cpu_ns(copy), 0);
    copies_release(&copies, copy);
    assert_null(copies_held(&copies, FRAMES));
    heard_nothing();
}

static void the_one_not_used_for_longest_makes_room(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < COPIES_HELD_MAX; i++)
        copies_release(&copies, borrowed(i == 1 ? OTHER : FRAMES, READY(10 + i, 1)));
    assert_non_null(copies_held(&copies, FRAMES)); /* the first is used again */
    (void)borrowed(ONCE, (struct lend_lent) {.id = 99});
    heard_about(LEND_DISMISS, 11);
    heard_nothing();
    assert_null(copies_held(&copies, OTHER));
}

static void a_wish_may_be_forgotten(void **state)
{
    (void)state;
    copies_wish(&copies, FRAMES);
    heard_wish(FRAMES);
    tell_forgotten();
    copies_forget(&copies);
    (void)heard(LEND_FORGET, sizeof(struct lend_plain));
    assert_false(copies.has_wish);
    assert_null(copies_held(&copies, FRAMES));
}

/* It was on its way when it was not wanted any more. */
static void what_comes_all_the_same_is_put_to_good_use(void **state)
{
    (void)state;
    copies_wish(&copies, FRAMES);
    lend(READY(5, 1));
    copies_forget(&copies);
    assert_non_null(copies_held(&copies, FRAMES));
    copies_wish(&copies, OTHER);
    lend(READY(6, 0));
    copies_forget(&copies);
    copies_wish(&copies, ONCE);
    lend((struct lend_lent) {.id = 7});
    copies_forget(&copies);
    heard_wish(FRAMES);
    (void)heard(LEND_FORGET, sizeof(struct lend_plain));
    heard_wish(OTHER);
    (void)heard(LEND_FORGET, sizeof(struct lend_plain));
    heard_about(LEND_RETURN, 6);
    heard_wish(ONCE);
    (void)heard(LEND_FORGET, sizeof(struct lend_plain));
    heard_about(LEND_KILL, 7);
}

/* How a worker ends that hears what the zygote has said. */
static int end_of_a_listener(void)
{
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0) {
        copies_wait(&copies, NULL, 1000, ignore_line, NULL);
        _exit(1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void a_worker_ends_with_its_zygote(void **state)
{
    (void)state;
    assert_int_equal(shutdown(zygote, SHUT_WR), 0);
    assert_int_equal(end_of_a_listener(), PROTO_EXIT_RETIRED);
}

static void a_copy_that_was_not_wished_for_makes_no_sense(void **state)
{
    (void)state;
    lend(READY(5, 1));
    assert_int_equal(end_of_a_listener(), PROTO_EXIT_SETUP);
}

static void a_copy_without_its_descriptors_makes_no_sense(void **state)
{
    struct lend_lent f = READY(5, 1);

    (void)state;
    copies_wish(&copies, FRAMES);
    tell(&f, sizeof(f), LEND_LENT, NULL, 0);
    assert_int_equal(end_of_a_listener(), PROTO_EXIT_SETUP);
}

#define WITH_ALL(test) cmocka_unit_test_setup_teardown(test, open_all, close_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_ALL(a_wish_is_open_until_it_is_granted),
        WITH_ALL(a_wish_may_be_refused),
        WITH_ALL(only_who_has_not_been_greeted_is),
        WITH_ALL(one_that_may_be_kept_is),
        WITH_ALL(any_other_is_given_back),
        WITH_ALL(one_in_the_middle_of_a_job_is_killed),
        WITH_ALL(one_that_speaks_unasked_is_replaced),
        WITH_ALL(one_that_has_died_is_not_killed_again),
        WITH_ALL(the_one_not_used_for_longest_makes_room),
        WITH_ALL(a_wish_may_be_forgotten),
        WITH_ALL(what_comes_all_the_same_is_put_to_good_use),
        WITH_ALL(a_worker_ends_with_its_zygote),
        WITH_ALL(a_copy_that_was_not_wished_for_makes_no_sense),
        WITH_ALL(a_copy_without_its_descriptors_makes_no_sense),
    };
    log_init("test", LOG_LEVEL_COUNT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
