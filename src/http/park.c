#include "http/park.h"

#include <errno.h>
#include <microhttpd.h>

#include "base/check.h"
#include "base/clock.h"

enum { PARK_OUT, PARK_IN };

void park_lot_init(struct park_lot *lot)
{
    pthread_condattr_t attr;

    lock_init(&lot->lock, LOCK_PARK);
    CHECK(pthread_condattr_init(&attr) == 0);
    CHECK(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&lot->emptied, &attr) == 0);
    CHECK(pthread_condattr_destroy(&attr) == 0);
    atomic_init(&lot->parked, 0);
    atomic_init(&lot->draining, false);
}

void park_lot_release(struct park_lot *lot)
{
    CHECK(atomic_load(&lot->parked) == 0);
    CHECK(pthread_cond_destroy(&lot->emptied) == 0);
    lock_release(&lot->lock);
}

/* Counts first and looks second, as park_lot_drain does it the other way round: whatever the order of the
 * two threads, either this sees the drain or the drain's waiter sees the count. */
bool park_lot_enter(struct park_lot *lot)
{
    atomic_fetch_add(&lot->parked, 1);
    if (!atomic_load(&lot->draining))
        return true;
    park_lot_leave(lot);
    return false;
}

/* The last one out goes through the lock, so that whoever has waited for it under the lock may take the lot apart: this
 * thread touches nothing of it any more. The others touch nothing after their exchange. */
void park_lot_leave(struct park_lot *lot)
{
    size_t parked = atomic_load(&lot->parked);

    while (parked > 1) {
        if (atomic_compare_exchange_weak(&lot->parked, &parked, parked - 1))
            return;
    }
    LOCKED(&lot->lock);
    if (atomic_fetch_sub(&lot->parked, 1) == 1)
        CHECK(pthread_cond_broadcast(&lot->emptied) == 0);
}

bool park_suspend(struct park_lot *lot, struct park *p, struct MHD_Connection *connection)
{
    CHECK(atomic_load(&p->state) == PARK_OUT);
    if (!p->held && !park_lot_enter(lot))
        return false;
    p->lot = lot;
    p->connection = connection;
    MHD_suspend_connection(connection);
    atomic_store(&p->state, PARK_IN);
    return true;
}

bool park_resume(struct park *p)
{
    struct park_lot *lot = p->lot;
    struct MHD_Connection *connection = p->connection;
    bool held = p->held;
    int in = PARK_IN;

    if (!atomic_compare_exchange_strong(&p->state, &in, PARK_OUT))
        return false;
    MHD_resume_connection(connection);
    /* The pool thread may have answered and freed p by now. */
    if (!held)
        park_lot_leave(lot);
    return true;
}

void park_lot_drain(struct park_lot *lot)
{
    atomic_store(&lot->draining, true);
}

size_t park_lot_wait(struct park_lot *lot, uint64_t deadline_ns)
{
    struct timespec until = {.tv_sec = (time_t)(deadline_ns / CLOCK_NS_PER_S),
                             .tv_nsec = (long)(deadline_ns % CLOCK_NS_PER_S)};
    LOCKED(&lot->lock);

    while (atomic_load(&lot->parked) > 0) {
        if (pthread_cond_timedwait(&lot->emptied, &lot->lock.mutex, &until) == ETIMEDOUT)
            break;
    }
    return atomic_load(&lot->parked);
}

size_t park_lot_count(struct park_lot *lot)
{
    return atomic_load(&lot->parked);
}
