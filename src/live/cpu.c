#include "live/cpu.h"

#include <errno.h>
#include <math.h>

#include "base/clock.h"

int cpu_total_ns(int pid, uint64_t *ret)
{
    struct timespec t;
    clockid_t clock;
    int rc = clock_getcpuclockid(pid, &clock);

    if (rc != 0)
        return -rc;
    if (clock_gettime(clock, &t) < 0)
        return -errno;
    *ret = clock_from_timespec(t);
    return 0;
}

static const struct cpu_entry *find(const struct cpu_table *table, int pid)
{
    for (size_t i = 0; i < table->count; i++) {
        if (table->entries[i].pid == pid)
            return &table->entries[i];
    }
    return NULL;
}

/* A pid may have been given to another process meanwhile: then its time has gone back. */
static double cores(const struct cpu_table *before, const struct cpu_entry *now, uint64_t passed_ns)
{
    const struct cpu_entry *then = find(before, now->pid);
    uint64_t since_ns = then == NULL || then->total_ns > now->total_ns ? 0 : then->total_ns;

    return (double)(now->total_ns - since_ns) / (double)passed_ns;
}

double cpu_look(struct cpu_table *table, const struct sched_status *st, uint64_t now_ns)
{
    struct cpu_table next = {.looked_ns = now_ns, .count = 0};
    uint64_t passed_ns = now_ns - table->looked_ns;
    bool is_known = table->looked_ns != 0 && passed_ns > 0;
    double sum = 0;

    for (size_t i = 0; i < st->worker_count; i++) {
        struct cpu_entry *e = &next.entries[next.count];
        e->pid = st->workers[i].worker.pid;
        if (cpu_total_ns(e->pid, &e->total_ns) < 0)
            continue;
        e->cores = is_known ? cores(table, e, passed_ns) : (double)NAN;
        sum += e->cores;
        next.count++;
    }
    *table = next;
    return is_known ? sum : (double)NAN;
}

void cpu_rest(struct cpu_table *table)
{
    for (size_t i = 0; i < table->count; i++)
        table->entries[i].cores = 0;
}

double cpu_cores_of(const struct cpu_table *table, int pid)
{
    const struct cpu_entry *e = find(table, pid);

    return e == NULL ? (double)NAN : e->cores;
}
