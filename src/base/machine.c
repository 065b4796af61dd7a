#include "base/machine.h"

#include <limits.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/check.h"
#include "base/fd.h"

static const char cgroups[] = "/sys/fs/cgroup";

/* A cpu.max is "QUOTA PERIOD" or "max PERIOD". */
static double quota_in(const char *folder, const char *group)
{
    char path[PATH_MAX], text[128];
    double quota, period;
    int n = snprintf(path, sizeof(path), "%s%s/cpu.max", folder, group);

    if (n > 0 && (size_t)n < sizeof(path) && fd_read_file(path, text, sizeof(text)) > 0 &&
        sscanf(text, "%lf %lf", &quota, &period) == 2 && quota > 0 && period > 0)
        return quota / period;
    return 0;
}

double machine_quota_of(const char *folder, const char *group)
{
    char own[PATH_MAX];
    double least = 0;
    char *slash;

    if (snprintf(own, sizeof(own), "%s", group) >= (int)sizeof(own))
        return 0;
    for (;;) {
        double quota = quota_in(folder, own);
        if (quota > 0 && (least <= 0 || quota < least))
            least = quota;
        slash = strrchr(own, '/');
        if (slash == NULL)
            return least;
        *slash = '\0';
    }
}

/* Version 1 has two files. */
static double quota_v1(void)
{
    char quota_text[64], period_text[64];
    double quota, period;

    if (fd_read_file("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", quota_text, sizeof(quota_text)) > 0 &&
        fd_read_file("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period_text, sizeof(period_text)) >
            0 &&
        sscanf(quota_text, "%lf", &quota) == 1 && sscanf(period_text, "%lf", &period) == 1 &&
        quota > 0 && period > 0)
        return quota / period;
    return 0;
}

static double own_quota(void)
{
    char text[PATH_MAX], group[PATH_MAX] = "";
    const char *line = NULL;
    double found;

    if (fd_read_file("/proc/self/cgroup", text, sizeof(text)) > 0)
        line = strstr(text, "0::/");
    if (line != NULL)
        (void)snprintf(group, sizeof(group), "%.*s", (int)strcspn(line + 3, "\n"), line + 3);
    found = machine_quota_of(cgroups, group);
    return found > 0 ? found : quota_v1();
}

static unsigned affinity(void)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof(set), &set) == 0 ? MAX((unsigned)CPU_COUNT(&set), 1U) : 1;
}

unsigned machine_cores(void)
{
    unsigned cores = affinity();
    double limit = own_quota();

    return limit > 0 && ceil(limit) < cores ? MAX((unsigned)ceil(limit), 1U) : cores;
}

/* x86 says it of every core; elsewhere there may be no such line. */
static void read_cpu_model(char ret[MACHINE_TEXT_BYTES])
{
    static const char key[] = "\nmodel name\t: ";
    char text[4096];
    const char *line;

    *ret = '\0';
    if (fd_read_file("/proc/cpuinfo", text, sizeof(text)) < 0)
        return;
    line = strstr(text, key);
    if (line != NULL)
        (void)snprintf(ret, MACHINE_TEXT_BYTES, "%.*s", (int)strcspn(line + sizeof(key) - 1, "\n"),
                       line + sizeof(key) - 1);
}

void machine_facts(struct machine_facts *ret)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN), pages = sysconf(_SC_PHYS_PAGES);
    struct utsname system;

    *ret = (struct machine_facts) {
        .cores = cores > 0 ? (unsigned)cores : 1,
        .affinity = affinity(),
        .quota = own_quota(),
        .memory_bytes = pages > 0 ? (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE) : 0};
    if (uname(&system) == 0)
        (void)snprintf(ret->kernel, sizeof(ret->kernel), "%.40s %.50s %.30s", system.sysname,
                       system.release, system.machine);
    read_cpu_model(ret->cpu_model);
}
