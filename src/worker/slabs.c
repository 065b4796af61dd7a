#include "worker/slabs.h"

#include <errno.h>

#include "ipc/shm.h"

/* The place that holds `id`, else the one to put it: a free one has never been used. */
static struct slab *find(struct slabs *s, uint64_t id)
{
    struct slab *oldest = &s->slabs[0];

    for (size_t i = 0; i < SLABS_MAX; i++) {
        if (s->slabs[i].id == id)
            return &s->slabs[i];
        if (s->slabs[i].used < oldest->used)
            oldest = &s->slabs[i];
    }
    return oldest;
}

int slabs_map(struct slabs *s, uint64_t id, uint64_t bytes, int fd, const char **ret)
{
    struct slab *slab;
    void *map;
    int rc;

    if (id == 0 || bytes == 0)
        return -EPROTO;
    slab = find(s, id);
    if (slab->id != id) {
        rc = shm_map(fd, bytes, SHM_PEER_READS, &map);
        if (rc < 0)
            return rc;
        shm_unmap(slab->map, slab->bytes);
        *slab = (struct slab) {.id = id, .bytes = bytes, .map = map};
    } else if (slab->bytes != bytes) {
        return -EPROTO;
    }
    slab->used = ++s->clock;
    *ret = slab->map;
    return 0;
}

void slabs_release(struct slabs *s)
{
    for (size_t i = 0; i < SLABS_MAX; i++)
        shm_unmap(s->slabs[i].map, s->slabs[i].bytes);
    *s = (struct slabs) {0};
}
