#include "base/log.h"
#include "durable/internal.h"

/* Events of one job are numbered by the time, so that they grow over restarts too. */
static uint64_t next_number(struct live *l)
{
    l->last_number = MAX(l->last_number + 1, durable_now_us(l->durable));
    return l->last_number;
}

static void let_go(struct live *l, struct durable_watch *w)
{
    TAILQ_REMOVE(&l->watches, w, link);
    heap_remove(&l->durable->deadlines, &w->timer);
}

static bool is_last(enum durable_event_kind kind)
{
    return kind == DURABLE_END || kind >= DURABLE_TIMEOUT;
}

/* Afterwards `w` may be gone. */
static void tell(struct live *l, struct durable_watch *w, const struct durable_event *e)
{
    bool last = is_last(e->kind);

    if (!last && !w->wants_all)
        return;
    if (last)
        let_go(l, w);
    w->tell(w, e);
}

static void tell_all(struct live *l, const struct durable_event *e)
{
    struct durable_watch *w, *next;

    for (w = TAILQ_FIRST(&l->watches); w != NULL; w = next) {
        next = TAILQ_NEXT(w, link);
        tell(l, w, e);
    }
}

static struct durable_event progress_event(const struct live *l, uint64_t number)
{
    return (struct durable_event) {.kind = DURABLE_PROGRESS,
                                   .number = number,
                                   .done = atomic_load(&l->done),
                                   .total = atomic_load(&l->total)};
}

static struct durable_event part_event(const struct part *part)
{
    if (part->is_retry)
        return (struct durable_event) {
            .kind = DURABLE_RETRY, .number = part->number, .retry = (const void *)part->data};
    return (struct durable_event) {.kind = DURABLE_PART,
                                   .number = part->number,
                                   .pid = part->pid,
                                   .data = part->data,
                                   .bytes = part->bytes};
}

/* What a running job has told already, for one who comes later. */
static void tell_past(struct live *l, struct durable_watch *w)
{
    const struct part *part;
    struct durable_event e;

    if (!w->wants_all)
        return;
    STAILQ_FOREACH (part, &l->parts, link) {
        if (part->number <= w->after)
            continue;
        e = part_event(part);
        tell(l, w, &e);
    }
    if (atomic_load(&l->total) > 0) {
        e = progress_event(l, next_number(l));
        tell(l, w, &e);
    }
}

static void refuse(struct durable_watch *w, enum durable_event_kind why)
{
    struct durable_event e = {.kind = why, .number = w->after + 1};

    w->tell(w, &e);
}

static void welcome(struct live *l, struct durable_watch *w, const struct record *record)
{
    struct durable_event e = {.kind = record_has_ended(record->state) ? DURABLE_END : DURABLE_STATE,
                              .record = record};

    TAILQ_INSERT_TAIL(&l->watches, w, link);
    if (l->state_number == 0 || e.kind == DURABLE_END)
        l->state_number = next_number(l);
    e.number = l->state_number;
    if (e.number > w->after)
        tell(l, w, &e);
    if (e.kind == DURABLE_STATE)
        tell_past(l, w);
}

void watch_begin(struct durable *d, struct durable_watch *w)
{
    struct record record;
    struct live *l;

    if (atomic_load(&d->is_draining)) {
        refuse(w, DURABLE_DRAINING);
        return;
    }
    /* Read after the letter has come: what is kept later will be told. */
    l = store_find(d->config.store, w->job.text, &record) < 0 ? NULL : live_get(d, record.id);
    w->timer = (struct heap_node) {.key = 0};
    if (l == NULL ||
        (w->deadline_ns != CLOCK_NEVER && heap_set(&d->deadlines, &w->timer, w->deadline_ns) < 0)) {
        refuse(w, DURABLE_GONE);
        if (l != NULL)
            live_put(l);
        return;
    }
    w->live = l;
    welcome(l, w, &record);
    live_put(l);
}

void watch_tell_state(struct live *l, const struct record *record)
{
    struct durable_event e = {.kind = record_has_ended(record->state) ? DURABLE_END : DURABLE_STATE,
                              .number = l->state_number = next_number(l),
                              .record = record};

    tell_all(l, &e);
}

void watch_tell_stored(struct durable *d, const char *id)
{
    struct live *l = live_find(d, id);
    struct durable_event gone = {.kind = DURABLE_GONE};
    struct record record;

    if (l == NULL)
        return;
    if (TAILQ_EMPTY(&l->watches)) {
        live_put(l);
        return;
    }
    if (store_find(d->config.store, id, &record) < 0) {
        gone.number = next_number(l);
        tell_all(l, &gone);
    } else {
        watch_tell_state(l, &record);
    }
    live_put(l);
}

void watch_tell_progress(struct live *l)
{
    uint64_t now_ns = clock_now_ns();
    struct durable_event e;

    if (now_ns - l->told_ns < DURABLE_PROGRESS_EVERY_MS * CLOCK_NS_PER_MS &&
        atomic_load(&l->done) < atomic_load(&l->total))
        return;
    l->told_ns = now_ns;
    e = progress_event(l, next_number(l));
    tell_all(l, &e);
}

void watch_add_part(struct live *l, struct part *part)
{
    struct durable_event e;
    struct part *oldest;

    part->number = next_number(l);
    STAILQ_INSERT_TAIL(&l->parts, part, link);
    l->part_bytes += part->bytes;
    e = part_event(part);
    tell_all(l, &e);
    while (l->part_bytes > DURABLE_EVENT_BYTES_MAX) {
        oldest = STAILQ_FIRST(&l->parts);
        STAILQ_REMOVE_HEAD(&l->parts, link);
        l->part_bytes -= oldest->bytes;
        free(oldest);
    }
}

void watch_expire(struct durable *d, uint64_t now_ns)
{
    struct heap_node *node;

    while ((node = heap_top(&d->deadlines)) != NULL && node->key <= now_ns) {
        struct durable_watch *w = CONTAINER_OF(node, struct durable_watch, timer);
        struct live *l = w->live;
        struct durable_event e = {.kind = DURABLE_TIMEOUT, .number = next_number(l)};
        tell(l, w, &e);
        live_put(l);
    }
}

void watch_end_all(struct durable *d, enum durable_event_kind why)
{
    struct live *l, *next;

    HASH_ITER (hh, d->table, l, next) {
        struct durable_event e = {.kind = why, .number = next_number(l)};
        tell_all(l, &e);
        live_put(l);
    }
}
