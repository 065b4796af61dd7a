/*
 * Behind the wall, apart from its floors. One lock around all work, handed over as CPython hands over its interpreter
 * lock: who waits for it waits GIL_SWITCH_MS, and if nobody else got it meanwhile asks for it; who holds it looks now and
 * then whether it was asked, and if so lets go and waits until another has it. Who lets go because it is about to wait for
 * something else does not stand in line for that.
 *
 * Threads of one process. A thread is named by its index, which no other may have.
 */
#ifndef EXPERIMENT_GIL_H
#define EXPERIMENT_GIL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { GIL_SWITCH_MS = 5 };

struct gil {
    pthread_mutex_t held;      /* by whoever works, for as long as it works */
    pthread_mutex_t news;      /* of what follows; held for a moment */
    pthread_cond_t taken;      /* last_holder is another */
    int last_holder;           /* -1: none yet */
    _Atomic uint64_t switches; /* times that another got it than had it before */
    _Atomic bool is_wanted;
};

void gil_init(struct gil *g);
void gil_release(struct gil *g); /* nobody may hold it */

void gil_take(struct gil *g, int who);
void gil_drop(struct gil *g);

/* Whether somebody has asked for it; the holder then calls gil_drop, gil_await_switch, and gil_take again. */
static inline bool gil_is_wanted(struct gil *g)
{
    return atomic_load_explicit(&g->is_wanted, memory_order_relaxed);
}

/* After gil_drop: until another than `who` has taken it, which somebody who has asked for it will. */
void gil_await_switch(struct gil *g, int who);

#endif
