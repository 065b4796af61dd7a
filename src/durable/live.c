#include "durable/internal.h"

struct live *live_find(struct durable *d, const char *id)
{
    struct live *l;

    HASH_FIND_STR(d->table, id, l);
    return l;
}

struct live *live_get(struct durable *d, struct id id)
{
    struct live *l = live_find(d, id.text);

    if (l != NULL)
        return l;
    l = calloc(1, sizeof(*l));
    if (l == NULL)
        return NULL;
    l->id = id;
    l->durable = d;
    TAILQ_INIT(&l->watches);
    STAILQ_INIT(&l->parts);
    HASH_ADD_KEYPTR(hh, d->table, l->id.text, strlen(l->id.text), l);
    if (l->homeless) {
        free(l);
        return NULL;
    }
    return l;
}

void live_stop_running(struct live *l)
{
    struct part *part;

    while ((part = STAILQ_FIRST(&l->parts)) != NULL) {
        STAILQ_REMOVE_HEAD(&l->parts, link);
        free(part);
    }
    l->part_bytes = 0;
    atomic_store(&l->done, 0);
    atomic_store(&l->total, 0);
    l->job = job_free(l->job);
    l->runs = false;
    l->durable->running--;
}

void live_put(struct live *l)
{
    struct durable *d = l->durable;

    if (l->runs || !TAILQ_EMPTY(&l->watches))
        return;
    HASH_DEL(d->table, l);
    free(l);
}
