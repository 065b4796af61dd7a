#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "zygote/reap.h"
#include "zygote/spawn.h"

static int reap_fd;

static int open_reap(void **state)
{
    (void)state;
    reap_fd = reap_open();
    return reap_fd < 0;
}

static struct reaped next_dead(void)
{
    uint64_t deadline = clock_now_ns() + 20 * CLOCK_NS_PER_S;
    struct pollfd p = {.fd = reap_fd, .events = POLLIN};
    struct reaped r;

    while (!reap_next(&r)) {
        assert_true(clock_now_ns() < deadline);
        (void)poll(&p, 1, 20000);
        reap_clear(reap_fd);
    }
    return r;
}

static void exit_with(void *arg)
{
    _exit(*(int *)arg);
}

static void the_child_runs_and_its_end_is_told(void **state)
{
    int code = 17;
    pid_t pid = spawn_child(exit_with, &code);
    struct reaped r;

    (void)state;
    assert_true(pid > 0);
    r = next_dead();
    assert_int_equal(r.pid, pid);
    assert_true(WIFEXITED(r.status));
    assert_int_equal(WEXITSTATUS(r.status), 17);
    assert_true(r.max_rss_kb > 0);
    assert_false(reap_next(&r));
}

static void come_back(void *arg)
{
    (void)arg;
}

static void a_child_that_comes_back_is_stopped(void **state)
{
    struct reaped r;

    (void)state;
    assert_true(spawn_child(come_back, NULL) > 0);
    r = next_dead();
    assert_true(WIFSIGNALED(r.status));
    assert_int_equal(WTERMSIG(r.status), SIGABRT);
}

static void mask_is_full(void *arg)
{
    sigset_t mask;

    (void)arg;
    (void)sigprocmask(SIG_SETMASK, NULL, &mask);
    _exit(sigismember(&mask, SIGTERM) == 1 && sigismember(&mask, SIGINT) == 1 ? 0 : 1);
}

static void signals_are_held_back_in_the_child_only(void **state)
{
    sigset_t mask;

    (void)state;
    assert_true(spawn_child(mask_is_full, NULL) > 0);
    assert_int_equal(next_dead().status, 0);
    assert_int_equal(sigprocmask(SIG_SETMASK, NULL, &mask), 0);
    assert_int_equal(sigismember(&mask, SIGTERM), 0);
    assert_int_equal(sigismember(&mask, SIGCHLD), 1);
}

static void wait_for_ever(void *arg)
{
    sigset_t none;

    (void)arg;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    while (pause() < 0)
        continue;
}

static void a_child_without_a_group_is_killed_too(void **state)
{
    pid_t pid = spawn_child(wait_for_ever, NULL);
    struct reaped r;

    (void)state;
    reap_kill(pid, SIGKILL);
    r = next_dead();
    assert_int_equal(r.pid, pid);
    assert_int_equal(WTERMSIG(r.status), SIGKILL);
}

/* Leads a group, leaves a member behind, and goes. */
static void leave_someone_behind(void *arg)
{
    const int *ends = arg;

    (void)setsid();
    if (fork() == 0)
        wait_for_ever(NULL);
    (void)close(ends[1]);
    _exit(3);
}

static void the_group_goes_with_its_leader(void **state)
{
    struct pollfd p = {.events = POLLIN};
    struct reaped leader, orphan;
    int ends[2];
    pid_t pid;
    char byte;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    pid = spawn_child(leave_someone_behind, ends);
    (void)close(ends[1]);
    leader = next_dead();
    assert_int_equal(leader.pid, pid);
    assert_int_equal(WEXITSTATUS(leader.status), 3);
    orphan = next_dead();
    assert_int_not_equal(orphan.pid, pid);
    assert_int_equal(WTERMSIG(orphan.status), SIGKILL);
    p.fd = ends[0];
    assert_int_equal(poll(&p, 1, 20000), 1);
    assert_int_equal(read(ends[0], &byte, 1), 0);
    (void)close(ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_child_runs_and_its_end_is_told),
        cmocka_unit_test(a_child_that_comes_back_is_stopped),
        cmocka_unit_test(signals_are_held_back_in_the_child_only),
        cmocka_unit_test(a_child_without_a_group_is_killed_too),
        cmocka_unit_test(the_group_goes_with_its_leader),
    };
    return cmocka_run_group_tests(tests, open_reap, NULL);
}
