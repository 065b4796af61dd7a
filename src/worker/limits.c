#include "worker/limits.h"

#include <stdio.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/fd.h"

enum { STATM_BYTES_MAX = 256 };

uint64_t limits_data_bytes(const char *statm, uint64_t page_bytes)
{
    unsigned long long pages = 0;

    /* size resident shared text lib data dt */
    if (sscanf(statm, "%*u %*u %*u %*u %*u %llu", &pages) != 1)
        return 0;
    return pages * page_bytes;
}

static void set_soft(int resource, const struct rlimit *was, rlim_t soft)
{
    struct rlimit limit = {.rlim_cur = MIN(soft, was->rlim_max), .rlim_max = was->rlim_max};
    (void)setrlimit((__rlimit_resource_t)resource,
                    &limit); /* below the hard limit it cannot fail */
}

static void set_data(const struct limits *was, uint64_t bytes, int statm_fd)
{
    char statm[STATM_BYTES_MAX];
    ssize_t n = pread(statm_fd, statm, sizeof(statm) - 1, 0);
    uint64_t now;

    statm[MAX(n, 0)] = '\0';
    now = limits_data_bytes(statm, (uint64_t)sysconf(_SC_PAGESIZE));
    if (now > 0) /* without /proc there is no telling what is there already */
        set_soft(RLIMIT_DATA, &was->data, MIN(now + bytes, was->data.rlim_cur));
}

void limits_set(struct limits *was, const struct manifest_limits *l, int statm_fd, uint64_t cpu_ns)
{
    if (l == NULL || getrlimit(RLIMIT_DATA, &was->data) < 0 || getrlimit(RLIMIT_CPU, &was->cpu) < 0)
        return;
    if (l->memory_bytes > 0)
        set_data(was, l->memory_bytes, statm_fd);
    /* Whole seconds: up, so that none has less than it was given. */
    if (l->cpu_s > 0)
        set_soft(RLIMIT_CPU, &was->cpu,
                 MIN((cpu_ns + CLOCK_NS_PER_S - 1) / CLOCK_NS_PER_S + l->cpu_s, was->cpu.rlim_cur));
}

void limits_lift(const struct limits *was, const struct manifest_limits *l)
{
    if (l == NULL)
        return;
    if (l->memory_bytes > 0)
        set_soft(RLIMIT_DATA, &was->data, was->data.rlim_cur);
    if (l->cpu_s > 0)
        set_soft(RLIMIT_CPU, &was->cpu, was->cpu.rlim_cur);
}
