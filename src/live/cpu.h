/*
 * F4b. CPU time of processes, as the system counts it for each: in total, and over the time between two looks.
 */
#ifndef LIVE_CPU_H
#define LIVE_CPU_H

#include <stddef.h>
#include <stdint.h>

#include "sched/sched.h"

struct cpu_entry {
    int pid;
    uint64_t total_ns;
    double cores; /* used between the last two looks; NAN: unknown */
};

struct cpu_table {
    uint64_t looked_ns; /* 0: never */
    size_t count;
    struct cpu_entry entries[SCHED_WORKERS_MAX];
};

/* Of a process that may have ended; negative errno. */
int cpu_total_ns(int pid, uint64_t *ret);

/* Looks at these processes now, and forgets all others. What they used together since the last look, in cores; NAN at the
 * first. One that was not there then has used all its time since. */
double cpu_look(struct cpu_table *table, const struct sched_status *st, uint64_t now_ns);

/* All are known to rest. */
void cpu_rest(struct cpu_table *table);

/* NAN: unknown. */
double cpu_cores_of(const struct cpu_table *table, int pid);

#endif
