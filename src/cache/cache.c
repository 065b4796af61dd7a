#include "cache/cache.h"

#include <sys/queue.h>

#include "base/check.h"
#include "base/clock.h"
#include "thread/lock.h"

#define HASH_NONFATAL_OOM          1
#define uthash_nonfatal_oom(entry) ((entry)->is_homeless = true)
#include <uthash.h>

enum { MALLOC_BYTES = 48 }; /* about what the allocator takes for the three pieces of an entry */

struct entry {
    UT_hash_handle hh;
    TAILQ_ENTRY(entry) link; /* the one that was asked for last comes first */
    struct blob *blob;
    uint64_t born_ns;
    size_t bytes; /* in all */
    bool is_homeless;
    char media_type[sizeof(((struct cache_answer *)NULL)->media_type)];
    char key[];
};
TAILQ_HEAD(entries, entry);

struct cache {
    struct cache_config config;
    struct hash_key secret;
    struct lock lock;
    struct entry *table;
    struct entries order;
    size_t count, bytes;
};

struct cache *cache_new(const struct cache_config *config)
{
    struct cache *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return NULL;
    c->config = *config;
    c->secret = hash_key_new();
    lock_init(&c->lock, LOCK_LIMITS);
    TAILQ_INIT(&c->order);
    return c;
}

struct cache *cache_free(struct cache *c)
{
    if (c == NULL)
        return NULL;
    cache_clear(c);
    lock_release(&c->lock);
    free(c);
    return NULL;
}

struct key *cache_key(const struct cache *c, const struct job *job)
{
    return key_new(c->secret, job);
}

static struct entry *look_up(struct cache *c, const struct key *key)
{
    struct entry *entry = NULL;

    HASH_FIND_BYHASHVALUE(hh, c->table, key->data, key->bytes, (unsigned)key->hash, entry);
    return entry;
}

/* Into `ret_gone`, to be freed without the lock. */
static void take_out(struct cache *c, struct entry *entry, struct entries *ret_gone)
{
    HASH_DELETE(hh, c->table, entry);
    TAILQ_REMOVE(&c->order, entry, link);
    c->count--;
    c->bytes -= entry->bytes;
    TAILQ_INSERT_TAIL(ret_gone, entry, link);
}

static void free_all(struct entries *gone)
{
    struct entry *entry;

    while ((entry = TAILQ_FIRST(gone)) != NULL) {
        TAILQ_REMOVE(gone, entry, link);
        (void)blob_drop(entry->blob);
        free(entry);
    }
}

static void move_to_front(struct cache *c, struct entry *entry)
{
    if (TAILQ_FIRST(&c->order) == entry)
        return;
    TAILQ_REMOVE(&c->order, entry, link);
    TAILQ_INSERT_HEAD(&c->order, entry, link);
}

static bool find(struct cache *c, const struct key *key, uint64_t now_ns, struct cache_answer *ret,
                 struct entries *ret_gone)
{
    struct entry *entry;

    LOCKED(&c->lock);
    entry = look_up(c, key);
    if (entry == NULL)
        return false;
    if (now_ns - entry->born_ns >= c->config.ttl_ns) {
        take_out(c, entry, ret_gone);
        return false;
    }
    move_to_front(c, entry);
    ret->blob = blob_hold(entry->blob);
    ret->age_ns = now_ns - entry->born_ns;
    memcpy(ret->media_type, entry->media_type, sizeof(ret->media_type));
    return true;
}

bool cache_find(struct cache *c, const struct key *key, struct cache_answer *ret)
{
    struct entries gone = TAILQ_HEAD_INITIALIZER(gone);
    bool found = find(c, key, clock_now_ns(), ret, &gone);

    free_all(&gone);
    return found;
}

static struct entry *entry_new(const struct key *key, struct blob *blob, const char *media_type)
{
    struct entry *entry = malloc(sizeof(*entry) + key->bytes);

    if (entry == NULL)
        return NULL;
    memset(entry, 0, offsetof(struct entry, media_type));
    (void)snprintf(entry->media_type, sizeof(entry->media_type), "%s", media_type);
    memcpy(entry->key, key->data, key->bytes);
    entry->blob = blob_hold(blob);
    entry->born_ns = clock_now_ns();
    return entry;
}

/* Whether the entry was taken. What has to go for it goes into `ret_gone`. */
static bool put(struct cache *c, const struct key *key, struct entry *entry,
                struct entries *ret_gone)
{
    struct entry *older;

    LOCKED(&c->lock);
    older = look_up(c, key);
    /* Who waited together puts in the same answer, one after the other. */
    if (older != NULL && older->blob == entry->blob)
        return false;
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, c->table, entry->key, key->bytes, (unsigned)key->hash, entry);
    if (entry->is_homeless)
        return false;
    TAILQ_INSERT_HEAD(&c->order, entry, link);
    c->count++;
    c->bytes += entry->bytes;
    if (older != NULL)
        take_out(c, older, ret_gone);
    while (c->bytes > c->config.bytes_max)
        take_out(c, TAILQ_LAST(&c->order, entries), ret_gone);
    return true;
}

void cache_put(struct cache *c, const struct key *key, struct blob *blob, const char *media_type)
{
    struct entries gone = TAILQ_HEAD_INITIALIZER(gone);
    size_t bytes = sizeof(struct entry) + key->bytes + sizeof(*blob) + blob->bytes + MALLOC_BYTES;
    struct entry *entry;

    if (c->config.ttl_ns == 0 || bytes > c->config.bytes_max / CACHE_SHARE)
        return;
    entry = entry_new(key, blob, media_type);
    if (entry == NULL)
        return;
    entry->bytes = bytes;
    if (!put(c, key, entry, &gone))
        TAILQ_INSERT_TAIL(&gone, entry, link);
    free_all(&gone);
}

void cache_clear(struct cache *c)
{
    struct entries gone = TAILQ_HEAD_INITIALIZER(gone);

    lock_take(&c->lock);
    HASH_CLEAR(hh, c->table);
    TAILQ_CONCAT(&gone, &c->order, link);
    c->count = c->bytes = 0;
    lock_drop(&c->lock);
    free_all(&gone);
}

void cache_status(struct cache *c, struct cache_status *ret)
{
    LOCKED(&c->lock);
    *ret = (struct cache_status) {
        .entries = c->count, .bytes = c->bytes, .bytes_max = c->config.bytes_max};
}
