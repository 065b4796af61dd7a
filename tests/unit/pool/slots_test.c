#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "ipc/chan.h"
#include "pool/internal.h"

/* One slot, and the zygote's end of the control channel. */
static struct {
    struct pool pool;
    struct slot slot;
    struct shm_page page;
    struct shm_control control;
    int zygote;
} at;

static int set_up(void **state)
{
    int pair[2];

    (void)state;
    if (chan_pair(pair) < 0)
        return -1;
    memset(&at, 0, sizeof(at));
    at.zygote = pair[1];
    at.slot = (struct slot) {.generation = 77, .page = &at.page, .channel = -1, .out_fd = -1};
    at.pool = (struct pool) {.shm = &at.control, .slot_count = 1, .current = &at.pool.lanes[1]};
    at.pool.lanes[1] = (struct generation) {.lane = 1,
                                            .number = 1,
                                            .serial = 5,
                                            .state = ZYGOTE_UP,
                                            .control = pair[0],
                                            .slots = &at.slot};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    check_close_fd(&at.pool.lanes[1].control);
    check_close_fd(&at.zygote);
    return 0;
}

static void assert_told_to_kill(int signal)
{
    struct proto_kill frame;

    assert_int_equal(chan_recv(at.zygote, &frame, sizeof(frame), NULL, NULL, MSG_DONTWAIT),
                     sizeof(frame));
    assert_int_equal(frame.head.type, PROTO_KILL);
    assert_int_equal(frame.generation, 77);
    assert_int_equal(frame.slot, 0);
    assert_int_equal(frame.signal, signal);
    assert_true(at.slot.was_killed);
}

static void assert_told_nothing(void)
{
    struct proto_kill frame;

    assert_true(chan_recv(at.zygote, &frame, sizeof(frame), NULL, NULL, MSG_DONTWAIT) < 0);
    assert_false(at.slot.was_killed);
}

static void misbehave(void)
{
    struct pool_event event = {.kind = POOL_MISBEHAVED, .lane = 1, .serial = 5};

    pool_apply(&at.pool, &event);
}

static void who_misbehaves_is_killed(void **state)
{
    (void)state;
    at.slot.state = SLOT_LIVE;
    misbehave();
    assert_told_to_kill(SIGKILL);
    assert_true(at.slot.misbehaved);
}

/* What was read of a zygote that has gone meanwhile is about nobody. */
static void nobody_is_killed_for_the_zygote_before(void **state)
{
    struct pool_event event = {.kind = POOL_MISBEHAVED, .lane = 1, .serial = 4};

    (void)state;
    at.slot.state = SLOT_LIVE;
    pool_apply(&at.pool, &event);
    event = (struct pool_event) {.kind = POOL_MISBEHAVED, .lane = 0, .serial = 0};
    pool_apply(&at.pool, &event);
    assert_told_nothing();
    assert_false(at.slot.misbehaved);
}

static void a_worker_is_found_by_its_pid(void **state)
{
    (void)state;
    at.slot.state = SLOT_LIVE;
    at.slot.pid = 1234;
    assert_int_equal(pool_kill_pid(&at.pool, 1235, SIGKILL), -ESRCH);
    assert_told_nothing();
    at.pool.old = at.pool.current; /* one before the current one is found too */
    at.pool.current = &at.pool.lanes[0];
    at.pool.lanes[0].slots = &(struct slot) {.state = SLOT_EMPTY};
    assert_int_equal(pool_kill_pid(&at.pool, 1234, SIGKILL), 0);
    assert_told_to_kill(SIGKILL);
}

/* Its rubbish and the zygote's FORKED come in one batch, in any order. */
static void also_before_the_zygote_has_told_of_it(void **state)
{
    struct proto_forked forked = {.generation = 77, .pid = 1234};

    (void)state;
    at.slot.state = SLOT_FORKING;
    misbehave();
    assert_told_to_kill(SIGKILL);
    assert_true(at.slot.misbehaved);
    slots_forked(&at.pool, at.pool.current, &forked);
    assert_int_equal(at.slot.state, SLOT_LIVE);
    assert_true(at.slot.was_killed && at.slot.misbehaved);
}

static void nobody_is_killed_in_an_empty_slot(void **state)
{
    (void)state;
    misbehave();
    assert_told_nothing();
    assert_false(at.slot.misbehaved);
}

static void a_task_is_killed_only_in_the_worker_that_runs_it(void **state)
{
    (void)state;
    at.slot.state = SLOT_LIVE;
    atomic_store(&at.page.task, 500);
    assert_false(pool_kill_task(&at.pool, 1, 3, 400, 400, SIGTERM));
    assert_told_nothing();
    assert_int_equal(atomic_load(&at.control.condemned[3]), 0);
    assert_true(pool_kill_task(&at.pool, 1, 3, 500, 500, SIGTERM));
    assert_told_to_kill(SIGTERM);
    assert_int_equal(atomic_load(&at.control.condemned[3]), 500);
}

/* Its end is read later; the workers of the next one must not wait for what its end has cost. */
static void a_zygote_that_is_gone_makes_no_worker_wait(void **state)
{
    struct generation *g = &at.pool.lanes[1];
    int epoll_fd = epoll_create1(EPOLL_CLOEXEC), pair[2];
    char frame[PROTO_FRAME_MAX];
    int fds[PROTO_FDS_MAX];
    size_t fd_count = 0;

    (void)state;
    at.pool.epoll_fd = epoll_fd;
    at.pool.config.result_bytes_max = 4096;
    at.pool.shm_fd = g->intake_receive[0] = epoll_fd; /* any descriptor will do */
    at.slot = (struct slot) {.channel = -1, .out_fd = -1};
    check_close_fd(&at.zygote);
    slots_fill(&at.pool, g, 1);
    assert_int_equal(at.slot.state, SLOT_EMPTY);
    assert_int_equal(at.slot.channel, -1);
    assert_int_equal(chan_pair(pair), 0);
    (void)close(g->control);
    g->control = pair[0];
    at.zygote = pair[1];
    slots_fill(&at.pool, g, 2);
    assert_int_equal(at.slot.state, SLOT_FORKING);
    assert_true(chan_recv(at.zygote, frame, sizeof(frame), fds, &fd_count, MSG_DONTWAIT) > 0);
    assert_int_equal(((struct proto_head *)(void *)frame)->type, PROTO_FORK);
    chan_close_fds(fds, fd_count);
    slot_release(&at.pool, &at.slot);
    (void)close(epoll_fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_misbehaves_is_killed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(also_before_the_zygote_has_told_of_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_is_killed_for_the_zygote_before, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_worker_is_found_by_its_pid, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_is_killed_in_an_empty_slot, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_task_is_killed_only_in_the_worker_that_runs_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_zygote_that_is_gone_makes_no_worker_wait, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
