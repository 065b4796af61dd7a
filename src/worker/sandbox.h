/*
 * F3, behind the wall. What a freshly forked child gives up before it runs a kernel's code. Uses
 * base; knows nothing of tasks. Called once in a child, never in the zygote itself.
 *
 * Here go the further layers, in this order, each best-effort until the options ask for it: an own
 * uid (after the limits; it clears PDEATHSIG, so set that and check the parent again), Landlock
 * (after no_new_privs), seccomp (last of all).
 */
#ifndef WORKER_SANDBOX_H
#define WORKER_SANDBOX_H

#include <stddef.h>
#include <sys/types.h>

struct err;

enum {
    SANDBOX_FIRST_FD = 3, /* where the kept descriptors go, one after the other */
    SANDBOX_KEEP_MAX = 4,
    SANDBOX_FILES_MAX = 64,
};

struct sandbox_rules {
    const char *name; /* of the process in ps and top */
    pid_t parent;     /* who forked it: it dies with that process */
    int nice;
    int keep
        [SANDBOX_KEEP_MAX]; /* moved to SANDBOX_FIRST_FD + index; -1 leaves that number closed */
    size_t keep_count;
};

/* Default signals, an own session, death with the parent, first in line for the OOM killer, nothing
 * on standard input, standard output where standard error is, no other descriptor than those kept,
 * no core, few files, no new privileges. Negative errno with a sentence when a required step fails;
 * the child must then end. -ESRCH: the parent is gone already. */
int sandbox_enter(const struct sandbox_rules *rules, struct err *err);

#endif
