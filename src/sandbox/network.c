/*
 * A network in which there is nothing, not even a loopback that is up. The zygote goes there once, and its
 * children with it, for an own one for each costs half a millisecond; a program that may use the network
 * goes back. Where this is not permitted, seccomp refuses the sockets.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>

#include "base/err.h"
#include "sandbox/internal.h"

static int outside_fd = -1; /* the network that prong has */

/* A second time it stays where it is: the network outside is still known. */
int network_prepare(const struct sandbox_config *config, struct err *err)
{
    CLEANUP_FD int fd = -1;

    (void)config;
    if (outside_fd >= 0)
        return 0;
    fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || unshare(CLONE_NEWNET | CLONE_NEWIPC) < 0)
        return err_set(err, -errno,
                       "Workers have no network namespace of their own (%s): that takes root, and "
                       "in a container the capability SYS_ADMIN.",
                       strerror(errno));
    outside_fd = take_fd(&fd);
    return 0;
}

int network_enter(const struct sandbox_rules *rules, struct err *err)
{
    const struct sandbox_policy *p = rules->policy;

    if (p->kind == SANDBOX_KERNEL || !p->network)
        return 0;
    if (setns(outside_fd, CLONE_NEWNET) < 0)
        return err_set(err, -errno, "The network cannot be joined: %s.", strerror(errno));
    return 0;
}
