#include "zygote/reap.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "base/check.h"
#include "base/clock.h"

int reap_open(void)
{
    sigset_t child;
    int fd;

    (void)sigemptyset(&child);
    (void)sigaddset(&child, SIGCHLD);
    /* Default, not ignored: an inherited SIG_IGN would make children vanish unwaited. */
    (void)signal(SIGCHLD, SIG_DFL);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 || sigprocmask(SIG_SETMASK, &child, NULL) < 0)
        return -errno;
    fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

void reap_clear(int fd)
{
    struct signalfd_siginfo info;

    while (read(fd, &info, sizeof(info)) > 0)
        continue;
}

static uint64_t from_timeval(struct timeval t)
{
    return (uint64_t)t.tv_sec * CLOCK_NS_PER_S + (uint64_t)t.tv_usec * CLOCK_NS_PER_US;
}

bool reap_next(struct reaped *ret)
{
    siginfo_t info = {0};
    struct rusage u;
    int status;

    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || info.si_pid == 0)
        return false;
    (void)kill(-info.si_pid, SIGKILL);
    if (wait4(info.si_pid, &status, 0, &u) != info.si_pid)
        return false;
    *ret = (struct reaped) {
        .pid = info.si_pid,
        .status = status,
        .cpu_ns = from_timeval(u.ru_utime) + from_timeval(u.ru_stime),
        .max_rss_kb = (uint64_t)u.ru_maxrss,
    };
    return true;
}

bool reap_was_killed(int status)
{
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

void reap_kill(pid_t pid, int signal)
{
    CHECK(pid > 1);
    if (kill(-pid, signal) < 0 && errno == ESRCH)
        (void)kill(pid, signal);
}
