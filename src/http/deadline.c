#include "http/deadline.h"

#include <stdlib.h>
#include <errno.h>

struct deadlines {
    struct deadline_rules rules;
};

int deadlines_new(struct deadlines **ret, const struct deadline_rules *rules, struct err *err)
{
    struct deadlines *all = calloc(1, sizeof(*all));

    if (all == NULL)
        return err_set(err, -ENOMEM, "no memory for the deadlines of connections");
    all->rules = *rules;
    *ret = all;
    return 0;
}

struct deadlines *deadlines_free(struct deadlines *all)
{
    free(all);
    return NULL;
}

void deadlines_drain(struct deadlines *all, uint64_t deadline_ns)
{
    (void)all;
    (void)deadline_ns;
}

void deadline_begin(struct deadlines *all, struct deadline *d, int fd, bool may_tell,
                    uint64_t now_ns)
{
    d->all = all;
    d->fd = fd;
    d->may_tell = may_tell;
    deadline_headers(d, now_ns);
}

void deadline_end(struct deadline *d)
{
    d->all = NULL;
}

void deadline_headers(struct deadline *d, uint64_t now_ns)
{
    d->phase_began_ns = now_ns;
}

void deadline_body(struct deadline *d, uint64_t now_ns)
{
    d->phase_began_ns = now_ns;
}

void deadline_body_took(struct deadline *d, uint64_t bytes)
{
    d->taken_bytes += bytes;
}

void deadline_parked(struct deadline *d, uint64_t now_ns)
{
    d->phase_began_ns = now_ns;
}

void deadline_answer(struct deadline *d, uint64_t now_ns)
{
    d->phase_began_ns = now_ns;
}

void deadline_idle(struct deadline *d, uint64_t now_ns)
{
    d->phase_began_ns = now_ns;
}
