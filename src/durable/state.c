#include "durable/state.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "state/journal.h"
#include "thread/lock.h"

struct durable_state {
    struct kv *kv;
    struct store *store;
    struct store_state write; /* the one that is on its way */
    struct kv_flush *flush;   /* NULL until the store asks for it */
    bool has_failed;          /* the newest write; said once */
    struct lock lock;         /* LOCK_LIMITS: for what follows */
    pthread_cond_t ended;
    unsigned writes; /* begun and not ended: at most two, when one follows at once */
};

/* ---- at the start ---- */

struct loading {
    struct kv *kv;
    struct err *err;
};

static int load(void *arg, const char *key, const char *value, uint64_t version)
{
    const struct loading *l = arg;
    int rc = kv_load(l->kv, key, value, version);

    if (rc == -EINVAL)
        return err_set(l->err, rc, "The store holds a key of the shared state that is none: '%s'.",
                       key);
    return rc == 0 ? 0 : err_set(l->err, rc, "There is no memory for the shared state.");
}

static int load_all(struct kv *kv, struct store *store, uint64_t *ret_newest, struct err *err)
{
    struct err why = {""};
    struct loading l = {.kv = kv, .err = &why};
    int rc = store_each_state(store, load, &l, ret_newest);

    if (rc == 0)
        return 0;
    return err_set(err, rc, "%s",
                   *why.text != '\0' ? why.text
                                     : "The shared state cannot be read from the store.");
}

/* ---- one write after the other ---- */

static void write_begins(struct durable_state *s)
{
    LOCKED(&s->lock);

    s->writes++;
}

/* The last that is done with `s`. */
static void write_ends(struct durable_state *s)
{
    LOCKED(&s->lock);

    s->writes--;
    CHECK(pthread_cond_broadcast(&s->ended) == 0);
}

static bool next(struct store_state *w, bool rewind, const char **ret_key, const char **ret_value,
                 uint64_t *ret_version)
{
    struct durable_state *s = w->write.owner;

    if (s->flush == NULL)
        s->flush = kv_flush_take(s->kv);
    w->version = kv_flush_version(s->flush);
    return kv_flush_next(s->flush, rewind, ret_key, ret_value, ret_version);
}

/* Once when it begins to fail, and once when it no longer does. */
static void tell(struct durable_state *s, int rc)
{
    bool fails = rc < 0;

    if (fails != s->has_failed && fails)
        log_error("the shared state cannot be kept: %s; its changes are refused",
                  rc == -ESHUTDOWN ? "the store has failed" : strerror(-rc));
    else if (fails != s->has_failed)
        log_info("the shared state can be kept again");
    s->has_failed = fails;
}

static void settle(struct durable_state *s, int rc)
{
    struct kv_flush *flush = s->flush == NULL ? kv_flush_take(s->kv) : s->flush;

    tell(s, rc);
    s->flush = NULL;
    /* The next write may be on its way when this returns. */
    kv_flush_settle(s->kv, flush, rc);
    write_ends(s);
}

static void done(struct store_write *w)
{
    settle(w->owner, w->rc);
}

static void wanted(void *arg)
{
    struct durable_state *s = arg;
    int rc;

    write_begins(s);
    s->write = (struct store_state) {
        .write = {.kind = STORE_STATE, .done = done, .owner = s},
        .next = next,
    };
    rc = store_post(s->store, &s->write.write);
    if (rc < 0)
        settle(s, rc);
}

static int restore(void *arg, const char *key, char **ret_text, uint64_t *ret_version)
{
    const struct durable_state *s = arg;
    int rc = store_find_state(s->store, key, ret_text, ret_version);

    if (rc < 0 && rc != -ENOENT)
        log_error("the shared state takes no more changes: what is kept of it cannot be read (%s)",
                  strerror(-rc));
    return rc;
}

static void wait_ended(struct durable_state *s)
{
    LOCKED(&s->lock);

    while (s->writes > 0)
        CHECK(pthread_cond_wait(&s->ended, &s->lock.mutex) == 0);
}

int durable_state_start(struct durable_state **ret, struct kv *kv, struct store *store,
                        struct err *err)
{
    struct durable_state *s;
    uint64_t newest = 0;
    int rc = load_all(kv, store, &newest, err);

    if (rc < 0)
        return rc;
    s = calloc(1, sizeof(*s));
    if (s == NULL)
        return err_set(err, -ENOMEM, "There is no memory for the shared state.");
    s->kv = kv;
    s->store = store;
    lock_init(&s->lock, LOCK_LIMITS);
    CHECK(pthread_cond_init(&s->ended, NULL) == 0);
    kv_journal_begin(kv, &(struct kv_journal) {.arg = s, .wanted = wanted, .restore = restore},
                     newest);
    wait_ended(s);
    *ret = s;
    return 0;
}

struct durable_state *durable_state_stop(struct durable_state *s)
{
    if (s == NULL)
        return NULL;
    wait_ended(s);
    CHECK(pthread_cond_destroy(&s->ended) == 0);
    lock_release(&s->lock);
    free(s);
    return NULL;
}
