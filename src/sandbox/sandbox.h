/*
 * F2, behind the wall. What a freshly forked child gives up before it runs foreign code: a kernel's, or
 * a program's. Uses base, and of ipc the names of the layers; knows nothing of kernels, tasks or frames.
 *
 * Prepared once in the zygote, then entered by each child, alone and with one thread. Whatever the mode,
 * a child begins with default signals, in a session of its own, with no descriptor but what it was given,
 * first in line for the OOM killer, and dies with the zygote. The rest is layers (ipc/layers.h), and each
 * does what the system lets it: LAYER_… in `active` says so. How they are built and why in this order is
 * told in the files: limits.c, user.c, landlock.c, seccomp.c, network.c, cgroup.c.
 */
#ifndef SANDBOX_SANDBOX_H
#define SANDBOX_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "ipc/layers.h"

struct err;

enum {
    SANDBOX_FIRST_FD = 3, /* where the kept descriptors go, one after the other */
    SANDBOX_KEEP_MAX = 4,
    SANDBOX_FILES_MAX = 64, /* open files, when a policy does not say */
    SANDBOX_PIDS_MAX = 64,  /* processes and threads of one child that may have them, likewise */
    SANDBOX_READ_MAX = 32,  /* paths in one policy, and in the config */
};

enum sandbox_kind {
    SANDBOX_KERNEL, /* runs .so kernels itself: opens nothing, starts nothing, talks to nobody */
    SANDBOX_PROGRAM, /* will exec: may read the system's libraries, the kernels' directory, and `read` */
};

/* What one child may. All zero is the strictest, but for the limits. The pointers are the caller's, who
 * keeps them until sandbox_enter is through. */
struct sandbox_policy {
    enum sandbox_kind kind;
    /* KERNEL: what it allocates (RLIMIT_DATA), so shared slabs are not counted. PROGRAM: address space.
     * 0: no limit. The cgroup's limit too, where there is one. */
    uint64_t memory_bytes;
    uint64_t cpu_s;  /* of its whole life; then SIGKILL. 0: no limit */
    uint32_t nofile; /* 0: SANDBOX_FILES_MAX */
    uint32_t pids;   /* with `threads`, where there is a cgroup. 0: SANDBOX_PIDS_MAX */
    bool network;    /* PROGRAM only: may use the network that prong has */
    bool threads;    /* PROGRAM only: may have threads and child processes */
    const char *const
        *read; /* PROGRAM only: absolute paths of files and folders it may read, folders with
                                all that is below */
    size_t read_count; /* at most SANDBOX_READ_MAX */
};

struct sandbox_config {
    enum layers_mode mode;
    uint32_t without;        /* layers to leave out */
    const char *user;        /* whose uid and gids children get when we are root; NULL: nobody */
    const char *kernels_dir; /* absolute; programs may read and execute what is there. NULL: none */
    const char *const
        *read; /* absolute; every program may read these as well (the SDK). May not exist */
    size_t read_count;
    const char *cgroup_dir; /* our own cgroup's directory; NULL: as /proc says */
};

/* What prepare found. */
struct sandbox_report {
    uint32_t wanted;  /* mask of LAYER_…, as mode and `without` say */
    uint32_t active;  /* of those, what children enter */
    int landlock_abi; /* of this system; 0: it has none */
    uid_t uid;        /* that children run as */
};

/* Once, in the zygote, with one thread, before the first child; copies what it needs of `config`. Looks
 * what the system offers, and takes the zygote itself out of the network and into a cgroup where that may
 * be. With LAYERS_STRICT a layer that is wanted and not to be had is a failure: negative errno, and one
 * sentence that names it and what to do. (Only the cgroup is not demanded: few systems delegate one.)
 * Otherwise it fails only for a user that does not exist. */
int sandbox_prepare(const struct sandbox_config *config, struct err *err);

/* The pointer stays valid; all zero before sandbox_prepare, and children then enter no layer. */
const struct sandbox_report *sandbox_report(void);

struct sandbox_rules {
    const char *name; /* of the process in ps and top */
    const struct sandbox_policy *policy;
    pid_t parent; /* who forked it: it dies with that process */
    int nice;
    /* What becomes 0, 1 and 2; all three given, or NULL: nothing, standard error, standard error. */
    const int *stdio;
    /* Moved to SANDBOX_FIRST_FD + index; -1 leaves that number closed. Close-on-exec for a KERNEL,
     * not for a PROGRAM: they are what it gets. */
    int keep[SANDBOX_KEEP_MAX];
    size_t keep_count;
};

/* In the child. All other descriptors are closed after it. Negative errno with a sentence when a step
 * fails that is required, or a layer that is active; the child must then end. -ESRCH: the parent is gone
 * already. -EACCES for a PROGRAM when it could not even reach the kernels' directory or a path of `read`.
 *
 * A PROGRAM may then execve what it can read, and dlopen, until it does. */
int sandbox_enter(const struct sandbox_rules *rules, struct err *err);

/* In a child that has entered as PROGRAM, and has loaded what it wanted to: from now on only the system
 * calls of a KERNEL. For trials of libraries. */
int sandbox_narrow(struct err *err);

/* In the zygote, after it has waited for `pid`: removes what sandbox_enter made for it outside of itself
 * (its cgroup, and whatever still lives in there). For a pid that never entered it does nothing. */
void sandbox_forget(pid_t pid);

#endif
