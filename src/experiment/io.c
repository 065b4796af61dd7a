#include <errno.h>

#include "base/check.h"
#include "base/clock.h"
#include "experiment/experiment.h"
#include "experiment/gil.h"

struct waiting {
    uint64_t n;
    struct gil gil;
};

/* As a thread waits for the answer of another machine: asleep in the system, which wakes it when it is there. */
static void wait_once(void)
{
    struct timespec left = {.tv_nsec = EXPERIMENT_WAIT_MS * (long)CLOCK_NS_PER_MS};

    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR)
        ;
}

static uint64_t wait_share(struct lane *lane, unsigned index, void *arg)
{
    const struct waiting *w = arg;
    struct crew_share share = crew_share(w->n, index, lane->of);

    for (uint64_t i = share.lo; i < share.hi; i++) {
        lane_begin(lane);
        wait_once();
        lane_end(lane);
    }
    return share.hi - share.lo;
}

/* CPython lets go of its lock around every call that may wait. */
static uint64_t wait_share_under_lock(struct lane *lane, unsigned index, void *arg)
{
    struct waiting *w = arg;
    struct crew_share share = crew_share(w->n, index, lane->of);

    gil_take(&w->gil, (int)index);
    for (uint64_t i = share.lo; i < share.hi; i++) {
        gil_drop(&w->gil);
        lane_begin(lane);
        wait_once();
        lane_end(lane);
        gil_take(&w->gil, (int)index);
    }
    gil_drop(&w->gil);
    return share.hi - share.lo;
}

int io_run(const struct experiment_task *task, struct experiment_report *ret)
{
    static const struct experiment_way ways[] = {
        {"sequential", CREW_ALONE, wait_share},
        {"threads", CREW_THREADS, wait_share},
        {"threads+gil", CREW_THREADS, wait_share_under_lock},
        {"processes", CREW_PROCESSES, wait_share},
    };
    struct waiting w = {.n = task->n};
    int rc;

    gil_init(&w.gil);
    rc = experiment_go(ways, ARRAY_SIZE(ways), task, &w, ret);
    ret->switches = atomic_load(&w.gil.switches);
    gil_release(&w.gil);
    ret->result = rc < 0 ? 0 : crew_sum(&ret->crew);
    ret->expected = task->n;
    return rc;
}
