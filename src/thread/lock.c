#include "thread/lock.h"

#include "base/check.h"

#ifdef PRONG_DEBUG
enum { HELD_MAX = 8 };
static _Thread_local const struct lock *held[HELD_MAX];
static _Thread_local int held_count;
#endif

void lock_init(struct lock *l, enum lock_rank rank)
{
    pthread_mutexattr_t attributes;

    /* Held for microseconds: worth a short spin before the futex. */
    CHECK(pthread_mutexattr_init(&attributes) == 0);
    CHECK(pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ADAPTIVE_NP) == 0);
    CHECK(pthread_mutex_init(&l->mutex, &attributes) == 0);
    (void)pthread_mutexattr_destroy(&attributes);
    l->rank = rank;
}

void lock_release(struct lock *l)
{
    CHECK(pthread_mutex_destroy(&l->mutex) == 0);
}

void lock_take(struct lock *l)
{
#ifdef PRONG_DEBUG
    CHECK(held_count == 0 || held[held_count - 1]->rank < l->rank);
    CHECK(held_count < HELD_MAX);
    held[held_count++] = l;
#endif
    CHECK(pthread_mutex_lock(&l->mutex) == 0);
}

void lock_drop(struct lock *l)
{
#ifdef PRONG_DEBUG
    CHECK(held_count > 0 && held[held_count - 1] == l);
    held_count--;
#endif
    CHECK(pthread_mutex_unlock(&l->mutex) == 0);
}

bool lock_is_held(const struct lock *l)
{
#ifdef PRONG_DEBUG
    for (int i = 0; i < held_count; i++) {
        if (held[i] == l)
            return true;
    }
    return false;
#else
    (void)l;
    return true;
#endif
}

struct lock *lock_take_scoped(struct lock *l)
{
    lock_take(l);
    return l;
}

void lock_drop_scoped(struct lock **l)
{
    lock_drop(*l);
}
