/*
 * What the system counts for a process by itself: the layer that is always to be had.
 *
 * Memory is RLIMIT_DATA for a kernel: what it allocates, and not the slabs that are mapped into its worker,
 * whose number and sizes are prong's choice; that shared anonymous memory, which DATA does not count, is
 * not to be had, seccomp sees to. A program can have such memory, so for it all address space counts.
 *
 * Under a sanitizer memory has no limit here, for its shadow alone is terabytes.
 */
#include <errno.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/err.h"
#include "sandbox/internal.h"

enum {
    FILE_BYTES_MAX = 256 << 20, /* of a memfd that it was given, for it can open nothing to write */
    PROCESSES_MAX =
        1024, /* of the sandbox's own uid, all children together; the cgroup counts for each */
};

struct limit {
    int resource;
    rlim_t soft, hard;
};

static int set(struct limit limit, struct err *err)
{
    struct rlimit r = {.rlim_cur = limit.soft, .rlim_max = limit.hard};
    struct rlimit now;

    if (getrlimit((__rlimit_resource_t)limit.resource, &now) == 0) {
        r.rlim_max = MIN(r.rlim_max, now.rlim_max);
        r.rlim_cur = MIN(r.rlim_cur, r.rlim_max);
    }
    if (setrlimit((__rlimit_resource_t)limit.resource, &r) < 0)
        return err_set(err, -errno, "Limit %d cannot be set: %s.", limit.resource, strerror(errno));
    return 0;
}

static int set_both(int resource, rlim_t value, struct err *err)
{
    return set((struct limit) {.resource = resource, .soft = value, .hard = value}, err);
}

static int limit_memory(const struct sandbox_policy *p, struct err *err)
{
    if (p->memory_bytes == 0 || SANDBOX_SANITIZED)
        return 0;
    return set_both(p->kind == SANDBOX_KERNEL ? RLIMIT_DATA : RLIMIT_AS, p->memory_bytes, err);
}

/* First SIGXCPU, which tells the time limit from other deaths; SIGKILL for who ignores that. */
static int limit_cpu(const struct sandbox_policy *p, struct err *err)
{
    if (p->cpu_s == 0)
        return 0;
    return set((struct limit) {RLIMIT_CPU, p->cpu_s, p->cpu_s + 1}, err);
}

/* A kernel has no file to write but what standard error may be, whose size is not its own. */
static int limit_files(const struct sandbox_policy *p, struct err *err)
{
    struct stat st;

    if (p->kind == SANDBOX_PROGRAM)
        return set_both(RLIMIT_FSIZE, FILE_BYTES_MAX, err);
    if (fstat(STDERR_FILENO, &st) == 0 && S_ISREG(st.st_mode))
        return 0;
    return set_both(RLIMIT_FSIZE, 0, err);
}

int limits_enter(const struct sandbox_rules *rules, struct err *err)
{
    const struct sandbox_policy *p = rules->policy;
    int rc = set_both(RLIMIT_CORE, 0, err);

    if (rc == 0)
        rc = set_both(RLIMIT_NOFILE, p->nofile == 0 ? SANDBOX_FILES_MAX : p->nofile, err);
    if (rc == 0)
        rc = set_both(RLIMIT_MEMLOCK, 0, err);
    if (rc == 0)
        rc = set_both(RLIMIT_MSGQUEUE, 0, err);
    if (rc == 0)
        rc = limit_memory(p, err);
    if (rc == 0)
        rc = limit_cpu(p, err);
    return rc == 0 ? limit_files(p, err) : rc;
}

/* It counts all processes of a uid, so a number for one child makes no sense but 0, which means no further
 * one. Not before the uid is changed: who changes to one that has too many could not exec. */
int limits_enter_processes(const struct sandbox_rules *rules, struct err *err)
{
    const struct sandbox_policy *p = rules->policy;

    if (p->kind == SANDBOX_KERNEL || !p->threads)
        return set_both(RLIMIT_NPROC, 0, err);
    if (sandbox_report()->active & LAYER_USER)
        return set_both(RLIMIT_NPROC, PROCESSES_MAX, err);
    return 0; /* the uid of a person, with who knows how many of other programs */
}
