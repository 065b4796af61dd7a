#include "pool/slab.h"

#include "base/check.h"
#include "base/clock.h"
#include "ipc/shm.h"

void slab_store_init(struct slab_store *s, size_t bytes_max)
{
    *s = (struct slab_store) {.bytes_max = bytes_max, .next_id = 1};
    lock_init(&s->lock, LOCK_LIMITS);
}

static void destroy(struct slab *slab)
{
    shm_unmap(slab->data, slab->bytes);
    (void)close(slab->fd);
    free(slab);
}

static void destroy_list(struct slab *list)
{
    while (list != NULL) {
        struct slab *next = list->next;
        destroy(list);
        list = next;
    }
}

void slab_store_release(struct slab_store *s)
{
    destroy_list(s->idle);
    lock_release(&s->lock);
}

static struct slab *take_idle(struct slab_store *s, size_t bytes)
{
    LOCKED(&s->lock);

    for (struct slab **at = &s->idle; *at != NULL; at = &(*at)->next) {
        struct slab *slab = *at;
        if (slab->bytes < bytes || slab->bytes > bytes * 4)
            continue;
        *at = slab->next;
        s->idle_bytes -= slab->bytes;
        return slab;
    }
    return NULL;
}

static struct slab *make(struct slab_store *s, size_t bytes)
{
    struct slab *slab = calloc(1, sizeof(*slab));

    if (slab == NULL)
        return NULL;
    slab->store = s;
    slab->bytes = bytes;
    if (shm_create("prong-slab", bytes, SHM_PEER_READS, &slab->fd, &slab->data) < 0) {
        free(slab);
        return NULL;
    }
    LOCKED(&s->lock);
    slab->id = s->next_id++;
    return slab;
}

struct slab *slab_get(struct slab_store *s, size_t bytes)
{
    size_t size = SLAB_BYTES_MIN;
    struct slab *slab;

    if (bytes > s->bytes_max)
        return NULL;
    while (size < bytes)
        size *= 2;
    slab = take_idle(s, size);
    if (slab == NULL)
        slab = make(s, size);
    if (slab != NULL)
        atomic_store(&slab->holds, 1);
    return slab;
}

struct slab *slab_hold(struct slab *slab)
{
    if (slab != NULL)
        atomic_fetch_add(&slab->holds, 1);
    return slab;
}

struct slab *slab_drop(struct slab *slab)
{
    struct slab_store *s;

    if (slab == NULL || atomic_fetch_sub(&slab->holds, 1) != 1)
        return NULL;
    s = slab->store;
    slab->idle_since_ns = clock_now_ns();
    lock_take(&s->lock);
    if (s->idle_bytes + slab->bytes <= SLAB_KEPT_BYTES_MAX) {
        slab->next = s->idle;
        s->idle = slab;
        s->idle_bytes += slab->bytes;
        slab = NULL;
    }
    lock_drop(&s->lock);
    if (slab != NULL)
        destroy(slab);
    return NULL;
}

bool slab_store_trim(struct slab_store *s, uint64_t before_ns)
{
    struct slab *old = NULL;
    bool some_left;

    lock_take(&s->lock);
    for (struct slab **at = &s->idle; *at != NULL;) {
        struct slab *slab = *at;
        if (slab->idle_since_ns >= before_ns) {
            at = &slab->next;
            continue;
        }
        *at = slab->next;
        s->idle_bytes -= slab->bytes;
        slab->next = old;
        old = slab;
    }
    some_left = s->idle != NULL;
    lock_drop(&s->lock);
    destroy_list(old);
    return some_left;
}
