/*
 * F3. Memory for payloads above PROTO_INLINE_MAX: made and written here, mapped read-only by workers, used
 * again and again because fresh pages cost more than copying.
 *
 * A slab lives while somebody holds it: the request whose input it is, and each task that was sent with it.
 * Any thread; the store has its own lock, of rank LOCK_LIMITS.
 */
#ifndef POOL_SLAB_H
#define POOL_SLAB_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "thread/lock.h"

enum {
    SLAB_BYTES_MIN = 1 << 20,       /* sizes double from here */
    SLAB_KEPT_BYTES_MAX = 96 << 20, /* idle memory kept for the next request */
};

struct slab_store;

struct slab {
    uint64_t id; /* never reused: workers know a mapping by it */
    int fd;
    void *data; /* writable here */
    size_t bytes;
    _Atomic unsigned holds;
    struct slab_store *store;
    struct slab *next; /* in the store */
    uint64_t idle_since_ns;
};

struct slab_store {
    struct lock lock;
    struct slab *idle;
    size_t idle_bytes;
    size_t bytes_max; /* of one slab */
    uint64_t next_id;
};

void slab_store_init(struct slab_store *s, size_t bytes_max);
void slab_store_release(struct slab_store *s); /* all slabs must be back */

/* One of at least `bytes`, content undefined, held once by the caller. NULL above bytes_max or when there
 * is no memory. */
struct slab *slab_get(struct slab_store *s, size_t bytes);

struct slab *slab_hold(struct slab *slab);
struct slab *slab_drop(struct slab *slab); /* NULL is fine; returns NULL */

/* Frees what has been idle since before `before_ns`; when something is still idle, true. */
bool slab_store_trim(struct slab_store *s, uint64_t before_ns);

#endif
