#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/check.h"
#include "sandbox/internal.h"
#include "sandbox/seccomp_rules.h"

/* Whatever the arguments: its descriptors, its memory, time, and itself. First what each task calls. */
static const int allowed[] = {
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendmsg),
    SCMP_SYS(getrusage),
    SCMP_SYS(waitid),
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(pread64),
    SCMP_SYS(close),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(brk),
    SCMP_SYS(futex),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(times),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(select),
    SCMP_SYS(pselect6),
    SCMP_SYS(pause),
    SCMP_SYS(alarm),
    SCMP_SYS(setitimer),
    SCMP_SYS(getitimer),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(getcpu),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(pwrite64),
    SCMP_SYS(lseek),
    SCMP_SYS(fstat),
    SCMP_SYS(mincore),
    SCMP_SYS(msync),
    SCMP_SYS(membarrier),
    SCMP_SYS(rt_sigaction),
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigpending),
    SCMP_SYS(rt_sigsuspend),
    SCMP_SYS(rt_sigtimedwait),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall),
    SCMP_SYS(rseq),
    SCMP_SYS(set_robust_list),
    SCMP_SYS(getrandom),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(getppid),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(getresuid),
    SCMP_SYS(getresgid),
    SCMP_SYS(getgroups),
    SCMP_SYS(getpgrp),
    SCMP_SYS(getpgid),
    SCMP_SYS(getsid),
    SCMP_SYS(sched_getparam),
    SCMP_SYS(sched_getscheduler),
    SCMP_SYS(sched_get_priority_min),
    SCMP_SYS(sched_get_priority_max),
    SCMP_SYS(getrlimit),
    SCMP_SYS(uname),
    SCMP_SYS(sysinfo),
    SCMP_SYS(wait4),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
};

struct refusal {
    int call;
    unsigned error;
};

/* What libraries try in good faith, and can do without: they are told no and live. Who calls anything
 * else has no good reason, and dies. */
static const struct refusal refused[] = {
    {SCMP_SYS(open), EPERM},
    {SCMP_SYS(openat), EPERM},
    {SCMP_SYS(openat2), ENOSYS},
    {SCMP_SYS(creat), EPERM},
    {SCMP_SYS(stat), EPERM},
    {SCMP_SYS(lstat), EPERM},
    {SCMP_SYS(statx), EPERM},
    {SCMP_SYS(access), EPERM},
    {SCMP_SYS(faccessat), EPERM},
    {SCMP_SYS(faccessat2), EPERM},
    {SCMP_SYS(statfs), EPERM},
    {SCMP_SYS(fstatfs), EPERM},
    {SCMP_SYS(getdents64), EPERM},
    {SCMP_SYS(ftruncate), EPERM},
    {SCMP_SYS(fallocate), EPERM},
    {SCMP_SYS(readlink), EPERM},
    {SCMP_SYS(readlinkat), EPERM},
    {SCMP_SYS(getcwd), EPERM},
    {SCMP_SYS(chdir), EPERM},
    {SCMP_SYS(mkdir), EPERM},
    {SCMP_SYS(unlink), EPERM},
    {SCMP_SYS(unlinkat), EPERM},
    {SCMP_SYS(rename), EPERM},
    {SCMP_SYS(ioctl), ENOTTY},
    {SCMP_SYS(pipe), EPERM},
    {SCMP_SYS(pipe2), EPERM},
    {SCMP_SYS(dup), EPERM},
    {SCMP_SYS(dup2), EPERM},
    {SCMP_SYS(dup3), EPERM},
    {SCMP_SYS(eventfd2), EPERM},
    {SCMP_SYS(signalfd4), EPERM},
    {SCMP_SYS(timerfd_create), EPERM},
    {SCMP_SYS(timer_create), EPERM},
    {SCMP_SYS(inotify_init1), EPERM},
    {SCMP_SYS(epoll_create1), EPERM},
    {SCMP_SYS(memfd_create), EPERM},
    {SCMP_SYS(socket), EPERM},
    {SCMP_SYS(socketpair), EPERM},
    {SCMP_SYS(connect), EPERM},
    {SCMP_SYS(getsockopt), EPERM},
    {SCMP_SYS(setsockopt), EPERM},
    {SCMP_SYS(clone), EPERM},
    {SCMP_SYS(clone3), ENOSYS}, /* libc then tries clone */
    {SCMP_SYS(fork), EPERM},
    {SCMP_SYS(vfork), EPERM},
    {SCMP_SYS(execve), EPERM},
    {SCMP_SYS(execveat), EPERM},
    {SCMP_SYS(tkill), EPERM},
    {SCMP_SYS(setsid), EPERM},
    {SCMP_SYS(setpgid), EPERM},
    {SCMP_SYS(setrlimit), EPERM},
    {SCMP_SYS(setpriority), EPERM},
    {SCMP_SYS(getpriority), EPERM},
    {SCMP_SYS(sched_setaffinity), EPERM},
    {SCMP_SYS(sched_setscheduler), EPERM},
    {SCMP_SYS(get_mempolicy), EPERM},
    {SCMP_SYS(set_mempolicy), EPERM},
    {SCMP_SYS(mbind), EPERM},
    {SCMP_SYS(mlock), EPERM},
    {SCMP_SYS(mlock2), ENOSYS},
    {SCMP_SYS(mlockall), EPERM},
    {SCMP_SYS(pkey_alloc), ENOSYS},
    {SCMP_SYS(arch_prctl), EPERM},
    {SCMP_SYS(capget), EPERM},
    {SCMP_SYS(setuid), EPERM},
    {SCMP_SYS(setgid), EPERM},
    {SCMP_SYS(setresuid), EPERM},
    {SCMP_SYS(setresgid), EPERM},
};

static int allow_all(scmp_filter_ctx ctx)
{
    int rc = 0;

    for (size_t i = 0; i < ARRAY_SIZE(allowed) && rc == 0; i++)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed[i], 0);
    for (size_t i = 0; i < ARRAY_SIZE(refused) && rc == 0; i++)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(refused[i].error), refused[i].call, 0);
    return rc;
}

/* With arguments that are none of these, `call` is refused with EPERM. */
static int allow_if(scmp_filter_ctx ctx, int call, unsigned count, const struct scmp_arg_cmp *args)
{
    return seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, call, count, args);
}

static int allow_signals_to_itself(scmp_filter_ctx ctx)
{
    struct scmp_arg_cmp own = SCMP_A0(SCMP_CMP_EQ, SECCOMP_NO_PID);
    struct scmp_arg_cmp other = SCMP_A0(SCMP_CMP_NE, SECCOMP_NO_PID);
    int calls[] = {SCMP_SYS(kill), SCMP_SYS(tgkill)};
    int rc = 0;

    for (size_t i = 0; i < ARRAY_SIZE(calls) && rc == 0; i++) {
        rc = allow_if(ctx, calls[i], 1, &own);
        if (rc == 0)
            rc = seccomp_rule_add_array(ctx, SCMP_ACT_ERRNO(EPERM), calls[i], 1, &other);
    }
    return rc;
}

/* No code but what was loaded, and no memory that RLIMIT_DATA does not count: not shared and anonymous. */
static int allow_memory(scmp_filter_ctx ctx)
{
    enum { KIND = MAP_SHARED | MAP_ANONYMOUS };
    static const scmp_datum_t kinds[] = {0, MAP_SHARED, MAP_ANONYMOUS};
    struct scmp_arg_cmp no_code = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
    struct scmp_arg_cmp code = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC);
    struct scmp_arg_cmp uncounted = SCMP_A3(SCMP_CMP_MASKED_EQ, KIND, KIND);
    int rc = allow_if(ctx, SCMP_SYS(mprotect), 1, &no_code);

    for (size_t i = 0; i < ARRAY_SIZE(kinds) && rc == 0; i++) {
        struct scmp_arg_cmp args[] = {no_code, SCMP_A3(SCMP_CMP_MASKED_EQ, KIND, kinds[i])};
        rc = allow_if(ctx, SCMP_SYS(mmap), ARRAY_SIZE(args), args);
    }
    if (rc == 0)
        rc = seccomp_rule_add_array(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(mprotect), 1, &code);
    if (rc == 0)
        rc = seccomp_rule_add_array(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(mmap), 1, &code);
    if (rc == 0)
        rc = seccomp_rule_add_array(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(mmap), 1, &uncounted);
    return rc;
}

/* fstat is this in libc; a path it may be given all the same is looked at by nobody, so of files that
 * its uid can reach a kernel may learn that they are there. */
static int allow_fstat(scmp_filter_ctx ctx)
{
    struct scmp_arg_cmp own = SCMP_A3(SCMP_CMP_EQ, AT_EMPTY_PATH);
    struct scmp_arg_cmp path = SCMP_A3(SCMP_CMP_NE, AT_EMPTY_PATH);
    int rc = allow_if(ctx, SCMP_SYS(newfstatat), 1, &own);

    return rc < 0
               ? rc
               : seccomp_rule_add_array(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(newfstatat), 1, &path);
}

/* To look, not to change: the intake's flags are shared by all workers. */
static int allow_fcntl(scmp_filter_ctx ctx)
{
    static const scmp_datum_t looks[] = {F_GETFD, F_GETFL, F_GET_SEALS};
    static const scmp_datum_t changes[] = {F_SETFD, F_SETFL, F_DUPFD, F_DUPFD_CLOEXEC};
    int rc = 0;

    for (size_t i = 0; i < ARRAY_SIZE(looks) && rc == 0; i++) {
        struct scmp_arg_cmp arg = SCMP_A1(SCMP_CMP_EQ, looks[i]);
        rc = allow_if(ctx, SCMP_SYS(fcntl), 1, &arg);
    }
    for (size_t i = 0; i < ARRAY_SIZE(changes) && rc == 0; i++) {
        struct scmp_arg_cmp arg = SCMP_A1(SCMP_CMP_EQ, changes[i]);
        rc = seccomp_rule_add_array(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(fcntl), 1, &arg);
    }
    return rc;
}

static int allow_prctl(scmp_filter_ctx ctx)
{
    struct scmp_arg_cmp name = SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME);
    struct scmp_arg_cmp other = SCMP_A0(SCMP_CMP_NE, PR_SET_NAME);
    int rc = allow_if(ctx, SCMP_SYS(prctl), 1, &name);

    return rc < 0 ? rc
                  : seccomp_rule_add_array(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prctl), 1, &other);
}

/* Its limits can be read, which libc does for the stack. Those that a worker sets for each task can be
 * changed, below what sandbox_enter has fixed. */
static int allow_prlimit(scmp_filter_ctx ctx)
{
    static const scmp_datum_t own[] = {RLIMIT_DATA, RLIMIT_CPU};
    static const scmp_datum_t fixed[] = {RLIMIT_FSIZE,    RLIMIT_STACK,  RLIMIT_CORE,
                                         RLIMIT_NPROC,    RLIMIT_NOFILE, RLIMIT_MEMLOCK,
                                         RLIMIT_AS,       RLIMIT_NICE,   RLIMIT_RTPRIO,
                                         RLIMIT_MSGQUEUE, RLIMIT_RTTIME, RLIMIT_SIGPENDING};
    struct scmp_arg_cmp look[] = {SCMP_A0(SCMP_CMP_EQ, 0), SCMP_A2(SCMP_CMP_EQ, 0)};
    int rc = allow_if(ctx, SCMP_SYS(prlimit64), ARRAY_SIZE(look), look);

    for (size_t i = 0; i < ARRAY_SIZE(own) && rc == 0; i++) {
        struct scmp_arg_cmp change[] = {SCMP_A0(SCMP_CMP_EQ, 0), SCMP_A1(SCMP_CMP_EQ, own[i]),
                                        SCMP_A2(SCMP_CMP_NE, 0)};
        rc = allow_if(ctx, SCMP_SYS(prlimit64), ARRAY_SIZE(change), change);
    }
    for (size_t i = 0; i < ARRAY_SIZE(fixed) && rc == 0; i++) {
        struct scmp_arg_cmp change[] = {SCMP_A1(SCMP_CMP_EQ, fixed[i]), SCMP_A2(SCMP_CMP_NE, 0)};
        rc = seccomp_rule_add_array(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(prlimit64),
                                    ARRAY_SIZE(change), change);
    }
    return rc;
}

int seccomp_add_kernel(scmp_filter_ctx ctx)
{
    static int (*const parts[])(scmp_filter_ctx) = {
        allow_all,   allow_signals_to_itself, allow_memory, allow_fstat, allow_fcntl,
        allow_prctl, allow_prlimit,
    };
    int rc = 0;

    for (size_t i = 0; i < ARRAY_SIZE(parts) && rc == 0; i++)
        rc = parts[i](ctx);
    return rc;
}
