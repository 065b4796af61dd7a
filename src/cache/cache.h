/*
 * F3. Answers of pure kernels, kept for a while for equal requests.
 *
 * May use jobs (keys), state (metrics), thread, base. Knows no request and no scheduler: who looks and who puts in is
 * decided above. What is kept is bounded by bytes: what has not been asked for the longest goes first. What is too old is
 * as good as gone, and goes when it is asked for or when there is no room.
 *
 * Any thread. One lock, of rank LOCK_LIMITS, held for a look at a table; bytes are copied and freed without it.
 */
#ifndef CACHE_CACHE_H
#define CACHE_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/blob.h"
#include "jobs/job.h"
#include "jobs/key.h"

enum { CACHE_SHARE = 8 }; /* an answer that takes more than this part of all the room is not kept */

struct cache_config {
    size_t bytes_max; /* of answers, keys, and what it takes to keep them */
    uint64_t ttl_ns;  /* after which an answer is too old; 0: at once */
};

struct cache;

struct cache *cache_new(const struct cache_config *config);
struct cache *cache_free(struct cache *c);

/* key_new under the secret of this cache. */
struct key *cache_key(const struct cache *c, const struct job *job);

struct cache_answer {
    struct blob *blob; /* one hold is the caller's */
    char media_type[128];
    uint64_t age_ns;
};

/* False when there is none, or it is too old. */
bool cache_find(struct cache *c, const struct key *key, struct cache_answer *ret);

/* Keeps the answer, if there is room and memory, in the place of an older one. Key and media type are copied, the blob
 * is held. */
void cache_put(struct cache *c, const struct key *key, struct blob *blob, const char *media_type);

/* Forgets all. */
void cache_clear(struct cache *c);

struct cache_status {
    size_t entries, bytes, bytes_max;
};
void cache_status(struct cache *c, struct cache_status *ret);

#endif
