#include "http/seat.h"

#include <string.h>

#include "base/check.h"
#include "http/bytes.h"
#include "http/kept.h"
#include "http/serve.h"
#include "state/metrics.h"
#include "thread/thread.h"

enum { SPARES_MAX = 64 };

struct seat {
    /* Only its thread writes; in a cache line of its own, since server_wait_idle reads it. */
    _Alignas(64) _Atomic size_t in_flight;
    _Atomic size_t connections;
    struct request *spare;
    size_t spares;
    struct static_cache *cache;
    struct kept_table *kept;
    struct seat *next;
};

static _Thread_local struct seat *seat;

static bool take_seat(struct server *s)
{
    if (seat != NULL)
        return true;
    seat = aligned_alloc(_Alignof(struct seat), sizeof(*seat));
    if (seat == NULL)
        return false;
    *seat = (struct seat) {.spare = NULL};
    if (s->files != NULL)
        seat->cache = static_cache_new(s->files);
    thread_set_name("http");
    thread_be_prompt();
    thread_forgo_cancellation();
    LOCKED(&s->idle_lock);
    seat->next = s->seats;
    s->seats = seat;
    return true;
}

struct request *seat_request_take(struct server *s)
{
    struct request *r;

    if (!take_seat(s))
        return NULL;
    r = seat->spare;
    if (r == NULL) {
        r = malloc(sizeof(*r));
    } else {
        seat->spare = r->next;
        seat->spares--;
    }
    if (r != NULL)
        bytes_clear(r, offsetof(struct request, headers));
    return r;
}

void seat_request_give(struct request *r)
{
    if (r->text != r->own_text)
        free(r->text);
    buf_release(&r->body);
    if (seat->spares == SPARES_MAX) {
        free(r);
        return;
    }
    r->next = seat->spare;
    seat->spare = r;
    seat->spares++;
}

struct static_cache *seat_cache(void)
{
    return seat->cache;
}

struct kept_table *seat_kept(void)
{
    if (seat->kept == NULL)
        seat->kept = kept_table_new();
    return seat->kept;
}

void seat_enter_flight(void)
{
    size_t n = atomic_load_explicit(&seat->in_flight, memory_order_relaxed);

    /* Who waits for idleness and misses this one might as well have looked a moment earlier. */
    atomic_store_explicit(&seat->in_flight, n + 1, memory_order_relaxed);
    metrics_add(METRIC_HTTP_IN_FLIGHT, 0, 1);
}

/* The count falls before `draining` is read, and server_drain sets it before the counts are read: so either
 * the waiter sees this count, or it is woken. */
void seat_leave_flight(struct server *s)
{
    metrics_add(METRIC_HTTP_IN_FLIGHT, 0, (uint64_t)-1);
    atomic_fetch_sub(&seat->in_flight, 1);
    if (!atomic_load(&s->draining))
        return;
    server_wake(s);
}

bool seat_count_connection(struct server *s, int change)
{
    if (!take_seat(s))
        return false;
    atomic_fetch_add(&seat->connections, (size_t)change);
    return true;
}

size_t seats_connections_max(const struct seat *first)
{
    size_t most = 0;

    for (const struct seat *each = first; each != NULL; each = each->next)
        most = MAX(most, atomic_load(&each->connections));
    return most;
}

size_t seats_in_flight(const struct seat *first)
{
    size_t n = 0;

    for (const struct seat *each = first; each != NULL; each = each->next)
        n += atomic_load(&each->in_flight);
    return n;
}

void seats_free(struct seat *first)
{
    while (first != NULL) {
        struct seat *gone = first;
        first = gone->next;
        while (gone->spare != NULL) {
            struct request *r = gone->spare;
            gone->spare = r->next;
            free(r);
        }
        (void)static_cache_free(gone->cache);
        (void)kept_table_free(gone->kept);
        free(gone);
    }
}
