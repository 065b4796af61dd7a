#include "http/clients.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/hash.h"
#include "thread/lock.h"

#define HASH_NONFATAL_OOM           1
#define uthash_nonfatal_oom(client) ((client)->is_homeless = true)
#include <uthash.h>

enum { SWEPT_PER_CALL = 2 }; /* more than one, so that the list of the absent gets shorter */

/* An IPv4 address, or the first half of an IPv6 address. */
struct place {
    uint64_t bits, family;
};

struct client {
    struct clients *all;
    struct place place;
    unsigned connections; /* under the lock */
    bool is_homeless;     /* there was no memory to take it in */
    /* When its bucket is full again, if nothing more is taken: all that a token bucket needs to know. */
    _Atomic uint64_t full_ns;
    UT_hash_handle hh;
    TAILQ_ENTRY(client) link; /* among the absent */
};

TAILQ_HEAD(absent, client);

struct clients {
    struct clients_limits limits;
    uint64_t interval_ns;  /* in which one request is refilled; 0: no limit */
    uint64_t depth_ns;     /* of an empty bucket, to be full */
    struct client anybody; /* everybody's, when there are no limits */
    struct hash_key key;
    struct lock lock; /* for all that follows */
    struct client *known;
    struct absent absent; /* without connections, and their buckets were not full */
};

struct clients *clients_new(struct clients_limits limits)
{
    struct clients *clients = calloc(1, sizeof(*clients));

    if (clients == NULL)
        return NULL;
    clients->limits = limits;
    clients->limits.burst = MAX(limits.burst, 1U);
    if (limits.requests_per_s > 0)
        clients->interval_ns = CLOCK_NS_PER_S / limits.requests_per_s;
    clients->depth_ns = clients->limits.burst * clients->interval_ns;
    clients->anybody.all = clients;
    clients->key = hash_key_new();
    lock_init(&clients->lock, LOCK_LIMITS);
    TAILQ_INIT(&clients->absent);
    return clients;
}

static void forget(struct clients *clients, struct client *client)
{
    HASH_DEL(clients->known, client);
    free(client);
}

struct clients *clients_free(struct clients *clients)
{
    struct client *client;

    if (clients == NULL)
        return NULL;
    while ((client = TAILQ_FIRST(&clients->absent)) != NULL) {
        TAILQ_REMOVE(&clients->absent, client, link);
        forget(clients, client);
    }
    CHECK(clients->known == NULL);
    lock_release(&clients->lock);
    free(clients);
    return NULL;
}

static bool is_unlimited(const struct clients *clients)
{
    return clients->limits.connections == 0 && clients->interval_ns == 0;
}

static struct place place_of(const struct sockaddr *address)
{
    const struct sockaddr_in *v4 = (const void *)address;
    const struct sockaddr_in6 *v6 = (const void *)address;
    struct place place = {.family = address->sa_family};
    bool is_mapped = address->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr);

    if (is_mapped)
        place.family = AF_INET;
    if (address->sa_family == AF_INET)
        memcpy(&place.bits, &v4->sin_addr, sizeof(v4->sin_addr));
    else if (is_mapped)
        memcpy(&place.bits, &v6->sin6_addr.s6_addr[12], sizeof(v4->sin_addr));
    else if (address->sa_family == AF_INET6)
        memcpy(&place.bits, &v6->sin6_addr, sizeof(place.bits));
    return place;
}

/* Forgets absent ones whose buckets are full, a few at a time: each that comes or goes pays for more than it can add. */
static void sweep(struct clients *clients, uint64_t now_ns)
{
    for (int i = 0; i < SWEPT_PER_CALL; i++) {
        struct client *client = TAILQ_FIRST(&clients->absent);
        if (client == NULL)
            return;
        TAILQ_REMOVE(&clients->absent, client, link);
        if (atomic_load(&client->full_ns) <= now_ns)
            forget(clients, client);
        else
            TAILQ_INSERT_TAIL(&clients->absent, client, link);
    }
}

static struct client *add(struct clients *clients, const struct place *place, unsigned hash)
{
    struct client *client = calloc(1, sizeof(*client));

    if (client == NULL)
        return NULL;
    client->all = clients;
    client->place = *place;
    HASH_ADD_BYHASHVALUE(hh, clients->known, place, sizeof(client->place), hash, client);
    if (!client->is_homeless)
        return client;
    free(client);
    return NULL;
}

struct client *clients_enter(struct clients *clients, const struct sockaddr *address,
                             bool *ret_is_full)
{
    const struct place place = place_of(address);
    unsigned hash = (unsigned)hash_bytes(clients->key, &place, sizeof(place));
    unsigned max = clients->limits.connections;
    struct client *client;

    *ret_is_full = false;
    if (is_unlimited(clients))
        return &clients->anybody;
    LOCKED(&clients->lock);
    HASH_FIND_BYHASHVALUE(hh, clients->known, &place, sizeof(place), hash, client);
    *ret_is_full = client != NULL && max > 0 && client->connections >= max;
    if (*ret_is_full)
        return NULL;
    if (client == NULL)
        client = add(clients, &place, hash);
    else if (client->connections == 0)
        TAILQ_REMOVE(&clients->absent, client, link);
    if (client != NULL)
        client->connections++;
    sweep(clients, clock_coarse_ns());
    return client;
}

void client_leave(struct client *client)
{
    struct clients *clients = client->all;

    if (is_unlimited(clients))
        return;
    LOCKED(&clients->lock);
    CHECK(client->connections > 0);
    if (--client->connections == 0)
        TAILQ_INSERT_HEAD(&clients->absent, client, link);
    sweep(clients, clock_coarse_ns());
}

bool client_may_ask(struct client *client, uint64_t now_ns, struct client_quota *ret_quota)
{
    const struct clients *clients = client->all;
    uint64_t full_ns = atomic_load_explicit(&client->full_ns, memory_order_relaxed);
    uint64_t next_ns, owed_ns;
    bool is_refused;

    *ret_quota = (struct client_quota) {.is_refused = false};
    if (clients->interval_ns == 0)
        return true;
    do {
        next_ns = MAX(full_ns, now_ns) + clients->interval_ns;
        is_refused = next_ns - now_ns > clients->depth_ns;
    } while (!is_refused && !atomic_compare_exchange_weak(&client->full_ns, &full_ns, next_ns));
    owed_ns = is_refused ? full_ns - now_ns : next_ns - now_ns;
    *ret_quota = (struct client_quota) {
        .is_refused = is_refused,
        .limit = clients->limits.burst,
        .remaining = (unsigned)((clients->depth_ns - MIN(owed_ns, clients->depth_ns)) /
                                clients->interval_ns),
        .refill_ns = owed_ns,
        .wait_ns = is_refused ? next_ns - now_ns - clients->depth_ns : 0,
    };
    return !is_refused;
}
