/* The table of copies: who gets which, and what becomes of it; processes and programs are invented. */
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
#include <signal.h>
#include <sys/wait.h>

#include "ipc/chan.h"
#include "zygote/programs.h"
#include "zygote/spawn.h"

enum { FREE, LIMITED, ONCE, PROGRAMS, WORKERS = 4 };

static const struct program programs[PROGRAMS] = {
    [FREE] = {.name = "free"},
    [LIMITED] = {.name = "limited", .copies = 1},
    [ONCE] = {.name = "once", .runs_once = true, .copies = 2},
};

static struct registry registry;
static struct programs table;
static int workers[WORKERS]; /* their ends */
static pid_t started[64];
static size_t started_count;
static int refuse_with;

static void wait_for_ever(void *arg)
{
    (void)arg;
    for (;;)
        (void)pause();
}

/* A real process, for it is going to be killed; it speaks no word. */
static pid_t start(void *arg, uint32_t place, int ret_fds[LEND_FD_COUNT])
{
    assert_null(arg);
    assert_in_range(place, 0, PROGRAMS - 1);
    if (refuse_with != 0)
        return -refuse_with;
    for (int i = 0; i < LEND_FD_COUNT; i++)
        ret_fds[i] = dup(STDERR_FILENO);
    started[started_count] = spawn_child(wait_for_ever, NULL);
    assert_true(started[started_count] > 0);
    return started[started_count++];
}

static int open_all(void **state)
{
    (void)state;
    registry.program_count = 0;
    started_count = 0;
    refuse_with = 0;
    for (int i = 0; i < PROGRAMS; i++)
        assert_int_equal(registry_add_program(&registry, &programs[i]), i);
    programs_init(&table, &registry, start, NULL);
    for (uint32_t i = 0; i < WORKERS; i++) {
        int pair[2];
        assert_int_equal(chan_pair(pair), 0);
        workers[i] = pair[1];
        programs_add_worker(&table, i, pair[0]);
    }
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    programs_kill_all(&table);
    for (size_t i = 0; i < started_count; i++) {
        (void)kill(started[i], SIGKILL);
        (void)waitpid(started[i], NULL, 0);
    }
    for (uint32_t i = 0; i < WORKERS; i++) {
        programs_worker_gone(&table, i, SIGKILL);
        check_close_fd(&workers[i]);
    }
    return 0;
}

/* ---- what workers say, and hear ---- */

static int say(uint32_t slot, const void *frame, size_t bytes)
{
    assert_int_equal(chan_send_struct(workers[slot], frame, bytes, 0), 0);
    return programs_receive(&table, slot);
}

static int borrow(uint32_t slot, uint32_t program)
{
    struct lend_borrow f = {.head = chan_head((enum proto_type)LEND_BORROW, sizeof(f)),
                            .program = program};

    return say(slot, &f, sizeof(f));
}

static int about(uint32_t slot, enum lend_type type, uint64_t id)
{
    struct lend_copy f = {
        .head = chan_head((enum proto_type)type, sizeof(f)), .id = id, .is_ready = 1};

    return say(slot, &f, sizeof(f));
}

static int forget(uint32_t slot)
{
    struct lend_plain f = {.head = chan_head((enum proto_type)LEND_FORGET, sizeof(f))};

    return say(slot, &f, sizeof(f));
}

static uint32_t heard_type;
static size_t heard_fds;
static union {
    struct proto_head head;
    struct lend_lent lent;
    struct lend_refused refused;
    struct lend_died died;
} heard;

/* False when there is nothing to hear. */
static bool hear(uint32_t slot)
{
    int fds[PROTO_FDS_MAX];
    ssize_t n = chan_recv(workers[slot], &heard, sizeof(heard), fds, &heard_fds, MSG_DONTWAIT);

    if (n == -EAGAIN)
        return false;
    assert_true(n > 0);
    chan_close_fds(fds, heard_fds);
    heard_type = heard.head.type;
    return true;
}

static uint64_t expect_lent(uint32_t slot)
{
    assert_true(hear(slot));
    assert_int_equal(heard_type, LEND_LENT);
    return heard.lent.id;
}

static void end(size_t i)
{
    struct reaped child = {.pid = started[i], .status = SIGSEGV};

    assert_true(programs_reaped(&table, &child));
}

/* ---- tests ---- */

static void test_each_worker_keeps_its_own(void **state)
{
    uint64_t first, second;

    (void)state;
    assert_int_equal(borrow(0, FREE), 0);
    first = expect_lent(0);
    assert_int_equal(heard_fds, LEND_FD_COUNT);
    assert_true(heard.lent.may_keep);
    assert_false(heard.lent.is_ready);
    assert_false(heard.lent.is_greeted);
    assert_int_equal(borrow(1, FREE), 0);
    second = expect_lent(1);
    assert_int_not_equal(first, second);
    assert_int_equal(started_count, 2);
}

static void test_a_limited_one_goes_from_hand_to_hand(void **state)
{
    uint64_t id;

    (void)state;
    assert_int_equal(borrow(0, LIMITED), 0);
    id = expect_lent(0);
    assert_false(heard.lent.may_keep);
    assert_int_equal(borrow(1, LIMITED), 0);
    assert_int_equal(borrow(2, LIMITED), 0);
    assert_false(hear(1));
    assert_int_equal(about(0, LEND_RETURN, id), 0);
    assert_int_equal(expect_lent(1), id);
    assert_true(heard.lent.is_ready);
    assert_true(heard.lent.is_greeted);
    assert_false(hear(2));
    assert_int_equal(about(1, LEND_RETURN, id), 0);
    assert_int_equal(expect_lent(2), id);
    assert_int_equal(started_count, 1);
}

static void test_who_waits_gets_a_new_one_when_it_dies(void **state)
{
    uint64_t id;

    (void)state;
    assert_int_equal(borrow(0, LIMITED), 0);
    id = expect_lent(0);
    assert_int_equal(borrow(1, LIMITED), 0);
    end(0);
    assert_true(hear(0));
    assert_int_equal(heard_type, LEND_DIED);
    assert_int_equal(heard.died.id, id);
    assert_int_equal(heard.died.status, SIGSEGV);
    assert_int_not_equal(expect_lent(1), id);
    assert_int_equal(started_count, 2);
}

static void test_a_wish_is_forgotten(void **state)
{
    uint64_t id;

    (void)state;
    assert_int_equal(borrow(0, LIMITED), 0);
    id = expect_lent(0);
    assert_int_equal(borrow(1, LIMITED), 0);
    assert_int_equal(forget(1), 0);
    assert_true(hear(1));
    assert_int_equal(heard_type, LEND_FORGOTTEN);
    assert_int_equal(about(0, LEND_RETURN, id), 0);
    assert_false(hear(1));
    /* One that is granted already is no mistake, and not answered twice. */
    assert_int_equal(borrow(1, LIMITED), 0);
    assert_int_equal(forget(1), 0);
    assert_int_equal(expect_lent(1), id);
    assert_false(hear(1));
}

static void test_what_cannot_be_started_is_refused(void **state)
{
    (void)state;
    refuse_with = ENOMEM;
    assert_int_equal(borrow(0, FREE), 0);
    assert_true(hear(0));
    assert_int_equal(heard_type, LEND_REFUSED);
    assert_int_equal(heard.refused.error, ENOMEM);
    refuse_with = 0;
    assert_int_equal(borrow(0, FREE), 0);
    (void)expect_lent(0);
}

static void test_one_that_runs_once_is_never_lent_again(void **state)
{
    (void)state;
    assert_int_equal(borrow(0, ONCE), 0);
    (void)expect_lent(0);
    assert_int_equal(heard_fds, LEND_FD_COUNT);
    assert_int_equal(borrow(1, ONCE), 0);
    (void)expect_lent(1);
    assert_int_equal(borrow(2, ONCE), 0);
    assert_false(hear(2));
    end(0);
    (void)expect_lent(2);
    assert_int_equal(started_count, 3);
}

static void test_killing(void **state)
{
    siginfo_t info;
    uint64_t id;

    (void)state;
    assert_int_equal(borrow(0, FREE), 0);
    id = expect_lent(0);
    assert_int_equal(about(0, LEND_KILL, id), 0);
    assert_int_equal(waitid(P_PID, (id_t)started[0], &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(info.si_status, SIGKILL);
    end(0);
    assert_true(hear(0));
    assert_int_equal(heard_type, LEND_DIED);
    /* It was on the way. */
    assert_int_equal(about(0, LEND_KILL, id), 0);
}

static void test_dismissed_ones_are_killed_after_a_while(void **state)
{
    siginfo_t info = {0};
    uint64_t id, wake_ns;

    (void)state;
    assert_true(programs_wake_ns(&table) == CLOCK_NEVER);
    assert_int_equal(borrow(0, FREE), 0);
    id = expect_lent(0);
    assert_int_equal(about(0, LEND_DISMISS, id), 0);
    wake_ns = programs_wake_ns(&table);
    assert_true(wake_ns != CLOCK_NEVER);
    programs_tick(&table, wake_ns - 1);
    assert_int_equal(waitid(P_PID, (id_t)started[0], &info, WEXITED | WNOWAIT | WNOHANG), 0);
    assert_int_equal(info.si_pid, 0);
    programs_tick(&table, wake_ns);
    assert_int_equal(waitid(P_PID, (id_t)started[0], &info, WEXITED | WNOWAIT), 0);
    assert_true(programs_wake_ns(&table) == CLOCK_NEVER);
    end(0);
    assert_int_equal(table.count, 0);
}

static void test_a_worker_takes_its_copies_along(void **state)
{
    siginfo_t info = {0};

    (void)state;
    assert_int_equal(borrow(0, FREE), 0);
    assert_int_equal(borrow(1, FREE), 0);
    programs_worker_gone(&table, 0, SIGSEGV);
    assert_int_equal(waitid(P_PID, (id_t)started[0], &info, WEXITED | WNOWAIT), 0);
    programs_worker_gone(&table, 1, PROTO_EXIT_RETIRED << 8);
    assert_true(programs_wake_ns(&table) != CLOCK_NEVER);
    info.si_pid = 0;
    assert_int_equal(waitid(P_PID, (id_t)started[1], &info, WEXITED | WNOWAIT | WNOHANG), 0);
    assert_int_equal(info.si_pid, 0);
}

static void test_the_wish_of_a_dead_worker_is_gone(void **state)
{
    uint64_t id;

    (void)state;
    assert_int_equal(borrow(0, LIMITED), 0);
    id = expect_lent(0);
    assert_int_equal(borrow(1, LIMITED), 0);
    assert_int_equal(borrow(2, LIMITED), 0);
    programs_worker_gone(&table, 1, SIGSEGV);
    assert_int_equal(about(0, LEND_RETURN, id), 0);
    assert_int_equal(expect_lent(2), id);
}

static void test_breaches(void **state)
{
    struct proto_head odd = {.type = 99, .bytes = sizeof(odd)};
    uint64_t id;

    (void)state;
    assert_int_equal(borrow(0, PROGRAMS), -EPROTO);
    assert_int_equal(table.workers[0].fd, -1);
    assert_int_equal(borrow(1, LIMITED), 0);
    id = expect_lent(1);
    assert_int_equal(about(2, LEND_KILL, id), -EPROTO);     /* not its own */
    assert_int_equal(about(1, LEND_KILL, id + 1), -EPROTO); /* never was */
    assert_int_equal(say(3, &odd, sizeof(odd)), -EPROTO);
}

static void test_two_wishes_at_once(void **state)
{
    (void)state;
    assert_int_equal(borrow(0, LIMITED), 0);
    assert_int_equal(borrow(1, LIMITED), 0);
    assert_int_equal(borrow(1, FREE), -EPROTO);
}

static void test_a_worker_holds_only_so_many(void **state)
{
    (void)state;
    for (int i = 0; i < PROGRAMS_COPIES_PER_WORKER; i++) {
        assert_int_equal(borrow(0, FREE), 0);
        (void)expect_lent(0);
    }
    assert_int_equal(borrow(0, FREE), -EPROTO);
}

static void test_it_closes_its_end(void **state)
{
    (void)state;
    check_close_fd(&workers[0]);
    workers[0] = -1;
    assert_int_equal(programs_receive(&table, 0), -EPIPE);
    assert_int_equal(table.workers[0].fd, -1);
}

static void test_a_strangers_end(void **state)
{
    struct reaped child = {.pid = 1};

    (void)state;
    assert_int_equal(borrow(0, FREE), 0);
    assert_false(programs_reaped(&table, &child));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_each_worker_keeps_its_own),
        CASE(test_a_limited_one_goes_from_hand_to_hand),
        CASE(test_who_waits_gets_a_new_one_when_it_dies),
        CASE(test_a_wish_is_forgotten),
        CASE(test_what_cannot_be_started_is_refused),
        CASE(test_one_that_runs_once_is_never_lent_again),
        CASE(test_killing),
        CASE(test_dismissed_ones_are_killed_after_a_while),
        CASE(test_a_worker_takes_its_copies_along),
        CASE(test_the_wish_of_a_dead_worker_is_gone),
        CASE(test_breaches),
        CASE(test_two_wishes_at_once),
        CASE(test_a_worker_holds_only_so_many),
        CASE(test_it_closes_its_end),
        CASE(test_a_strangers_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
