#include "jobs/store/tally.h"

#include <errno.h>
#include <string.h>
#include <sys/queue.h>

#include "base/check.h"
#include "base/hash.h"
#include "thread/lock.h"

/* Clients' names are their own: under a hash that they could compute they would make all of them collide. */
static struct hash_key hash_secret;

#define HASH_FUNCTION(key, bytes, hash) ((hash) = (unsigned)hash_bytes(hash_secret, (key), (bytes)))
#define HASH_NONFATAL_OOM               1
#define uthash_nonfatal_oom(entry)      ((entry)->homeless = true)
#include <uthash.h>

struct client {
    char name[RECORD_CLIENT_BYTES];
    uint64_t queued;
    uint64_t queued_before; /* this transaction, while it is in `touched` */
    bool is_touched;
    bool homeless; /* there was no memory to take it in */
    LIST_ENTRY(client) touched;
    UT_hash_handle hh;
};

struct tally {
    struct store_limits limits;
    struct client *clients; /* who has jobs that wait, or had some before this transaction */
    LIST_HEAD(client_list, client) touched;
    struct store_counts now;
    struct lock lock; /* of `kept`, which others read */
    struct store_counts kept;
};

static void draw_secret(void)
{
    hash_secret = hash_key_new();
}

struct tally *tally_new(const struct store_limits *limits)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct tally *t = calloc(1, sizeof(*t));

    CHECK(pthread_once(&once, draw_secret) == 0);
    if (t == NULL)
        return NULL;
    t->limits = *limits;
    lock_init(&t->lock, LOCK_LIMITS);
    return t;
}

struct tally *tally_free(struct tally *t)
{
    struct client *client, *next;

    if (t == NULL)
        return NULL;
    HASH_ITER (hh, t->clients, client, next) {
        HASH_DEL(t->clients, client);
        free(client);
    }
    lock_release(&t->lock);
    free(t);
    return NULL;
}

static struct client *client_find(const struct tally *t, const char *name)
{
    struct client *client;

    HASH_FIND(hh, t->clients, name, strnlen(name, RECORD_CLIENT_BYTES - 1), client);
    return client;
}

static struct client *client_add(struct tally *t, const char *name)
{
    struct client *client = calloc(1, sizeof(*client));
    size_t bytes = strnlen(name, RECORD_CLIENT_BYTES - 1);

    if (client == NULL)
        return NULL;
    memcpy(client->name, name, bytes);
    HASH_ADD_KEYPTR(hh, t->clients, client->name, bytes, client);
    if (client->homeless) {
        free(client);
        return NULL;
    }
    return client;
}

static void client_count(struct tally *t, struct client *client, int by)
{
    if (!client->is_touched) {
        client->is_touched = true;
        client->queued_before = client->queued;
        LIST_INSERT_HEAD(&t->touched, client, touched);
    }
    CHECK(by > 0 || client->queued > 0);
    client->queued += (uint64_t)(int64_t)by;
}

static uint64_t queued_total(const struct store_counts *counts)
{
    uint64_t total = 0;

    for (size_t i = 0; i < RECORD_PRIORITY_COUNT; i++)
        total += counts->queued[i];
    return total;
}

int tally_admit(const struct tally *t, const char *client, uint64_t payload_bytes)
{
    const struct store_limits *limits = &t->limits;
    uint64_t queued = queued_total(&t->now);
    const struct client *who = client_find(t, client);
    uint64_t own = who == NULL ? 0 : who->queued;

    if (queued >= limits->queued_max)
        return -EBUSY;
    if (t->now.queued_bytes > limits->queued_bytes_max ||
        payload_bytes > limits->queued_bytes_max - t->now.queued_bytes)
        return -EFBIG;
    if (own < queued && own >= limits->queued_max - limits->queued_max / 2)
        return -EDQUOT;
    return 0;
}

/* `by` is 1 or -1. */
static void state_count(struct tally *t, const struct record *record, enum record_state state,
                        int by)
{
    struct store_counts *now = &t->now;
    uint64_t times = (uint64_t)(int64_t)by;

    if (state == RECORD_STATE_COUNT)
        return;
    if (record_has_ended(state)) {
        now->ended += times;
        if (record->result == RECORD_RESULT_KEPT)
            now->results_bytes += times * record->result_bytes;
        return;
    }
    now->queued_bytes += times * record->payload_bytes;
    if (state == RECORD_QUEUED)
        now->queued[record->priority] += times;
    else
        now->running += times;
}

int tally_move(struct tally *t, const struct record *record, enum record_state from,
               enum record_state to)
{
    bool counts = from == RECORD_QUEUED || to == RECORD_QUEUED;
    struct client *client = counts ? client_find(t, record->client) : NULL;

    CHECK(record->priority < RECORD_PRIORITY_COUNT);
    if (to == RECORD_QUEUED && client == NULL) {
        client = client_add(t, record->client);
        if (client == NULL)
            return -ENOMEM;
    }
    if (counts && from != to) {
        CHECK(client != NULL);
        client_count(t, client, to == RECORD_QUEUED ? 1 : -1);
    }
    state_count(t, record, from, -1);
    state_count(t, record, to, 1);
    return 0;
}

void tally_result(struct tally *t, int64_t bytes)
{
    t->now.results_bytes += (uint64_t)bytes;
}

void tally_input(struct tally *t, int64_t bytes)
{
    t->now.inputs_bytes += (uint64_t)bytes;
}

void tally_load_ended(struct tally *t, uint64_t count)
{
    t->now.ended += count;
}

void tally_counts_now(const struct tally *t, struct store_counts *ret)
{
    *ret = t->now;
}

/* Clients stay while they might be needed again by a rollback, and go as soon as nothing of theirs waits. */
static void settle_clients(struct tally *t, bool is_kept)
{
    struct client *client;

    while ((client = LIST_FIRST(&t->touched)) != NULL) {
        LIST_REMOVE(client, touched);
        client->is_touched = false;
        if (!is_kept)
            client->queued = client->queued_before;
        if (client->queued == 0) {
            HASH_DEL(t->clients, client);
            free(client);
        }
    }
}

void tally_commit(struct tally *t)
{
    settle_clients(t, true);
    LOCKED(&t->lock);
    t->kept = t->now;
}

void tally_rollback(struct tally *t)
{
    settle_clients(t, false);
    LOCKED(&t->lock);
    t->now = t->kept;
}

void tally_counts(struct tally *t, struct store_counts *ret)
{
    LOCKED(&t->lock);
    *ret = t->kept;
}
