#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/err.h"
#include "sandbox/internal.h"

enum { STDIO = 3, FDS_MAX = STDIO + SANDBOX_KEEP_MAX };

/* Every signal as it was born. A worker ignores SIGPIPE: standard error may be a pipe whose reader has
 * gone, and that is no reason to die in a log line. A program does not expect that, and it would survive
 * its exec. */
static void reset_signals(enum sandbox_kind kind)
{
    sigset_t none;

    for (int i = 1; i < NSIG; i++)
        (void)signal(i, SIG_DFL); /* fails for KILL, STOP and libc's own */
    if (kind == SANDBOX_KERNEL)
        (void)signal(SIGPIPE, SIG_IGN);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void volunteer_for_oom(void)
{
    CLEANUP_FD int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    if (fd >= 0 && write(fd, "1000", 4) < 0)
        return; /* best effort: a hardened /proc may forbid it */
}

int process_bind(const struct sandbox_rules *rules, struct err *err)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return err_set(err, -errno, "PR_SET_PDEATHSIG is refused: %s.", strerror(errno));
    if (getppid() != rules->parent)
        return err_set(err, -ESRCH, "The zygote is gone.");
    return 0;
}

int process_begin(const struct sandbox_rules *rules, struct err *err)
{
    int rc;

    reset_signals(rules->policy->kind);
    (void)setsid();
    rc = process_bind(rules, err);
    if (rc < 0)
        return rc;
    volunteer_for_oom();
    (void)setpriority(PRIO_PROCESS, 0, rules->nice); /* raising needs a privilege */
    (void)prctl(PR_SET_NAME, rules->name);
    return 0;
}

/* What becomes 0, 1, 2, 3 …; -1 for a number that stays closed. */
static size_t list_fds(const struct sandbox_rules *rules, int null_fd, int fds[FDS_MAX])
{
    fds[STDIN_FILENO] = rules->stdio == NULL ? null_fd : rules->stdio[0];
    fds[STDOUT_FILENO] = rules->stdio == NULL ? STDERR_FILENO : rules->stdio[1];
    fds[STDERR_FILENO] = rules->stdio == NULL ? STDERR_FILENO : rules->stdio[2];
    for (size_t i = 0; i < rules->keep_count; i++)
        fds[STDIO + i] = rules->keep[i];
    return STDIO + rules->keep_count;
}

/* Out of the way of the low numbers first, for a wanted one may sit on another's place. */
static int move_fds(const int *fds, size_t count, int flags)
{
    int moved[FDS_MAX];

    for (size_t i = 0; i < count; i++) {
        moved[i] = fds[i] < 0 ? -1 : fcntl(fds[i], F_DUPFD_CLOEXEC, FDS_MAX);
        if (fds[i] >= 0 && moved[i] < 0)
            return -errno;
    }
    for (size_t i = 0; i < count; i++) {
        if (moved[i] < 0)
            (void)close((int)i);
        else if (dup3(moved[i], (int)i, i < STDIO ? 0 : flags) < 0)
            return -errno;
    }
    return close_range((unsigned)count, ~0U, 0) < 0 ? -errno : 0;
}

int process_keep_fds(const struct sandbox_rules *rules, struct err *err)
{
    int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC); /* closed with all the others */
    int flags = rules->policy->kind == SANDBOX_KERNEL ? O_CLOEXEC : 0;
    int fds[FDS_MAX];
    int rc;

    if (null_fd < 0)
        return err_set(err, -errno, "/dev/null cannot be opened: %s.", strerror(errno));
    rc = move_fds(fds, list_fds(rules, null_fd, fds), flags);
    return rc == 0 ? 0
                   : err_set(err, rc, "The descriptors cannot be put in order: %s.", strerror(-rc));
}

static_assert((int)STDIO == (int)SANDBOX_FIRST_FD, "the kept ones follow");
