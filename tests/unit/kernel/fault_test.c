#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "mock_host.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static double cpu_seconds(void)
{
    struct rusage usage;

    assert_int_equal(getrusage(RUSAGE_CHILDREN, &usage), 0);
    return (double)usage.ru_utime.tv_sec + 1e-6 * (double)usage.ru_utime.tv_usec;
}

static void sleep_ms(long ms)
{
    const struct timespec time = {.tv_nsec = ms * 1000000};

    (void)nanosleep(&time, NULL);
}

/* Runs the kernel in a child in a process group of its own, which says how it ended, or by its
 * status 0 that the answer was the expected one. */
static pid_t start_child(const char *mode, const char *expected)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid != 0)
        return pid;
    struct mock m;

    (void)setpgid(0, 0);
    (void)prctl(PR_SET_DUMPABLE, 0);
    (void)signal(SIGSEGV, SIG_DFL); /* a sanitizer or cmocka has its own */
    (void)signal(SIGABRT, SIG_DFL);
    mock_init(&m);
    mock_text(&m, "mode", mode);
    struct mock_bytes answer = mock_run(&m);

    _exit(strcmp(answer.data, expected) == 0 ? 0 : 99);
}

static int end_of(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    return status;
}

static void crashes_as_asked(void **state)
{
    (void)state;
    int status = end_of(start_child("segv", ""));

    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    status = end_of(start_child("abort", ""));
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    status = end_of(start_child("exit", ""));
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 3);
}

static double cpu_until_killed(const char *mode)
{
    double before = cpu_seconds();
    pid_t pid = start_child(mode, "");
    int status;

    sleep_ms(200);
    assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
    (void)kill(pid, SIGKILL);
    status = end_of(pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    return cpu_seconds() - before;
}

static void hangs_and_spins(void **state)
{
    (void)state;
    double hanging = cpu_until_killed("hang");
    double spinning = cpu_until_killed("spin");

    assert_true(hanging < spinning);
}

static void stops_itself(void **state)
{
    (void)state;
    pid_t pid = start_child("stop", "{\"stopped\":true}");
    int status = end_of(pid);

    assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
    assert_int_equal(kill(pid, SIGCONT), 0);
    assert_int_equal(end_of(pid), 0);
}

/* The eight are in the child's process group, and none is left once it has been killed. */
static void forks_eight_children(void **state)
{
    (void)state;
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1);
    pid_t pid = start_child("fork", "{\"forked\":8}");
    int left = 0;

    assert_int_equal(end_of(pid), 0);
    assert_int_equal(kill(-pid, SIGKILL), 0);
    while (waitpid(-1, NULL, 0) > 0)
        left++;
    assert_int_equal(left, 8);
}

static void complains_when_memory_runs_out(void **state)
{
    (void)state;
    if (SANITIZED)
        skip(); /* shadow memory is no longer there to be had under such a limit */
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        const struct rlimit limit = {.rlim_cur = 256 << 20, .rlim_max = 256 << 20};
        struct mock m;
        unsigned mib = 0;

        mock_init(&m);
        mock_text(&m, "mode", "alloc");
        (void)setrlimit(RLIMIT_AS, &limit);
        const char *complaint = mock_complaint(&m);

        _exit(complaint != NULL && sscanf(complaint, "It took %u MiB of", &mib) == 1 && mib > 100
                  ? 0
                  : 99);
    }
    assert_int_equal(end_of(pid), 0);
}

static void writes_garbage_to_sockets(void **state)
{
    int pair[2], pipe_fds[2];
    char bytes[200];
    struct mock m;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(pipe(pipe_fds), 0);
    mock_init(&m);
    mock_text(&m, "mode", "garbage");
    mock_int(&m, "tag", 7);
    struct mock_bytes answer = mock_run(&m);

    assert_string_equal(answer.data, "{\"sockets\":2}");
    assert_int_equal(recv(pair[0], bytes, sizeof(bytes), MSG_DONTWAIT), 64);
    assert_int_equal(recv(pair[1], bytes, sizeof(bytes), MSG_DONTWAIT), 64);
    (void)close(pipe_fds[1]);
    assert_int_equal(read(pipe_fds[0], bytes, sizeof(bytes)), 0);
    (void)close(pipe_fds[0]);
    (void)close(pair[0]);
    (void)close(pair[1]);
    free(answer.data);
    mock_release(&m);
}

static void says_that_nothing_forbids(void **state)
{
    struct mock m;

    (void)state;
    mock_init(&m);
    mock_text(&m, "mode", "forbidden");
    assert_non_null(mock_complaint(&m));
    mock_release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crashes_as_asked),
        cmocka_unit_test(hangs_and_spins),
        cmocka_unit_test(stops_itself),
        cmocka_unit_test(forks_eight_children),
        cmocka_unit_test(complains_when_memory_runs_out),
        cmocka_unit_test(writes_garbage_to_sockets),
        cmocka_unit_test(says_that_nothing_forbids),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
