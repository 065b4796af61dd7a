#include "jobs/store/table.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>
#include <sys/queue.h>

#include "base/check.h"
#include "base/hash.h"

/* Names are the clients' own: under a hash that they could compute they would make all names collide. */
static struct hash_key hash_secret;

#define HASH_FUNCTION(key, bytes, hash) ((hash) = (unsigned)hash_bytes(hash_secret, (key), (bytes)))
#define HASH_NONFATAL_OOM               1
#define uthash_nonfatal_oom(entry)      ((entry)->homeless = true)
#include <uthash.h>

struct entry {
    void *thing;        /* NULL: none; such an entry goes when the transaction ends */
    void *thing_before; /* this transaction, while it is in `changed` */
    bool is_changed;
    bool homeless; /* there was no memory to take it in */
    LIST_ENTRY(entry) changed;
    UT_hash_handle hh;
    char name[];
};

struct table {
    struct entry *entries;
    LIST_HEAD(entry_list, entry) changed;
    void (*drop)(void *thing);
};

static void draw_secret(void)
{
    hash_secret = hash_key_new();
}

struct table *table_new(void (*drop)(void *thing))
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct table *t = calloc(1, sizeof(*t));

    CHECK(pthread_once(&once, draw_secret) == 0);
    if (t != NULL)
        t->drop = drop;
    return t;
}

static void drop_thing(const struct table *t, void *thing)
{
    if (thing != NULL && t->drop != NULL)
        t->drop(thing);
}

struct table *table_free(struct table *t)
{
    struct entry *entry, *next;

    if (t == NULL)
        return NULL;
    table_rollback(t);
    HASH_ITER (hh, t->entries, entry, next) {
        HASH_DEL(t->entries, entry);
        drop_thing(t, entry->thing);
        free(entry);
    }
    free(t);
    return NULL;
}

static struct entry *find(const struct table *t, const char *name)
{
    struct entry *entry;

    HASH_FIND_STR(t->entries, name, entry);
    return entry;
}

static struct entry *add(struct table *t, const char *name)
{
    size_t bytes = strlen(name);
    struct entry *entry = calloc(1, sizeof(*entry) + bytes + 1);

    if (entry == NULL)
        return NULL;
    memcpy(entry->name, name, bytes);
    HASH_ADD_KEYPTR(hh, t->entries, entry->name, bytes, entry);
    if (entry->homeless) {
        free(entry);
        return NULL;
    }
    return entry;
}

void *table_get(const struct table *t, const char *name)
{
    const struct entry *entry = find(t, name);

    return entry == NULL ? NULL : entry->thing;
}

int table_set(struct table *t, const char *name, void *thing)
{
    struct entry *entry = find(t, name);

    if (entry == NULL && thing == NULL)
        return 0;
    if (entry == NULL && (entry = add(t, name)) == NULL)
        return -ENOMEM;
    if (!entry->is_changed) {
        entry->is_changed = true;
        entry->thing_before = entry->thing;
        LIST_INSERT_HEAD(&t->changed, entry, changed);
    } else if (entry->thing != entry->thing_before) {
        drop_thing(t, entry->thing);
    }
    entry->thing = thing;
    return 0;
}

static void settle(struct table *t, bool is_kept)
{
    struct entry *entry;

    while ((entry = LIST_FIRST(&t->changed)) != NULL) {
        void *kept = is_kept ? entry->thing : entry->thing_before;
        void *lost = is_kept ? entry->thing_before : entry->thing;
        LIST_REMOVE(entry, changed);
        entry->is_changed = false;
        entry->thing = kept;
        if (lost != kept)
            drop_thing(t, lost);
        if (kept == NULL) {
            HASH_DEL(t->entries, entry);
            free(entry);
        }
    }
}

void table_commit(struct table *t)
{
    settle(t, true);
}

void table_rollback(struct table *t)
{
    settle(t, false);
}

int table_each(const struct table *t, int (*each)(void *arg, const char *name, void *thing),
               void *arg)
{
    int rc = 0;

    for (const struct entry *e = t->entries; e != NULL && rc == 0; e = e->hh.next) {
        if (e->thing != NULL)
            rc = each(arg, e->name, e->thing);
    }
    return rc;
}
