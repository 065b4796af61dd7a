#include "thread/thread.h"

#include <errno.h>
#include <setjmp.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static void *set_to_one(void *arg)
{
    *(int *)arg = 1;
    return NULL;
}

static void it_runs_and_is_waited_for(void **state)
{
    struct thread t;
    int value = 0;

    (void)state;
    assert_int_equal(thread_start(&t, "test", set_to_one, &value), 0);
    thread_join(&t);
    assert_int_equal(value, 1);
}

static void *blocked_signals(void *arg)
{
    (void)pthread_sigmask(SIG_SETMASK, NULL, arg);
    return NULL;
}

static void signals_are_not_for_it(void **state)
{
    const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGPIPE, SIGUSR1, SIGRTMIN};
    struct thread t;
    sigset_t set;

    (void)state;
    assert_int_equal(sigemptyset(&set), 0);
    assert_int_equal(thread_start(&t, "test", blocked_signals, &set), 0);
    thread_join(&t);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        assert_int_equal(sigismember(&set, signals[i]), 1);
}

static void the_starter_keeps_its_own_signals(void **state)
{
    sigset_t before, after;
    struct thread t;
    int value;

    (void)state;
    assert_int_equal(sigemptyset(&before), 0);
    assert_int_equal(sigaddset(&before, SIGUSR2), 0);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
    assert_int_equal(thread_start(&t, "test", set_to_one, &value), 0);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, NULL, &after), 0);
    thread_join(&t);
    assert_int_equal(sigismember(&after, SIGUSR2), 1);
    assert_int_equal(sigismember(&after, SIGTERM), 0);
}

static void *wait_for_byte(void *arg)
{
    char byte;

    return read(*(int *)arg, &byte, 1) == 1 ? NULL : arg;
}

static void it_has_its_name(void **state)
{
    struct thread t;
    char name[16] = "";
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(thread_start(&t, "fifteen-letters", wait_for_byte, &fds[0]), 0);
    assert_int_equal(pthread_getname_np(t.handle, name, sizeof(name)), 0);
    assert_int_equal(write(fds[1], "", 1), 1);
    thread_join(&t);
    assert_string_equal(name, "fifteen-letters");
    assert_int_equal(close(fds[0]) + close(fds[1]), 0);
}

static void *name_itself(void *arg)
{
    thread_set_name("renamed");
    (void)pthread_getname_np(pthread_self(), arg, 16);
    return NULL;
}

static void it_can_name_itself(void **state)
{
    struct thread t;
    char name[16] = "";

    (void)state;
    assert_int_equal(thread_start(&t, "test", name_itself, name), 0);
    thread_join(&t);
    assert_string_equal(name, "renamed");
}

struct asked {
    int before_nice, after_nice, policy;
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime_ns, deadline_ns, period_ns;
    } schedule;
    long rc;
};

static void *ask_for_short_slices(void *arg)
{
    struct asked *a = arg;

    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), 3);
    a->before_nice = getpriority(PRIO_PROCESS, (id_t)gettid());
    thread_be_prompt();
    a->after_nice = getpriority(PRIO_PROCESS, (id_t)gettid());
    a->policy = sched_getscheduler(0);
    a->rc = syscall(SYS_sched_getattr, 0, &a->schedule, sizeof(a->schedule), 0);
    return NULL;
}

static void a_prompt_one_has_short_slices_and_no_other_rights(void **state)
{
    struct utsname system;
    unsigned major, minor;
    struct asked a = {0};
    struct thread t;

    (void)state;
    assert_int_equal(thread_start(&t, "test", ask_for_short_slices, &a), 0);
    thread_join(&t);
    assert_int_equal(a.policy, SCHED_OTHER);
    assert_int_equal(a.before_nice, 3);
    assert_int_equal(a.after_nice, 3);
    assert_int_equal(uname(&system), 0);
    assert_int_equal(sscanf(system.release, "%u.%u", &major, &minor), 2);
    if (major < 6 || (major == 6 && minor < 12))
        skip();
    assert_int_equal(a.rc, 0);
    assert_int_equal(a.schedule.runtime_ns, 100000);
}

static void *cancel_itself(void *arg)
{
    char byte;

    thread_forgo_cancellation();
    (void)pthread_cancel(pthread_self());
    return read(*(int *)arg, &byte, 1) == 1 ? arg : NULL;
}

static void what_has_forgone_cancellation_is_not_cancelled(void **state)
{
    struct thread t;
    void *result;
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(write(fds[1], "", 1), 1);
    assert_int_equal(thread_start(&t, "test", cancel_itself, &fds[0]), 0);
    assert_int_equal(pthread_join(t.handle, &result), 0);
    assert_ptr_equal(result, &fds[0]);
    assert_int_equal(close(fds[0]) + close(fds[1]), 0);
}

/* In a child of its own, because the limit stays. */
static int start_without_memory(void)
{
    const struct rlimit none = {1 << 20, 1 << 20};
    sigset_t after;
    struct thread t;
    int value;

    if (setrlimit(RLIMIT_AS, &none) < 0)
        return 1;
    if (thread_start(&t, "test", set_to_one, &value) != -EAGAIN)
        return 2;
    (void)pthread_sigmask(SIG_SETMASK, NULL, &after);
    return sigismember(&after, SIGTERM) == 0 ? 0 : 3;
}

static void a_thread_that_cannot_start_says_so(void **state)
{
    int status;
    pid_t pid;

    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    skip(); /* they cannot live without memory */
#endif
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(start_without_memory());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        /* First: later, the stack of a thread that has ended would be used again. */
        cmocka_unit_test(a_thread_that_cannot_start_says_so),
        cmocka_unit_test(it_runs_and_is_waited_for),
        cmocka_unit_test(signals_are_not_for_it),
        cmocka_unit_test(the_starter_keeps_its_own_signals),
        cmocka_unit_test(it_has_its_name),
        cmocka_unit_test(it_can_name_itself),
        cmocka_unit_test(a_prompt_one_has_short_slices_and_no_other_rights),
        cmocka_unit_test(what_has_forgone_cancellation_is_not_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
