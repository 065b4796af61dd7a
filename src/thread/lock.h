/*
 * F1. Mutexes with a rank. A thread may only take a lock whose rank is above all that it holds; debug
 * builds abort at the first wrong step, so a deadlock is found by any run that could lead to it.
 *
 * The ranks are the lock order of the house: src/README.md.
 */
#ifndef THREAD_LOCK_H
#define THREAD_LOCK_H

#include <pthread.h>
#include <stdbool.h>

enum lock_rank {
    LOCK_PARK = 10,
    LOCK_SCHED = 20,
    LOCK_STORE = 30,
    LOCK_STATE = 40,
    LOCK_LIMITS = 50,
    LOCK_CATALOG = 60,
};

struct lock {
    pthread_mutex_t mutex;
    enum lock_rank rank;
};

void lock_init(struct lock *l, enum lock_rank rank);
void lock_release(struct lock *l);
void lock_take(struct lock *l);
void lock_drop(struct lock *l);

/* For CHECK(lock_is_held(&l)) in functions that need it; always true in release builds. */
bool lock_is_held(const struct lock *l);

struct lock *lock_take_scoped(struct lock *l);
void lock_drop_scoped(struct lock **l);

/* Holds `l` to the end of the block. */
#define LOCKED(l)                                                                                  \
    struct lock *locked_ __attribute__((cleanup(lock_drop_scoped), unused)) = lock_take_scoped(l)

#endif
