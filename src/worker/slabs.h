/*
 * F3, behind the wall. The slabs that this worker has mapped lately: the same ones come again and
 * again, and mapping costs more than the payload. Read-only. Uses base and ipc; knows nothing of
 * what is inside. One worker.
 */
#ifndef WORKER_SLABS_H
#define WORKER_SLABS_H

#include <stddef.h>
#include <stdint.h>

enum { SLABS_MAX = 16 };

struct slab {
    uint64_t id;   /* 0: the place is free */
    uint64_t used; /* the clock when it was last asked for */
    size_t bytes;
    void *map;
};

struct slabs {
    struct slab slabs[SLABS_MAX];
    uint64_t clock; /* counts questions */
};

/* Where slab `id` is, mapping it through `fd` if it is not known; the fd stays the caller's. The
 * one that was not asked for longest makes room, so the last SLABS_MAX answers stay valid. -EPROTO
 * when the id is 0, when it was of another size before, or when `fd` is not such a sealed slab;
 * else negative errno. */
int slabs_map(struct slabs *s, uint64_t id, uint64_t bytes, int fd, const char **ret);

void slabs_release(struct slabs *s);

#endif
