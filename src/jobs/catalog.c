#include "jobs/catalog.h"

#include <errno.h>

void catalog_init(struct catalog *c)
{
    memset(c, 0, sizeof(*c));
    lock_init(&c->lock, LOCK_CATALOG);
}

static void forget_refusals(struct catalog *c)
{
    LOCKED(&c->lock);

    for (unsigned i = 0; i < c->refusal_count; i++) {
        free(c->refusals[i].file);
        free(c->refusals[i].reason);
    }
    c->refusal_count = 0;
}

void catalog_release(struct catalog *c)
{
    for (unsigned i = 0; i < atomic_load(&c->count); i++) {
        free(c->kernels[i]->about);
        free(c->kernels[i]);
    }
    forget_refusals(c);
    lock_release(&c->lock);
    memset(c, 0, sizeof(*c));
}

void catalog_begin(struct catalog *c)
{
    for (unsigned i = 0; i < atomic_load(&c->count); i++)
        atomic_store(&c->kernels[i]->index, -1);
    forget_refusals(c);
}

static int update(struct kernel *k, const struct description *about, int index)
{
    if (strcmp(k->about->version, about->version) != 0 ||
        strcmp(k->about->broken, about->broken) != 0)
        return -EEXIST;
    atomic_store(&k->index, index);
    return 0;
}

int catalog_add(struct catalog *c, struct description *about, int index)
{
    CLEANUP_FREE struct description *taken = about;
    struct kernel *k = catalog_find(c, about->name);
    unsigned count = atomic_load(&c->count);

    if (k != NULL)
        return update(k, about, index);
    if (count == PROTO_KERNELS_MAX)
        return -ENOSPC;
    k = calloc(1, sizeof(*k));
    if (k == NULL)
        return -ENOMEM;
    k->about = take_ptr(taken);
    k->place = count;
    atomic_store(&k->index, index);
    c->kernels[count] = k;
    atomic_store(&c->count, count + 1);
    return 0;
}

int catalog_refuse(struct catalog *c, const char *file, const char *reason)
{
    LOCKED(&c->lock);
    struct catalog_refusal made = {.file = NULL};

    if (c->refusal_count == PROTO_REFUSALS_MAX)
        return -ENOSPC;
    made = (struct catalog_refusal) {.file = strdup(file), .reason = strdup(reason)};
    if (made.file == NULL || made.reason == NULL) {
        free(made.file);
        free(made.reason);
        return -ENOMEM;
    }
    c->refusals[c->refusal_count++] = made;
    return 0;
}

void catalog_tell_refusals(struct catalog *c,
                           void (*tell)(void *arg, const char *file, const char *reason), void *arg)
{
    LOCKED(&c->lock);

    for (unsigned i = 0; i < c->refusal_count; i++)
        tell(arg, c->refusals[i].file, c->refusals[i].reason);
}

struct kernel *catalog_find(const struct catalog *c, const char *name)
{
    for (unsigned i = 0; i < atomic_load(&c->count); i++) {
        if (strcmp(c->kernels[i]->about->name, name) == 0)
            return c->kernels[i];
    }
    return NULL;
}
