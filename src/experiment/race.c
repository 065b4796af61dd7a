#include <pthread.h>
#include <stdatomic.h>

#include "base/check.h"
#include "experiment/experiment.h"

struct counting {
    uint64_t n;
    pthread_mutex_t lock;
    volatile uint64_t plain;
    _Atomic uint64_t atomic;
};

/* Reads, adds, writes: what another thread has written in between is lost. To do so is undefined in C, so the program is
 * wrong on purpose; volatile keeps the compiler from adding all n at once. */
__attribute__((no_sanitize("thread"))) static uint64_t add_unlocked(struct lane *lane,
                                                                    unsigned index, void *arg)
{
    struct counting *c = arg;

    (void)index;
    lane_begin(lane);
    for (uint64_t i = 0; i < c->n; i++)
        c->plain = c->plain + 1;
    lane_end(lane);
    return c->n;
}

static uint64_t add_locked(struct lane *lane, unsigned index, void *arg)
{
    struct counting *c = arg;

    (void)index;
    lane_begin(lane);
    for (uint64_t i = 0; i < c->n; i++) {
        (void)pthread_mutex_lock(&c->lock);
        c->plain = c->plain + 1;
        (void)pthread_mutex_unlock(&c->lock);
    }
    lane_end(lane);
    return c->n;
}

static uint64_t add_atomically(struct lane *lane, unsigned index, void *arg)
{
    struct counting *c = arg;

    (void)index;
    lane_begin(lane);
    for (uint64_t i = 0; i < c->n; i++)
        atomic_fetch_add(&c->atomic, 1);
    lane_end(lane);
    return c->n;
}

int race_run(const struct experiment_task *task, struct experiment_report *ret)
{
    static const struct experiment_way ways[] = {
        {"unlocked", CREW_THREADS, add_unlocked},
        {"locked", CREW_THREADS, add_locked},
        {"atomic", CREW_THREADS, add_atomically},
    };
    struct counting c = {.n = task->n, .lock = PTHREAD_MUTEX_INITIALIZER};
    int rc = experiment_go(ways, ARRAY_SIZE(ways), task, &c, ret);

    ret->result = c.plain + atomic_load(&c.atomic);
    ret->expected = task->n * task->workers;
    return rc;
}
