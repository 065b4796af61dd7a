#include "base/check.h"
#include "experiment/experiment.h"
#include "experiment/gil.h"

enum { SLICE = 4096 }; /* additions between two looks at whether the lock is wanted */

struct adding {
    uint64_t n;
    struct gil gil;
};

/* The compiler must take the sum as it is after each addition, for all it knows the assembly has read and changed it; so it
 * can neither put a formula in its place, nor add several at once, nor leave any out. */
uint64_t cpu_add(uint64_t lo, uint64_t hi)
{
    uint64_t sum = 0;

    for (uint64_t i = lo; i < hi; i++) {
        sum += i;
        __asm__ volatile("" : "+r"(sum));
    }
    return sum;
}

static uint64_t add_share(struct lane *lane, unsigned index, void *arg)
{
    const struct adding *a = arg;
    struct crew_share share = crew_share(a->n, index, lane->of);
    uint64_t sum;

    lane_begin(lane);
    sum = cpu_add(share.lo, share.hi);
    lane_end(lane);
    return sum;
}

static void hand_over(struct gil *gil, struct lane *lane, int who)
{
    lane_end(lane);
    gil_drop(gil);
    gil_await_switch(gil, who);
    gil_take(gil, who);
    lane_begin(lane);
}

static uint64_t add_share_under_lock(struct lane *lane, unsigned index, void *arg)
{
    struct adding *a = arg;
    struct crew_share share = crew_share(a->n, index, lane->of);
    uint64_t sum = 0;

    gil_take(&a->gil, (int)index);
    lane_begin(lane);
    while (share.lo < share.hi) {
        uint64_t next = MIN(share.lo + SLICE, share.hi);
        sum += cpu_add(share.lo, next);
        share.lo = next;
        if (gil_is_wanted(&a->gil))
            hand_over(&a->gil, lane, (int)index);
    }
    lane_end(lane);
    gil_drop(&a->gil);
    return sum;
}

int cpu_run(const struct experiment_task *task, struct experiment_report *ret)
{
    static const struct experiment_way ways[] = {
        {"sequential", CREW_ALONE, add_share},
        {"threads", CREW_THREADS, add_share},
        {"threads+gil", CREW_THREADS, add_share_under_lock},
        {"processes", CREW_PROCESSES, add_share},
    };
    struct adding a = {.n = task->n};
    int rc;

    gil_init(&a.gil);
    rc = experiment_go(ways, ARRAY_SIZE(ways), task, &a, ret);
    ret->switches = atomic_load(&a.gil.switches);
    gil_release(&a.gil);
    ret->result = rc < 0 ? 0 : crew_sum(&ret->crew);
    ret->expected = task->n * (task->n - 1) / 2;
    return rc;
}
