#include "worker/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/err.h"

/* A worker that cannot be dumped cannot be debugged either, nor can a sanitizer look at itself. */
#if defined(PRONG_DEBUG) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANDBOX_DUMPABLE 1
#else
#define SANDBOX_DUMPABLE 0
#endif

static void reset_signals(void)
{
    sigset_t none;

    for (int i = 1; i < NSIG; i++)
        (void)signal(i, SIG_DFL); /* fails for KILL, STOP and libc's own */
    /* Standard error may be a pipe whose reader has gone; that is no reason to die in a log line.
     * */
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

/* Out of the way of the low numbers first, for a wanted one may sit on another's place. */
static int move_fds(const struct sandbox_rules *rules)
{
    enum { ABOVE = SANDBOX_FIRST_FD + SANDBOX_KEEP_MAX };
    int moved[SANDBOX_KEEP_MAX];

    for (size_t i = 0; i < rules->keep_count; i++) {
        moved[i] = rules->keep[i] < 0 ? -1 : fcntl(rules->keep[i], F_DUPFD_CLOEXEC, ABOVE);
        if (rules->keep[i] >= 0 && moved[i] < 0)
            return -errno;
    }
    for (size_t i = 0; i < rules->keep_count; i++) {
        int to = SANDBOX_FIRST_FD + (int)i;
        if (moved[i] < 0)
            (void)close(to);
        else if (dup3(moved[i], to, O_CLOEXEC) < 0)
            return -errno;
    }
    return 0;
}

static int keep_only(const struct sandbox_rules *rules)
{
    unsigned first_closed = SANDBOX_FIRST_FD + (unsigned)rules->keep_count;
    CLEANUP_FD int null_fd = -1;
    int rc = move_fds(rules);

    if (rc < 0)
        return rc;
    null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null_fd < 0 || dup2(null_fd, STDIN_FILENO) < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
        return -errno;
    return close_range(first_closed, ~0U, 0) < 0 ? -errno : 0;
}

static void set_limit(int resource, rlim_t value)
{
    struct rlimit limit = {.rlim_cur = value, .rlim_max = value};
    (void)setrlimit((__rlimit_resource_t)resource, &limit); /* lowering cannot fail */
}

int sandbox_enter(const struct sandbox_rules *rules, struct err *err)
{
    int rc;

    CHECK(rules->keep_count <= SANDBOX_KEEP_MAX);
    reset_signals();
    (void)setsid();
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return err_set(err, -errno, "PR_SET_PDEATHSIG is refused: %s.", strerror(errno));
    if (getppid() != rules->parent)
        return err_set(err, -ESRCH, "The zygote is gone.");
    volunteer_for_oom();
    (void)setpriority(PRIO_PROCESS, 0, rules->nice); /* raising needs a privilege */
    rc = keep_only(rules);
    if (rc < 0)
        return err_set(err, rc, "The descriptors cannot be put in order: %s.", strerror(-rc));
    set_limit(RLIMIT_CORE, 0);
    set_limit(RLIMIT_NOFILE, SANDBOX_FILES_MAX);
    (void)prctl(PR_SET_DUMPABLE, SANDBOX_DUMPABLE);
    (void)prctl(PR_SET_NAME, rules->name);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_set(err, -errno, "PR_SET_NO_NEW_PRIVS is refused: %s.", strerror(errno));
    return 0;
}
