#include "jobs/store/store.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "jobs/store/engine.h"
#include "thread/thread.h"

#define IDLE_AFTER_NS CLOCK_NS_PER_S

struct store {
    const struct engine *engine;
    void *e;
    void (*committed)(uint64_t took_ns, size_t writes);
    struct thread writer;
    struct mailbox mailbox;
    struct mail last; /* what store_close posts */
    bool is_closing;  /* the writer's */

    struct err broken_text;
    _Atomic(const char *) broken;

    atomic_uint_fast64_t pending;
    atomic_uint_fast64_t serial;
    atomic_uint_fast64_t commits, writes, failures, commit_ns, commit_max_ns; /* by the writer */
};

/* ---- the writer's thread ---- */

static void add(atomic_uint_fast64_t *counter, uint64_t by)
{
    (void)atomic_fetch_add_explicit(counter, by, memory_order_relaxed);
}

static void break_for_good(struct store *s)
{
    if (atomic_load(&s->broken) != NULL)
        return;
    (void)err_set(&s->broken_text, 0,
                  "The store (%s) could not make sure of what it wrote: look after the disk, then "
                  "start the server anew; until then nothing is kept.",
                  s->engine->name(s->e));
    log_error("%s", s->broken_text.text);
    atomic_store(&s->broken, s->broken_text.text);
}

static bool is_refusal(int rc)
{
    return rc == -EEXIST || rc == -EBUSY || rc == -EFBIG || rc == -EDQUOT || rc == -ESTALE ||
           rc == -EALREADY || rc == -ENOENT || rc == -ENODATA;
}

static struct store_write *write_of(struct mail *mail)
{
    return CONTAINER_OF(mail, struct store_write, mail);
}

static int commit(struct store *s, size_t writes)
{
    uint64_t began_ns = clock_now_ns(), took_ns;
    int rc = s->engine->commit(s->e);

    took_ns = clock_now_ns() - began_ns;
    if (rc < 0)
        return rc;
    add(&s->commits, 1);
    add(&s->commit_ns, took_ns);
    if (took_ns > atomic_load_explicit(&s->commit_max_ns, memory_order_relaxed))
        atomic_store_explicit(&s->commit_max_ns, took_ns, memory_order_relaxed);
    if (s->committed != NULL)
        s->committed(took_ns, writes);
    return 0;
}

/* What a transaction that failed has told of a submission is not true any more. */
static void ask_anew(struct store_write *w)
{
    struct store_submit *submit = CONTAINER_OF(w, struct store_submit, write);

    if (w->kind == STORE_SUBMIT)
        submit->record = submit->asked;
}

/* All of them in one transaction: 0, or why nothing of it is kept. */
static int write_batch(struct store *s, const struct mail_list *batch)
{
    struct mail *mail;
    size_t writes = 0;
    int rc = s->engine->begin(s->e);

    if (rc < 0)
        return rc;
    STAILQ_FOREACH (mail, batch, link) {
        struct store_write *w = write_of(mail);
        writes++;
        ask_anew(w);
        w->rc = s->engine->apply(s->e, w);
        if (w->rc < 0 && !is_refusal(w->rc)) {
            s->engine->rollback(s->e);
            return w->rc;
        }
    }
    return commit(s, writes);
}

static bool changed_a_job(const struct store_write *w)
{
    switch (w->kind) {
    case STORE_CLAIM:
        return CONTAINER_OF(w, struct store_claim, write)->count > 0 ||
               CONTAINER_OF(w, struct store_claim, write)->late_count > 0;
    case STORE_SWEEP:
        return CONTAINER_OF(w, struct store_sweep, write)->removed > 0;
    case STORE_STATE:
    case STORE_KIND_COUNT:
        return false;
    default:
        return true;
    }
}

/* Its outcome is not known before this, so nobody may be told earlier. */
static void tell(struct store *s, struct store_write *w)
{
    add(&s->writes, 1);
    if (w->rc < 0 && !is_refusal(w->rc))
        add(&s->failures, 1);
    if (w->rc == 0 && changed_a_job(w))
        add(&s->serial, 1);
    (void)atomic_fetch_sub(&s->pending, 1);
    w->done(w);
}

static struct mail *take_first(struct mail_list *list)
{
    struct mail *mail = STAILQ_FIRST(list);

    STAILQ_REMOVE_HEAD(list, link);
    return mail;
}

static void tell_all(struct store *s, struct mail_list *batch)
{
    while (!STAILQ_EMPTY(batch))
        tell(s, write_of(take_first(batch)));
}

static void fail_all(struct store *s, struct mail_list *batch, int rc)
{
    struct mail *mail;

    STAILQ_FOREACH (mail, batch, link)
        write_of(mail)->rc = rc;
    tell_all(s, batch);
}

/* One of them may have spoiled the others' transaction; which one, only trying tells. */
static void write_each(struct store *s, struct mail_list *batch)
{
    while (!STAILQ_EMPTY(batch) && atomic_load(&s->broken) == NULL) {
        struct mail_list alone = STAILQ_HEAD_INITIALIZER(alone);
        struct mail *mail = take_first(batch);
        int rc;

        STAILQ_INSERT_TAIL(&alone, mail, link);
        rc = write_batch(s, &alone);
        if (rc < 0)
            write_of(mail)->rc = rc;
        if (rc == -ESHUTDOWN)
            break_for_good(s);
        tell_all(s, &alone);
    }
    fail_all(s, batch, -ESHUTDOWN);
}

static void write_all(struct store *s, struct mail_list *batch, size_t count)
{
    int rc = atomic_load(&s->broken) != NULL ? -ESHUTDOWN : write_batch(s, batch);

    if (rc == -ESHUTDOWN)
        break_for_good(s);
    if (rc == 0)
        tell_all(s, batch);
    else if (rc == -ESHUTDOWN || count == 1)
        fail_all(s, batch, rc);
    else
        write_each(s, batch);
}

/* True: store_close has posted its letter, which is no write. */
static bool take_last(struct store *s, struct mail_list *batch)
{
    struct mail *mail;

    STAILQ_FOREACH (mail, batch, link) {
        if (mail == &s->last) {
            STAILQ_REMOVE(batch, mail, mail, link);
            return true;
        }
    }
    return false;
}

/* Whatever has come while the last commit ran shares the next. Behind the last letter there is only what `done` of
 * other writes has posted. */
static void *run(void *arg)
{
    struct mail_list batch = STAILQ_HEAD_INITIALIZER(batch);
    struct store *s = arg;
    uint64_t idle_at_ns = clock_now_ns() + IDLE_AFTER_NS;

    thread_be_prompt();
    for (;;) {
        uint64_t until_ns = s->is_closing ? 0 : idle_at_ns;
        size_t count = mailbox_take(&s->mailbox, &batch, STORE_BATCH_MAX, until_ns);

        if (count == 0 && s->is_closing)
            return NULL;
        if (count == 0) {
            s->engine->idle(s->e);
            idle_at_ns = CLOCK_NEVER;
            continue;
        }
        if (!s->is_closing && take_last(s, &batch)) {
            s->is_closing = true;
            count--;
        }
        if (count > 0) {
            write_all(s, &batch, count);
            idle_at_ns = clock_now_ns() + IDLE_AFTER_NS;
        }
    }
}

/* ---- opening and closing ---- */

int store_open_engine(struct store **ret, const struct engine *engine,
                      const struct store_config *config, struct err *err)
{
    CLEANUP_FREE struct store *s = calloc(1, sizeof(*s));
    int rc;

    if (s == NULL)
        return err_set(err, -ENOMEM, "There is no memory for the store.");
    s->engine = engine;
    rc = engine->open(&s->e, config, err);
    if (rc < 0)
        return rc;
    s->committed = config->committed;
    atomic_init(&s->serial, clock_wall_ns() / CLOCK_NS_PER_MS);
    mailbox_init(&s->mailbox);
    rc = thread_start(&s->writer, "store", run, s);
    if (rc < 0) {
        mailbox_release(&s->mailbox);
        engine->close(s->e);
        return err_set(err, rc, "The store's thread cannot start: %s.", strerror(-rc));
    }
    *ret = take_ptr(s);
    return 0;
}

int store_open(struct store **ret, const struct store_config *config, struct err *err)
{
    if (strcmp(config->engine, "memory") == 0)
        return store_open_engine(ret, &engine_memory, config, err);
    if (strncmp(config->engine, "sqlite:", strlen("sqlite:")) == 0)
        return store_open_engine(ret, &engine_sqlite, config, err);
    return err_set(err, -EINVAL,
                   "There is no store '%s': use sqlite:PATH, with the path of a database that is "
                   "made when it is missing, or memory, which forgets at the end.",
                   config->engine);
}

struct store *store_close(struct store *s)
{
    if (s == NULL)
        return NULL;
    mailbox_post(&s->mailbox, &s->last);
    thread_join(&s->writer);
    mailbox_release(&s->mailbox);
    s->engine->close(s->e);
    free(s);
    return NULL;
}

/* ---- from any thread ---- */

const char *store_broken(struct store *s)
{
    return atomic_load(&s->broken);
}

void store_status(struct store *s, struct store_status *ret)
{
    /* Read first: a write that does not wait any more is in the counts. */
    uint64_t pending = atomic_load(&s->pending);

    *ret = (struct store_status) {
        .commits = atomic_load_explicit(&s->commits, memory_order_relaxed),
        .writes = atomic_load_explicit(&s->writes, memory_order_relaxed),
        .failures = atomic_load_explicit(&s->failures, memory_order_relaxed),
        .commit_ns = atomic_load_explicit(&s->commit_ns, memory_order_relaxed),
        .commit_max_ns = atomic_load_explicit(&s->commit_max_ns, memory_order_relaxed),
        .pending = pending,
    };
}

uint64_t store_serial(struct store *s)
{
    return atomic_load_explicit(&s->serial, memory_order_relaxed);
}

int store_post(struct store *s, struct store_write *w)
{
    uint64_t pending;

    CHECK(w->kind < STORE_KIND_COUNT && w->done != NULL);
    if (atomic_load(&s->broken) != NULL)
        return -ESHUTDOWN;
    pending = atomic_fetch_add(&s->pending, 1);
    if (w->kind == STORE_SUBMIT && pending >= STORE_PENDING_MAX) {
        (void)atomic_fetch_sub(&s->pending, 1);
        return -EBUSY;
    }
    if (w->kind == STORE_SUBMIT) {
        struct store_submit *submit = CONTAINER_OF(w, struct store_submit, write);
        submit->asked = submit->record;
    }
    mailbox_post(&s->mailbox, &w->mail);
    return 0;
}

int store_find(struct store *s, const char *id, struct record *ret)
{
    return s->engine->find(s->e, id, ret);
}

int store_list(struct store *s, const struct store_filter *filter, size_t max, struct record *ret)
{
    return s->engine->list(s->e, filter, MIN(max, (size_t)STORE_LIST_MAX), ret);
}

int store_attempts(struct store *s, uint64_t seq, struct record_attempt **ret)
{
    return s->engine->attempts(s->e, seq, ret);
}

int store_payload(struct store *s, uint64_t seq, struct payload *ret)
{
    return s->engine->payload(s->e, seq, ret);
}

int store_params(struct store *s, uint64_t seq, char **ret)
{
    return s->engine->params(s->e, seq, ret);
}

int store_result(struct store *s, uint64_t seq, struct store_result *ret)
{
    return s->engine->result(s->e, seq, ret);
}

int store_position(struct store *s, const struct record *record, uint64_t *ret)
{
    return s->engine->position(s->e, record, ret);
}

void store_count(struct store *s, struct store_counts *ret)
{
    s->engine->count(s->e, ret);
}

int store_each_state(struct store *s,
                     int (*each)(void *arg, const char *key, const char *value, uint64_t version),
                     void *arg, uint64_t *ret_version)
{
    return s->engine->each_state(s->e, each, arg, ret_version);
}

int store_find_state(struct store *s, const char *key, char **ret_value, uint64_t *ret_version)
{
    return s->engine->find_state(s->e, key, ret_value, ret_version);
}

const char *store_name(struct store *s)
{
    return s->engine->name(s->e);
}
