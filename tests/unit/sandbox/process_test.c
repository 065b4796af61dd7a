#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/fd.h"
#include "sandbox/sandbox.h"

static const struct sandbox_policy kernel = {.kind = SANDBOX_KERNEL};
static const struct sandbox_policy program = {.kind = SANDBOX_PROGRAM};

#define MUST(expr)                                                                                 \
    do {                                                                                           \
        if (!(expr)) {                                                                             \
            dprintf(STDERR_FILENO, "in the sandbox: %s does not hold\n", #expr);                   \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

/* Runs `check` in a child; it ends with 0 when all is as it must be. */
static int in_child(void (*check)(pid_t parent))
{
    pid_t parent = getpid();
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        check(parent);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void check_descriptors(pid_t parent)
{
    char byte = 0;
    int a[2], b[2];
    struct sandbox_rules rules = {
        .name = "boxed", .policy = &kernel, .parent = parent, .keep_count = 3};

    /* Placed so that each sits where another wants to be. */
    MUST(pipe(a) == 0 && pipe(b) == 0);
    MUST(write(a[1], "a", 1) == 1);
    MUST(dup2(a[0], 40) == 40 && dup2(b[1], 41) == 41);
    MUST(dup2(40, SANDBOX_FIRST_FD + 1) >= 0 && dup2(41, SANDBOX_FIRST_FD) >= 0);
    rules.keep[0] = SANDBOX_FIRST_FD + 1;
    rules.keep[1] = SANDBOX_FIRST_FD;
    rules.keep[2] = -1;
    MUST(sandbox_enter(&rules, NULL) == 0);
    MUST(read(SANDBOX_FIRST_FD, &byte, 1) == 1 && byte == 'a');
    MUST(write(SANDBOX_FIRST_FD + 1, "b", 1) < 0); /* its reader was closed with the rest */
    MUST(fcntl(SANDBOX_FIRST_FD, F_GETFD) == FD_CLOEXEC);
    for (int fd = SANDBOX_FIRST_FD + 2; fd < 200; fd++)
        MUST(fcntl(fd, F_GETFD) < 0);
    MUST(read(STDIN_FILENO, &byte, 1) == 0);
}

static void only_the_kept_descriptors_remain(void **state)
{
    (void)state;
    assert_int_equal(in_child(check_descriptors), 0);
}

/* A program's are the ones that outlive its exec, and its standard ones may be anything. */
static void check_descriptors_of_program(pid_t parent)
{
    char byte = 0;
    int a[2], b[2];
    int stdio[3];
    struct sandbox_rules rules = {
        .name = "boxed", .policy = &program, .parent = parent, .stdio = stdio, .keep_count = 1};

    MUST(pipe(a) == 0 && pipe(b) == 0);
    MUST(write(a[1], "a", 1) == 1);
    stdio[0] = a[0];
    stdio[1] = b[1];
    stdio[2] = STDERR_FILENO;
    rules.keep[0] = b[1];
    MUST(sandbox_enter(&rules, NULL) == 0);
    MUST(read(STDIN_FILENO, &byte, 1) == 1 && byte == 'a');
    MUST(fcntl(STDOUT_FILENO, F_GETFD) == 0 && fcntl(STDERR_FILENO, F_GETFD) == 0);
    MUST(fcntl(SANDBOX_FIRST_FD, F_GETFD) == 0);
    for (int fd = SANDBOX_FIRST_FD + 1; fd < 200; fd++)
        MUST(fcntl(fd, F_GETFD) < 0);
}

static void a_program_gets_its_descriptors(void **state)
{
    (void)state;
    assert_int_equal(in_child(check_descriptors_of_program), 0);
}

static void check_pipe_signal(pid_t parent, const struct sandbox_policy *policy, bool is_ignored)
{
    struct sandbox_rules rules = {.name = "boxed", .policy = policy, .parent = parent};
    struct sigaction action;

    (void)signal(SIGPIPE, is_ignored ? SIG_DFL : SIG_IGN);
    MUST(sandbox_enter(&rules, NULL) == 0);
    MUST(sigaction(SIGPIPE, NULL, &action) == 0);
    MUST((action.sa_handler == SIG_IGN) == is_ignored);
}

static void check_pipe_signal_of_kernel(pid_t parent)
{
    check_pipe_signal(parent, &kernel, true);
}

static void check_pipe_signal_of_program(pid_t parent)
{
    check_pipe_signal(parent, &program, false);
}

static void only_a_worker_ignores_broken_pipes(void **state)
{
    (void)state;
    assert_int_equal(in_child(check_pipe_signal_of_kernel), 0);
    assert_int_equal(in_child(check_pipe_signal_of_program), 0);
}

static void check_process(pid_t parent)
{
    struct sandbox_rules rules = {.name = "boxed", .policy = &kernel, .parent = parent, .nice = 7};
    struct sigaction action;
    sigset_t blocked;
    char text[64];
    int death = 0;

    (void)signal(SIGTERM, SIG_IGN);
    (void)sigfillset(&blocked);
    (void)sigprocmask(SIG_SETMASK, &blocked, NULL);
    MUST(sandbox_enter(&rules, NULL) == 0);
    MUST(getsid(0) == getpid() && getpgid(0) == getpid());
    MUST(prctl(PR_GET_PDEATHSIG, &death) == 0 && death == SIGKILL);
    MUST(sigaction(SIGTERM, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
    MUST(sigprocmask(SIG_SETMASK, NULL, &blocked) == 0 && sigismember(&blocked, SIGTERM) == 0);
    MUST(getpriority(PRIO_PROCESS, 0) == 7);
    MUST(prctl(PR_GET_NAME, text) == 0 && strcmp(text, "boxed") == 0);
    if (fd_read_file("/proc/self/oom_score_adj", text, sizeof(text)) > 0)
        MUST(strcmp(text, "1000\n") == 0);
}

static void the_process_has_given_up_what_it_should(void **state)
{
    (void)state;
    assert_int_equal(in_child(check_process), 0);
}

static void check_orphan(pid_t parent)
{
    struct sandbox_rules rules = {.name = "boxed", .policy = &kernel, .parent = parent + 1};
    struct err err = {.text = ""};

    MUST(sandbox_enter(&rules, &err) == -ESRCH);
    MUST(err.text[0] != '\0');
}

static void an_orphan_does_not_start(void **state)
{
    (void)state;
    assert_int_equal(in_child(check_orphan), 0);
}

/* A parent that dies, with a child in the sandbox that would live on; a pipe tells when it is gone.
 * */
static void a_child_dies_with_its_parent(void **state)
{
    struct pollfd p = {.events = POLLIN};
    int ends[2];
    char byte;
    pid_t pid;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    pid = fork();
    if (pid == 0) {
        struct sandbox_rules rules = {
            .name = "boxed", .policy = &kernel, .parent = getpid(), .keep_count = 1};
        if (fork() == 0) {
            rules.keep[0] = ends[1];
            MUST(sandbox_enter(&rules, NULL) == 0);
            MUST(write(SANDBOX_FIRST_FD, "x", 1) == 1);
            (void)sleep(60);
        }
        MUST(read(ends[0], &byte, 1) == 1);
        _exit(0);
    }
    (void)close(ends[1]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    p.fd = ends[0];
    assert_int_equal(poll(&p, 1, 20000), 1);
    assert_int_equal(read(ends[0], &byte, 1), 0);
    (void)close(ends[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_kept_descriptors_remain),
        cmocka_unit_test(a_program_gets_its_descriptors),
        cmocka_unit_test(only_a_worker_ignores_broken_pipes),
        cmocka_unit_test(the_process_has_given_up_what_it_should),
        cmocka_unit_test(an_orphan_does_not_start),
        cmocka_unit_test(a_child_dies_with_its_parent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
