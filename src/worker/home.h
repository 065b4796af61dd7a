/*
 * F3, behind the wall. A worker's home core. The system wakes a worker where it last ran if that is idle, so
 * two workers that once ended up on one core are woken there together, again and again, while another
 * core idles: 10 ms of work on two workers then take almost 10 ms.
 *
 * So before a chunk a worker that is away goes home, and is free to be moved from there at once. It is never
 * pinned: when something else keeps the home busy, the system moves it on.
 */
#ifndef WORKER_HOME_H
#define WORKER_HOME_H

#include <sched.h>

struct home {
    int cpu; /* -1: none */
    cpu_set_t allowed;
};

/* `cpu` below 0, or one that this process may not use, means no home. */
void home_init(struct home *h, int cpu);
void home_return(const struct home *h);

#endif
