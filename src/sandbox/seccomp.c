/*
 * Which system calls can be made. The filters are made once, by libseccomp in the zygote, and kept as
 * instructions; a child patches its own pid into its copy and hands it to the system.
 *
 * What is always allowed, without a look at arguments, costs nothing on Linux 5.11 and later, which keeps a
 * bitmap of such calls; so all that a worker calls for each task is of that sort. The rest is found by
 * a binary tree.
 *
 * SECCOMP_FILTER_FLAG_SPEC_ALLOW: before 5.16, systems turn off speculation past stores and of indirect
 * branches for processes with a filter, which makes these slower by a tenth and more. That guards data
 * inside a process from code inside it that is confined by other means (a browser's scripts). Here the
 * foreign code may read all of its process anyway, what it runs beside is other processes, and 5.16 and
 * later came to the same default.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/err.h"
#include "base/fd.h"
#include "sandbox/internal.h"
#include "sandbox/seccomp_rules.h"

/* For KERNEL one; for PROGRAM one for each pair of network and threads. */
enum { FILTER_KERNEL, FILTER_PROGRAM, FILTER_COUNT = FILTER_PROGRAM + 4 };

struct filter {
    struct sock_filter *code;
    size_t count;
};

static struct filter filters[FILTER_COUNT];

static unsigned filter_of(bool network, bool threads)
{
    return FILTER_PROGRAM + (network ? 1u : 0) + (threads ? 2u : 0);
}

static int add_rules(scmp_filter_ctx ctx, unsigned which)
{
    unsigned bits = which - FILTER_PROGRAM;

    return which == FILTER_KERNEL ? seccomp_add_kernel(ctx)
                                  : seccomp_add_program(ctx, (bits & 1) != 0, (bits & 2) != 0);
}

static int take_code(int fd, struct filter *f)
{
    struct stat st;
    CLEANUP_FREE void *code = NULL;

    if (fstat(fd, &st) < 0)
        return -errno;
    code = malloc((size_t)st.st_size);
    if (code == NULL)
        return -ENOMEM;
    if (fd_read_from_start(fd, code, (size_t)st.st_size) != st.st_size)
        return -EIO;
    free(f->code);
    f->count = (size_t)st.st_size / sizeof(struct sock_filter);
    f->code = take_ptr(code);
    return 0;
}

static int export_code(scmp_filter_ctx ctx, struct filter *f)
{
    CLEANUP_FD int fd = memfd_create("seccomp", MFD_CLOEXEC);
    int rc = fd < 0 ? -errno : seccomp_export_bpf(ctx, fd);

    return rc < 0 ? rc : take_code(fd, f);
}

static int build(unsigned which)
{
    scmp_filter_ctx ctx =
        seccomp_init(which == FILTER_KERNEL ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_ALLOW);
    int rc;

    if (ctx == NULL)
        return -ENOMEM;
    rc = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (rc == 0)
        rc = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (rc == 0)
        rc = add_rules(ctx, which);
    if (rc == 0)
        rc = export_code(ctx, &filters[which]);
    seccomp_release(ctx);
    return rc;
}

int seccomp_prepare(const struct sandbox_config *config, struct err *err)
{
    uint32_t action = SECCOMP_RET_KILL_PROCESS;
    int rc = 0;

    (void)config;
    if (syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0)
        return err_set(err, -errno,
                       "This system has no filter of system calls, or forbids it: %s; it takes "
                       "Linux 4.14 with CONFIG_SECCOMP_FILTER.",
                       strerror(errno));
    for (unsigned i = 0; i < FILTER_COUNT && rc == 0; i++)
        rc = build(i);
    return rc == 0
               ? 0
               : err_set(err, rc, "The filter of system calls cannot be made: %s.", strerror(-rc));
}

/* A comparison with the pid that no process has becomes one with ours. */
static void patch(struct filter *f)
{
    for (size_t i = 0; i < f->count; i++) {
        struct sock_filter *at = &f->code[i];
        if (BPF_CLASS(at->code) == BPF_JMP && at->k == SECCOMP_NO_PID)
            at->k = (uint32_t)getpid();
    }
}

/* The child's memory is its own, so patching touches nobody else's. */
static int install(unsigned which, struct err *err)
{
    struct filter *f = &filters[which];
    struct sock_fprog program = {.len = (unsigned short)f->count, .filter = f->code};

    patch(f);
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program) < 0)
        return err_set(err, -errno, "The filter of system calls is refused: %s.", strerror(errno));
    return 0;
}

int seccomp_enter_kernel(struct err *err)
{
    return install(FILTER_KERNEL, err);
}

int seccomp_enter(const struct sandbox_rules *rules, struct err *err)
{
    const struct sandbox_policy *p = rules->policy;

    return install(p->kind == SANDBOX_KERNEL ? FILTER_KERNEL : filter_of(p->network, p->threads),
                   err);
}
