/*
 * A zygote and a child in its sandbox, for tests that try to get out: each is forked anew, so that nothing
 * a test gives up is missing in the next.
 */
#ifndef TESTS_SANDBOX_BOX_H
#define TESTS_SANDBOX_BOX_H

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/log.h"
#include "sandbox/sandbox.h"

enum { BOX_NOT_ROOT = 65534, BOX_REFUSED = 99 };

/* Says what it found, so that a failure is more than a number. */
#define MUST(expr)                                                                                 \
    do {                                                                                           \
        if (!(expr)) {                                                                             \
            dprintf(STDERR_FILENO, "in the sandbox, line %d: %s does not hold (%s)\n", __LINE__,   \
                    #expr, strerror(errno));                                                       \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

#define MUST_FAIL(expr, error)                                                                     \
    do {                                                                                           \
        errno = 0;                                                                                 \
        MUST((expr) < 0 && errno == (error));                                                      \
    } while (0)

struct box {
    struct sandbox_policy policy;
    struct sandbox_config config;
    bool as_other; /* the zygote is not root */
    void (*check)(void);
    void (*before)(void); /* in the child, before it enters */
};

/* The active layers of the box that runs, for checks. */
static uint32_t box_active;

static inline void box_enter(const struct box *box, pid_t zygote)
{
    struct sandbox_rules rules = {.name = "boxed", .policy = &box->policy, .parent = zygote};
    struct err err = {""};

    if (box->before != NULL)
        box->before();
    if (sandbox_enter(&rules, &err) < 0) {
        dprintf(STDERR_FILENO, "sandbox_enter: %s\n", err.text);
        _exit(BOX_REFUSED);
    }
    box_active = sandbox_report()->active;
}

static inline void box_zygote(const struct box *box, int result_fd)
{
    struct err err = {""};
    pid_t zygote = getpid();
    pid_t pid;
    int status;

    log_init("box", LOG_WARNING);
    if (box->as_other)
        MUST(setresgid(BOX_NOT_ROOT, BOX_NOT_ROOT, BOX_NOT_ROOT) == 0 &&
             setresuid(BOX_NOT_ROOT, BOX_NOT_ROOT, BOX_NOT_ROOT) == 0 &&
             prctl(PR_SET_DUMPABLE, 1) == 0);
    if (sandbox_prepare(&box->config, &err) < 0) {
        dprintf(STDERR_FILENO, "sandbox_prepare: %s\n", err.text);
        _exit(BOX_REFUSED);
    }
    pid = fork();
    if (pid == 0) {
        box_enter(box, zygote);
        box->check();
        _exit(0);
    }
    MUST(pid > 0 && waitpid(pid, &status, 0) == pid);
    sandbox_forget(pid);
    MUST(write(result_fd, &status, sizeof(status)) == sizeof(status));
    _exit(0);
}

/* The wait status of the child in the box; BOX_REFUSED << 8 when there was none. */
static inline int box_run(const struct box *box)
{
    int result[2], status = 0, of_child = BOX_REFUSED << 8;
    pid_t pid;

    assert_int_equal(pipe(result), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        box_zygote(box, result[1]);
    (void)close(result[1]);
    if (read(result[0], &of_child, sizeof(of_child)) != sizeof(of_child))
        of_child = BOX_REFUSED << 8;
    (void)close(result[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return of_child;
}

static inline bool box_can_be_other(void)
{
    return geteuid() == 0;
}

/* By root, when we are, and by another. */
static inline void box_holds(struct box box)
{
    assert_int_equal(box_run(&box), 0);
    if (!box_can_be_other())
        return;
    box.as_other = true;
    assert_int_equal(box_run(&box), 0);
}

/* Likewise: the check dies by this signal. */
static inline void box_kills(struct box box, int signal)
{
    int status = box_run(&box);

    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), signal);
    if (!box_can_be_other())
        return;
    box.as_other = true;
    status = box_run(&box);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), signal);
}

#endif
