#include "durable/durable.h"

#include <errno.h>

#include "base/log.h"
#include "durable/internal.h"
#include "state/metrics.h"

enum {
    LETTERS_MAX = 256, /* in one go */
    SWEEP_EVERY_S = 60,
    SWEEP_AGAIN_MS = 20, /* while there is more to remove */
};

uint64_t durable_now_us(const struct durable *d)
{
    return d->wall_us + (clock_now_ns() - d->started_ns) / CLOCK_NS_PER_US;
}

void durable_post(struct durable *d, struct durable_letter *letter, enum letter_kind kind)
{
    letter->kind = kind;
    mailbox_post(&d->mail, &letter->mail);
}

static void kick(struct durable *d)
{
    if (!atomic_exchange(&d->is_kicked, true))
        durable_post(d, &d->kick, LETTER_KICK);
}

static void register_labels(void)
{
    for (int c = 0; c < QUEUE_CLASS_COUNT; c++)
        CHECK(metrics_label(METRIC_DURABLE_QUEUED, queue_class_names[c]) == c);
    for (int state = RECORD_SUCCEEDED; state < RECORD_STATE_COUNT; state++)
        CHECK(metrics_label(METRIC_DURABLE_ENDED, record_state_names[state]) ==
              state - (int)RECORD_SUCCEEDED);
}

void durable_count_end(enum record_state state)
{
    metrics_add(METRIC_DURABLE_ENDED, (int)state - (int)RECORD_SUCCEEDED, 1);
}

/* ---- changes ---- */

static int post(struct durable *d, struct store_write *w, enum store_kind kind,
                void (*done)(struct store_write *), void *owner)
{
    if (atomic_load(&d->is_draining))
        return -ECANCELED;
    *w = (struct store_write) {
        .kind = kind, .done = done, .owner = owner, .now_us = durable_now_us(d)};
    return store_post(d->config.store, w);
}

static void submitted(struct store_write *w)
{
    struct durable_submit *s = w->owner;

    if (w->rc == 0 && s->store.record.deadline_us > 0)
        atomic_store(&s->durable->has_deadline, true);
    if (w->rc == 0)
        kick(s->durable);
    s->done(s);
}

int durable_submit(struct durable *d, struct durable_submit *s)
{
    s->durable = d;
    return post(d, &s->store.write, STORE_SUBMIT, submitted, s);
}

static void changed(struct store_write *w)
{
    struct durable_change *c = w->owner;

    durable_post(c->durable, &c->letter, LETTER_CHANGED);
}

static int change(struct durable *d, struct durable_change *c, enum store_kind kind)
{
    c->durable = d;
    return post(d, &c->store.write, kind, changed, c);
}

int durable_cancel(struct durable *d, struct durable_change *c)
{
    return change(d, c, STORE_CANCEL);
}

int durable_retry(struct durable *d, struct durable_change *c)
{
    return change(d, c, STORE_RETRY);
}

int durable_forget(struct durable *d, struct durable_change *c)
{
    return change(d, c, STORE_FORGET);
}

void durable_watch(struct durable *d, struct durable_watch *w)
{
    durable_post(d, &w->letter, LETTER_WATCH);
}

static void take_change(struct durable *d, struct durable_change *c)
{
    if (c->store.write.rc == 0) {
        if (c->store.write.kind == STORE_CANCEL && c->store.was_running)
            sched_cancel(d->config.sched, c->store.id);
        d->may_have_more = d->may_have_more || c->store.write.kind == STORE_RETRY;
        if (c->store.write.kind == STORE_CANCEL)
            durable_count_end(RECORD_CANCELLED);
        watch_tell_stored(d, c->store.id.text);
    }
    c->done(c);
}

/* ---- sweeping ---- */

static void swept(struct store_write *w)
{
    struct durable *d = w->owner;

    durable_post(d, &d->swept, LETTER_SWEPT);
}

static void sweep(struct durable *d, uint64_t now_ns)
{
    if (d->is_sweeping || atomic_load(&d->is_draining) || now_ns < d->sweep_at_ns)
        return;
    d->sweep_at_ns = now_ns + SWEEP_EVERY_S * CLOCK_NS_PER_S;
    d->sweep = (struct store_sweep) {
        .write = {.kind = STORE_SWEEP, .done = swept, .owner = d, .now_us = durable_now_us(d)}};
    d->is_sweeping = store_post(d->config.store, &d->sweep.write) == 0;
}

static void sweep_done(struct durable *d)
{
    d->is_sweeping = false;
    if (d->sweep.write.rc == 0 && d->sweep.removed > 0)
        d->sweep_at_ns = clock_now_ns() + SWEEP_AGAIN_MS * CLOCK_NS_PER_MS;
}

/* ---- the thread ---- */

static void take_letter(struct durable *d, struct durable_letter *letter)
{
    struct live *l;

    switch ((enum letter_kind)letter->kind) {
    case LETTER_KICK:
        atomic_store(&d->is_kicked, false);
        d->may_have_more = true;
        break;
    case LETTER_DRAIN:
        watch_end_all(d, DURABLE_DRAINING);
        break;
    case LETTER_WATCH:
        watch_begin(d, CONTAINER_OF(letter, struct durable_watch, letter));
        break;
    case LETTER_CHANGED:
        take_change(d, CONTAINER_OF(letter, struct durable_change, letter));
        break;
    case LETTER_CLAIMED:
        claim_done(d);
        break;
    case LETTER_SWEPT:
        sweep_done(d);
        break;
    case LETTER_PROGRESS:
        l = CONTAINER_OF(letter, struct live, progress);
        atomic_store(&l->has_progress, false);
        watch_tell_progress(l);
        break;
    case LETTER_PART:
        watch_add_part(CONTAINER_OF(letter, struct part, letter)->live,
                       CONTAINER_OF(letter, struct part, letter));
        break;
    case LETTER_JOB_ENDED:
        run_ended(CONTAINER_OF(letter, struct live, ended));
        break;
    case LETTER_END_KEPT:
        run_kept(CONTAINER_OF(letter, struct live, kept));
        break;
    }
}

/* While a write is on its way, its letter wakes; what is due meanwhile must wait for it, asleep. */
static uint64_t next_write_ns(const struct durable *d)
{
    uint64_t claim_ns = d->is_claiming ? CLOCK_NEVER : MAX(d->claim_at_ns, d->rest_until_ns);
    uint64_t sweep_ns = d->is_sweeping ? CLOCK_NEVER : d->sweep_at_ns;

    return atomic_load(&d->is_draining) ? CLOCK_NEVER : MIN(claim_ns, sweep_ns);
}

static uint64_t next_wake_ns(const struct durable *d)
{
    const struct heap_node *watch = heap_top(&d->deadlines), *again = heap_top(&d->again);
    uint64_t ns = next_write_ns(d);

    if (watch != NULL)
        ns = MIN(ns, watch->key);
    return again == NULL ? ns : MIN(ns, again->key);
}

/* What the store could not keep is given up: it runs again after the next start. */
static void settle(struct durable *d)
{
    if (atomic_load(&d->stopping) < STOP_SETTLE || atomic_load(&d->has_settled))
        return;
    run_write_again(d, UINT64_MAX);
    if (d->running > 0 || d->is_claiming || d->is_sweeping)
        return;
    lock_take(&d->settle_lock);
    atomic_store(&d->has_settled, true);
    (void)pthread_cond_signal(&d->settled);
    lock_drop(&d->settle_lock);
}

static void *run(void *arg)
{
    struct durable *d = arg;
    struct mail_list letters;
    struct mail *mail;
    uint64_t now_ns;

    thread_be_prompt();
    while (atomic_load(&d->stopping) < STOP_THREAD) {
        STAILQ_INIT(&letters);
        (void)mailbox_take(&d->mail, &letters, LETTERS_MAX, next_wake_ns(d));
        while ((mail = STAILQ_FIRST(&letters)) != NULL) {
            STAILQ_REMOVE_HEAD(&letters, link);
            take_letter(d, CONTAINER_OF(mail, struct durable_letter, mail));
        }
        now_ns = clock_now_ns();
        watch_expire(d, now_ns);
        run_write_again(d, now_ns);
        claim_more(d, now_ns);
        sweep(d, now_ns);
        settle(d);
    }
    return NULL;
}

void durable_due(struct durable *d, uint64_t us)
{
    uint64_t ns =
        us <= d->wall_us ? d->started_ns : d->started_ns + (us - d->wall_us) * CLOCK_NS_PER_US;

    if (us > 0)
        d->claim_at_ns = MIN(d->claim_at_ns, ns);
}

/* ---- start and end ---- */

static void init_parts(struct durable *d)
{
    pthread_condattr_t attributes;

    mailbox_init(&d->mail);
    heap_init(&d->deadlines);
    heap_init(&d->again);
    lock_init(&d->settle_lock, LOCK_LIMITS);
    CHECK(pthread_condattr_init(&attributes) == 0);
    CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&d->settled, &attributes) == 0);
    (void)pthread_condattr_destroy(&attributes);
}

static void release(struct durable *d)
{
    heap_release(&d->deadlines);
    heap_release(&d->again);
    (void)pthread_cond_destroy(&d->settled);
    lock_release(&d->settle_lock);
    mailbox_release(&d->mail);
    free(d);
}

int durable_start(struct durable **ret, const struct durable_config *config, struct err *err)
{
    struct durable *d = calloc(1, sizeof(*d));
    int rc;

    if (d == NULL)
        return err_set(err, -ENOMEM, "There is no memory for durable jobs.");
    register_labels();
    d->config = *config;
    init_parts(d);
    d->hash_key = hash_key_new();
    d->wall_us = clock_wall_ns() / CLOCK_NS_PER_US;
    d->started_ns = clock_now_ns();
    d->may_have_more = true;
    d->claim_at_ns = CLOCK_NEVER;
    rc = thread_start(&d->thread, "jobs", run, d);
    if (rc < 0) {
        release(d);
        return err_set(err, rc, "The thread of durable jobs cannot be started.");
    }
    *ret = d;
    return 0;
}

static void go_to(struct durable *d, enum stop_step step)
{
    atomic_store(&d->stopping, step);
    kick(d);
}

void durable_drain(struct durable *d)
{
    if (!atomic_exchange(&d->is_draining, true))
        durable_post(d, &d->drain, LETTER_DRAIN);
}

bool durable_stop(struct durable *d, uint64_t deadline_ns)
{
    struct timespec until = {.tv_sec = (time_t)(deadline_ns / CLOCK_NS_PER_S),
                             .tv_nsec = (long)(deadline_ns % CLOCK_NS_PER_S)};
    int rc = 0;

    go_to(d, STOP_SETTLE);
    LOCKED(&d->settle_lock);
    while (rc != ETIMEDOUT && !atomic_load(&d->has_settled))
        rc = pthread_cond_timedwait(&d->settled, &d->settle_lock.mutex, &until);
    return atomic_load(&d->has_settled);
}

struct durable *durable_free(struct durable *d)
{
    struct mail_list last;

    if (d == NULL)
        return NULL;
    go_to(d, STOP_THREAD);
    thread_join(&d->thread);
    STAILQ_INIT(&last);
    (void)mailbox_take(&d->mail, &last, LETTERS_MAX, 0); /* the kick, if it was not needed */
    CHECK(d->table == NULL);
    release(d);
    return NULL;
}
