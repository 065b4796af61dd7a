#include "thread/mailbox.h"

#include <errno.h>

#include "base/check.h"
#include "base/clock.h"

void mailbox_init(struct mailbox *m)
{
    pthread_condattr_t attributes;

    lock_init(&m->lock, LOCK_LIMITS);
    CHECK(pthread_condattr_init(&attributes) == 0);
    CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&m->filled, &attributes) == 0);
    (void)pthread_condattr_destroy(&attributes);
    STAILQ_INIT(&m->waiting);
    m->taker_sleeps = false;
}

void mailbox_release(struct mailbox *m)
{
    CHECK(STAILQ_EMPTY(&m->waiting));
    CHECK(pthread_cond_destroy(&m->filled) == 0);
    lock_release(&m->lock);
}

void mailbox_post(struct mailbox *m, struct mail *letter)
{
    LOCKED(&m->lock);

    STAILQ_INSERT_TAIL(&m->waiting, letter, link);
    /* Within the lock: who takes the letter may take the mailbox apart. */
    if (m->taker_sleeps)
        CHECK(pthread_cond_signal(&m->filled) == 0);
    m->taker_sleeps = false;
}

/* False when the deadline has passed. */
static bool sleep_until(struct mailbox *m, uint64_t deadline_ns)
{
    struct timespec deadline = {.tv_sec = (time_t)(deadline_ns / CLOCK_NS_PER_S),
                                .tv_nsec = (long)(deadline_ns % CLOCK_NS_PER_S)};
    int rc;

    m->taker_sleeps = true;
    if (deadline_ns == CLOCK_NEVER)
        rc = pthread_cond_wait(&m->filled, &m->lock.mutex);
    else
        rc = pthread_cond_timedwait(&m->filled, &m->lock.mutex, &deadline);
    m->taker_sleeps = false;
    CHECK(rc == 0 || rc == ETIMEDOUT);
    return rc == 0;
}

size_t mailbox_take(struct mailbox *m, struct mail_list *ret, size_t max, uint64_t deadline_ns)
{
    size_t count = 0;
    LOCKED(&m->lock);

    while (STAILQ_EMPTY(&m->waiting) && sleep_until(m, deadline_ns))
        continue;
    for (; count < max && !STAILQ_EMPTY(&m->waiting); count++) {
        struct mail *letter = STAILQ_FIRST(&m->waiting);
        STAILQ_REMOVE_HEAD(&m->waiting, link);
        STAILQ_INSERT_TAIL(ret, letter, link);
    }
    return count;
}
