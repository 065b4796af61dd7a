#include <errno.h>
#include <linux/sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "base/check.h"
#include "sandbox/internal.h"
#include "sandbox/seccomp_rules.h"

/* Whatever the arguments: into other processes, into the file systems, into the system itself, and past
 * what watches over it. None has a use in a computation. */
static const int refused[] = {
    /* other processes */
    SCMP_SYS(ptrace),
    SCMP_SYS(process_vm_readv),
    SCMP_SYS(process_vm_writev),
    SCMP_SYS(process_madvise),
    SCMP_SYS(process_mrelease),
    SCMP_SYS(kcmp),
    SCMP_SYS(pidfd_getfd),
    SCMP_SYS(migrate_pages),
    SCMP_SYS(move_pages),
    /* Its session and group are how it and its children are found and killed. */
    SCMP_SYS(setsid),
    SCMP_SYS(setpgid),
    /* namespaces and file systems */
    SCMP_SYS(unshare),
    SCMP_SYS(setns),
    SCMP_SYS(mount),
    SCMP_SYS(umount),
    SCMP_SYS(umount2),
    SCMP_SYS(pivot_root),
    SCMP_SYS(chroot),
    SCMP_SYS(open_tree),
    SCMP_SYS(move_mount),
    SCMP_SYS(fsopen),
    SCMP_SYS(fsconfig),
    SCMP_SYS(fsmount),
    SCMP_SYS(fspick),
    SCMP_SYS(mount_setattr),
    SCMP_SYS(open_by_handle_at),
    SCMP_SYS(name_to_handle_at),
    SCMP_SYS(quotactl),
    SCMP_SYS(quotactl_fd),
    SCMP_SYS(fanotify_init),
    SCMP_SYS(swapon),
    SCMP_SYS(swapoff),
    /* what has often been the way into the system */
    SCMP_SYS(bpf),
    SCMP_SYS(perf_event_open),
    SCMP_SYS(userfaultfd),
    SCMP_SYS(io_uring_setup),
    SCMP_SYS(io_uring_enter),
    SCMP_SYS(io_uring_register),
    SCMP_SYS(keyctl),
    SCMP_SYS(add_key),
    SCMP_SYS(request_key),
    SCMP_SYS(vmsplice),
    SCMP_SYS(personality),
    SCMP_SYS(modify_ldt),
    SCMP_SYS(lookup_dcookie),
    SCMP_SYS(nfsservctl),
    SCMP_SYS(vm86),
    SCMP_SYS(vm86old),
    /* memory that no limit counts, and that may outlive it */
    SCMP_SYS(memfd_create),
    SCMP_SYS(memfd_secret),
    SCMP_SYS(shmget),
    SCMP_SYS(semget),
    SCMP_SYS(msgget),
    SCMP_SYS(mq_open),
    /* the machine */
    SCMP_SYS(init_module),
    SCMP_SYS(finit_module),
    SCMP_SYS(delete_module),
    SCMP_SYS(create_module),
    SCMP_SYS(query_module),
    SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load),
    SCMP_SYS(reboot),
    SCMP_SYS(acct),
    SCMP_SYS(settimeofday),
    SCMP_SYS(clock_settime),
    SCMP_SYS(clock_adjtime),
    SCMP_SYS(adjtimex),
    SCMP_SYS(sethostname),
    SCMP_SYS(setdomainname),
    SCMP_SYS(syslog),
    SCMP_SYS(iopl),
    SCMP_SYS(ioperm),
    SCMP_SYS(vhangup),
    SCMP_SYS(_sysctl),
    SCMP_SYS(uselib),
};

static int refuse(scmp_filter_ctx ctx, int call, unsigned error)
{
    return seccomp_rule_add(ctx, SCMP_ACT_ERRNO(error), call, 0);
}

static int refuse_if(scmp_filter_ctx ctx, int call, struct scmp_arg_cmp arg)
{
    return seccomp_rule_add_array(ctx, SCMP_ACT_ERRNO(EPERM), call, 1, &arg);
}

/* A call that this machine's architecture does not have is refused by that. */
static int refuse_all(scmp_filter_ctx ctx)
{
    int rc = 0;

    for (size_t i = 0; i < ARRAY_SIZE(refused) && rc == 0; i++)
        rc = refuse(ctx, refused[i], EPERM);
    return rc;
}

/* Keys pressed into a terminal, and an end of the death with its parent. */
static int refuse_tricks(scmp_filter_ctx ctx)
{
    int rc = refuse_if(ctx, SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, TIOCSTI));

    if (rc == 0)
        rc = refuse_if(ctx, SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, TIOCLINUX));
    if (rc == 0)
        rc = refuse_if(ctx, SCMP_SYS(prctl),
                       SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, PR_SET_PDEATHSIG));
    return rc;
}

/* What asks for another process by its pid, and would be let to when the uid is the server's own. 0 is who
 * asks, as libc does; of users it is all. */
static int refuse_by_pid(scmp_filter_ctx ctx)
{
    static const int first[] = {SCMP_SYS(prlimit64), SCMP_SYS(sched_setaffinity),
                                SCMP_SYS(sched_setscheduler), SCMP_SYS(sched_setparam),
                                SCMP_SYS(sched_setattr)};
    static const int second[] = {SCMP_SYS(setpriority), SCMP_SYS(ioprio_set)};
    enum { OF_USER = 2 };
    int rc = refuse_if(ctx, SCMP_SYS(setpriority), SCMP_A0(SCMP_CMP_EQ, OF_USER));

    for (size_t i = 0; i < ARRAY_SIZE(first) && rc == 0; i++)
        rc = refuse_if(ctx, first[i], SCMP_A0(SCMP_CMP_NE, 0));
    for (size_t i = 0; i < ARRAY_SIZE(second) && rc == 0; i++)
        rc = refuse_if(ctx, second[i], SCMP_A1(SCMP_CMP_NE, 0));
    return rc;
}

/* Without the network no socket at all can be made but pairs: one of AF_UNIX could be connected to any
 * path that its uid can reach, which Landlock does not see. With it, those that libc needs. */
static int refuse_sockets(scmp_filter_ctx ctx, bool network)
{
    static const int kept[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
    struct scmp_arg_cmp pair = SCMP_A0(SCMP_CMP_NE, AF_UNIX);
    int rc = refuse_if(ctx, SCMP_SYS(socketpair), pair);

    if (!network)
        return rc < 0 ? rc : refuse(ctx, SCMP_SYS(socket), EPERM);
    for (int family = 0; family < AF_MAX && rc == 0; family++) {
        bool is_kept = false;
        for (size_t i = 0; i < ARRAY_SIZE(kept); i++)
            is_kept = is_kept || kept[i] == family;
        if (!is_kept)
            rc = refuse_if(ctx, SCMP_SYS(socket), SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)family));
    }
    if (rc == 0)
        rc = refuse_if(ctx, SCMP_SYS(socket), SCMP_A0(SCMP_CMP_GE, AF_MAX));
    return rc;
}

/* Alone, it has nobody to signal but itself. */
static int refuse_others(scmp_filter_ctx ctx)
{
    static const int by_pid[] = {SCMP_SYS(kill), SCMP_SYS(tgkill), SCMP_SYS(rt_sigqueueinfo),
                                 SCMP_SYS(rt_tgsigqueueinfo)};
    static const int starts[] = {SCMP_SYS(clone), SCMP_SYS(fork), SCMP_SYS(vfork)};
    int rc = refuse(ctx, SCMP_SYS(clone3), ENOSYS);

    for (size_t i = 0; i < ARRAY_SIZE(by_pid) && rc == 0; i++)
        rc = refuse_if(ctx, by_pid[i], SCMP_A0(SCMP_CMP_NE, SECCOMP_NO_PID));
    for (size_t i = 0; i < ARRAY_SIZE(starts) && rc == 0; i++)
        rc = refuse(ctx, starts[i], EPERM);
    if (rc == 0)
        rc = refuse(ctx, SCMP_SYS(tkill), EPERM);
    if (rc == 0)
        rc = refuse(ctx, SCMP_SYS(pidfd_send_signal), EPERM);
    return rc;
}

/* clone3 keeps its flags where a filter cannot look, so libc is sent to clone. A negative pid is a group,
 * or everybody; its own group is 0. */
static int refuse_namespaces(scmp_filter_ctx ctx)
{
    static const scmp_datum_t flags[] = {CLONE_NEWNS,  CLONE_NEWUTS, CLONE_NEWIPC,   CLONE_NEWUSER,
                                         CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWCGROUP};
    int rc = refuse(ctx, SCMP_SYS(clone3), ENOSYS);

    for (size_t i = 0; i < ARRAY_SIZE(flags) && rc == 0; i++)
        rc = refuse_if(ctx, SCMP_SYS(clone), SCMP_A0(SCMP_CMP_MASKED_EQ, flags[i], flags[i]));
    if (rc == 0)
        rc = refuse_if(ctx, SCMP_SYS(kill), SCMP_A0(SCMP_CMP_MASKED_EQ, 0x80000000, 0x80000000));
    return rc;
}

int seccomp_add_program(scmp_filter_ctx ctx, bool network, bool threads)
{
    int rc = refuse_all(ctx);

    if (rc == 0)
        rc = refuse_tricks(ctx);
    if (rc == 0)
        rc = refuse_by_pid(ctx);
    if (rc == 0)
        rc = refuse_sockets(ctx, network);
    if (rc == 0)
        rc = threads ? refuse_namespaces(ctx) : refuse_others(ctx);
    return rc;
}
