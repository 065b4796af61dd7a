#include "experiment/gil.h"

#include <errno.h>

#include "base/check.h"
#include "base/clock.h"

void gil_init(struct gil *g)
{
    CHECK(pthread_mutex_init(&g->held, NULL) == 0);
    CHECK(pthread_mutex_init(&g->news, NULL) == 0);
    CHECK(pthread_cond_init(&g->taken, NULL) == 0);
    g->last_holder = -1;
    atomic_init(&g->switches, 0);
    atomic_init(&g->is_wanted, false);
}

void gil_release(struct gil *g)
{
    CHECK(pthread_mutex_destroy(&g->held) == 0);
    CHECK(pthread_mutex_destroy(&g->news) == 0);
    CHECK(pthread_cond_destroy(&g->taken) == 0);
}

/* Whether it was got in time. */
static bool wait_a_turn(struct gil *g)
{
    uint64_t until_ns = clock_now_ns() + GIL_SWITCH_MS * CLOCK_NS_PER_MS;
    struct timespec until = {.tv_sec = (time_t)(until_ns / CLOCK_NS_PER_S),
                             .tv_nsec = (long)(until_ns % CLOCK_NS_PER_S)};
    int rc = pthread_mutex_clocklock(&g->held, CLOCK_MONOTONIC, &until);

    CHECK(rc == 0 || rc == ETIMEDOUT);
    return rc == 0;
}

void gil_take(struct gil *g, int who)
{
    uint64_t seen = atomic_load(&g->switches);

    while (!wait_a_turn(g)) {
        uint64_t now = atomic_load(&g->switches);
        if (now == seen)
            atomic_store(&g->is_wanted, true);
        seen = now;
    }
    atomic_store(&g->is_wanted, false);
    CHECK(pthread_mutex_lock(&g->news) == 0);
    if (g->last_holder != who) {
        g->last_holder = who;
        atomic_fetch_add(&g->switches, 1);
        CHECK(pthread_cond_broadcast(&g->taken) == 0);
    }
    CHECK(pthread_mutex_unlock(&g->news) == 0);
}

void gil_drop(struct gil *g)
{
    CHECK(pthread_mutex_unlock(&g->held) == 0);
}

void gil_await_switch(struct gil *g, int who)
{
    CHECK(pthread_mutex_lock(&g->news) == 0);
    while (g->last_holder == who)
        CHECK(pthread_cond_wait(&g->taken, &g->news) == 0);
    CHECK(pthread_mutex_unlock(&g->news) == 0);
}
