/*
 * Ground floor. Monotonic time in nanoseconds; the same clock in every process of this machine, so
 * deadlines can cross the wall as absolute times.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define CLOCK_NS_PER_S  1000000000ULL
#define CLOCK_NS_PER_MS 1000000ULL
#define CLOCK_NS_PER_US 1000ULL
#define CLOCK_NEVER     UINT64_MAX

static inline uint64_t clock_from_timespec(struct timespec t)
{
    return (uint64_t)t.tv_sec * CLOCK_NS_PER_S + (uint64_t)t.tv_nsec;
}

static inline uint64_t clock_now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return clock_from_timespec(t);
}

/* The same to a few milliseconds, for a fifth of the time. */
static inline uint64_t clock_coarse_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return clock_from_timespec(t);
}

/* Wall clock, for people and ids; it can jump. */
static inline uint64_t clock_wall_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_REALTIME, &t);
    return clock_from_timespec(t);
}

/* Milliseconds until `deadline_ns` for poll and epoll_wait, rounded up so that waking means it has
 * passed; -1 for CLOCK_NEVER. */
static inline int clock_poll_ms(uint64_t now_ns, uint64_t deadline_ns)
{
    uint64_t ms;

    if (deadline_ns == CLOCK_NEVER)
        return -1;
    if (deadline_ns <= now_ns)
        return 0;
    ms = (deadline_ns - now_ns + CLOCK_NS_PER_MS - 1) / CLOCK_NS_PER_MS;
    return ms > 60000 ? 60000 : (int)ms;
}

/* Microseconds from `now_ns` to the deadline, negative as soon as it has passed; INT64_MAX for CLOCK_NEVER. */
static inline int64_t clock_left_us(uint64_t deadline_ns, uint64_t now_ns)
{
    if (deadline_ns == CLOCK_NEVER)
        return INT64_MAX;
    if (deadline_ns >= now_ns)
        return (int64_t)((deadline_ns - now_ns) / CLOCK_NS_PER_US);
    return -(int64_t)((now_ns - deadline_ns + CLOCK_NS_PER_US - 1) / CLOCK_NS_PER_US);
}

#endif
