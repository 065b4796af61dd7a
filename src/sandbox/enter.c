#include <errno.h>

#include "base/err.h"
#include "sandbox/internal.h"

struct step {
    uint32_t layer; /* 0: always */
    int (*enter)(const struct sandbox_rules *rules, struct err *err);
};

/*
 * The order is the point. What needs privileges or the way to files comes before what takes them:
 * the cgroup and the network outside, then the descriptors (/dev/null is opened), then the uid, which
 * clears the death with the parent, so that is said again. Landlock and seccomp are to be had without
 * privileges only under no_new_privs. Seccomp is last, for it would refuse all of the others.
 */
static const struct step steps[] = {
    {0, process_begin},
    {LAYER_CGROUP, cgroup_enter},
    {LAYER_NETWORK, network_enter},
    {0, process_keep_fds},
    {LAYER_LIMITS, limits_enter},
    {LAYER_USER, user_enter},
    {0, process_bind},
    {LAYER_LIMITS, limits_enter_processes},
    {LAYER_NO_NEW_PRIVS, privileges_enter},
    {LAYER_LANDLOCK, landlock_enter},
    {LAYER_SECCOMP, seccomp_enter},
};

int sandbox_enter(const struct sandbox_rules *rules, struct err *err)
{
    uint32_t active = sandbox_report()->active;
    int rc = 0;

    CHECK(rules->policy != NULL && rules->keep_count <= SANDBOX_KEEP_MAX &&
          rules->policy->read_count <= SANDBOX_READ_MAX);
    for (size_t i = 0; i < ARRAY_SIZE(steps) && rc == 0; i++) {
        if (steps[i].layer == 0 || (steps[i].layer & active))
            rc = steps[i].enter(rules, err);
    }
    return rc;
}

int sandbox_narrow(struct err *err)
{
    return sandbox_report()->active & LAYER_SECCOMP ? seccomp_enter_kernel(err) : 0;
}

void sandbox_forget(pid_t pid)
{
    if (sandbox_report()->active & LAYER_CGROUP)
        cgroup_forget(pid);
}
