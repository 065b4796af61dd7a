/*
 * Ground floor. This machine, and how much of it is ours: for who must choose a number of threads or
 * workers, and for who shows people what a measurement was made on. Any thread; each call reads the system anew.
 */
#ifndef BASE_MACHINE_H
#define BASE_MACHINE_H

#include <stdint.h>

enum { MACHINE_TEXT_BYTES = 128 };

struct machine_facts {
    unsigned cores;                  /* that the system has switched on */
    unsigned affinity;               /* … of which this thread may use so many */
    double quota;                    /* CPU time that the cgroup may take, in cores; 0: no limit */
    uint64_t memory_bytes;           /* of the machine; 0: unknown */
    char kernel[MACHINE_TEXT_BYTES]; /* "Linux 6.1.0-18-amd64 x86_64" */
    char cpu_model[MACHINE_TEXT_BYTES]; /* as the processor calls itself; "": it does not */
};

void machine_facts(struct machine_facts *ret);

/* Cores that this process may use: by affinity, and no more than the quota, rounded up; at least 1. */
unsigned machine_cores(void);

/* The smallest quota on the way from `group` ("/", "/a/b") up to the root of the cgroups (version 2) in `folder`, in
 * cores; 0: there is none. */
double machine_quota_of(const char *folder, const char *group);

#endif
