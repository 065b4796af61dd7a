#include "durable/durable.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>

#include "base/clock.h"
#include "base/hash.h"
#include "jobs/store/engine.h"

/*
 * A scheduler that does what the test says: what is submitted is kept until the test ends it.
 */
enum { SUBMITTED_MAX = 256 };

static struct {
    struct lock lock;
    pthread_cond_t changed;
    struct catalog catalog;
    struct catalog_set set;
    struct job *jobs[SUBMITTED_MAX]; /* not ended yet, in the order of submission; NULL: ended */
    size_t count;
    enum job_refusal refusal; /* of what is submitted from now on */
    size_t refused;
} fake;

struct catalog *sched_catalog(struct sched *s)
{
    (void)s;
    return &fake.catalog;
}

int sched_submit(struct sched *s, struct job *job)
{
    LOCKED(&fake.lock);

    (void)s;
    CHECK(pthread_cond_broadcast(&fake.changed) == 0);
    if (fake.refusal != JOB_REFUSAL_NONE) {
        job->outcome = JOB_REFUSED;
        job->refusal = fake.refusal;
        fake.refused++;
        return -EBUSY;
    }
    CHECK(fake.count < SUBMITTED_MAX);
    fake.jobs[fake.count++] = job;
    return 0;
}

static struct job *take_job(const char *id)
{
    LOCKED(&fake.lock);

    for (size_t i = 0; i < fake.count; i++) {
        if (fake.jobs[i] != NULL && strcmp(fake.jobs[i]->id.text, id) == 0)
            return take_ptr(fake.jobs[i]);
    }
    return NULL;
}

void sched_cancel(struct sched *s, struct id id)
{
    struct job *job = take_job(id.text);

    (void)s;
    if (job == NULL)
        return;
    job->outcome = JOB_CANCELLED;
    job->done(job);
}

/* ---- a store that has trouble when the test says so ---- */

static struct {
    struct lock lock;
    pthread_cond_t changed;
    bool fails_claims, stands_still;
    size_t failed, claimed; /* claims */
} trouble;

static int begin(void *e)
{
    lock_take(&trouble.lock);
    while (trouble.stands_still)
        CHECK(pthread_cond_wait(&trouble.changed, &trouble.lock.mutex) == 0);
    lock_drop(&trouble.lock);
    return engine_memory.begin(e);
}

static int apply(void *e, struct store_write *w)
{
    bool fails = false;

    if (w->kind == STORE_CLAIM) {
        LOCKED(&trouble.lock);
        fails = trouble.fails_claims;
        trouble.failed += fails;
        trouble.claimed += !fails;
        CHECK(pthread_cond_broadcast(&trouble.changed) == 0);
    }
    return fails ? -EIO : engine_memory.apply(e, w);
}

static void set_trouble(bool *which, bool is_on)
{
    LOCKED(&trouble.lock);

    *which = is_on;
    CHECK(pthread_cond_broadcast(&trouble.changed) == 0);
}

/* ---- helpers ---- */

static struct store *store;
static struct durable *durable;
static struct store_config store_config = {.engine = "memory",
                                           .limits = {.queued_max = 1000,
                                                      .queued_bytes_max = 1 << 20,
                                                      .results_bytes_max = 1 << 20,
                                                      .result_keep_us = 3600000000,
                                                      .records_max = 1000,
                                                      .record_keep_us = 3600000000}};

static const struct timespec patience = {.tv_sec = 20};

static struct timespec deadline(void)
{
    struct timespec now;

    CHECK(clock_gettime(CLOCK_REALTIME, &now) == 0);
    now.tv_sec += patience.tv_sec;
    return now;
}

/* The id of the nth job that was submitted to the scheduler, counted from 0, once it is there. */
static struct id wait_submitted(size_t n)
{
    struct timespec until = deadline();
    struct id id = {""};
    LOCKED(&fake.lock);

    while (fake.count <= n)
        assert_int_equal(pthread_cond_timedwait(&fake.changed, &fake.lock.mutex, &until), 0);
    if (fake.jobs[n] != NULL)
        id = fake.jobs[n]->id;
    return id;
}

static void wait_refused(size_t n)
{
    struct timespec until = deadline();
    LOCKED(&fake.lock);

    while (fake.refused < n)
        assert_int_equal(pthread_cond_timedwait(&fake.changed, &fake.lock.mutex, &until), 0);
}

static size_t running(void)
{
    size_t n = 0;
    LOCKED(&fake.lock);

    for (size_t i = 0; i < fake.count; i++)
        n += fake.jobs[i] != NULL;
    return n;
}

static size_t count_of(const size_t *claims)
{
    LOCKED(&trouble.lock);

    return *claims;
}

static void wait_more(const size_t *claims, size_t before)
{
    struct timespec until = deadline();
    LOCKED(&trouble.lock);

    while (*claims == before)
        assert_int_equal(pthread_cond_timedwait(&trouble.changed, &trouble.lock.mutex, &until), 0);
}

static void end_after(struct id id, const char *result, uint64_t run_ms)
{
    struct job *job = take_job(id.text);

    assert_non_null(job);
    job->outcome = JOB_OK;
    job->result = blob_new(strdup(result), strlen(result));
    (void)snprintf(job->media_type, sizeof(job->media_type), "application/json");
    job->receipt =
        (struct job_receipt) {.run_ns = run_ms * CLOCK_NS_PER_MS, .chunks = 3, .workers = 2};
    job->done(job);
}

static void end_ok(struct id id, const char *result)
{
    end_after(id, result, 50);
}

static void end_badly(struct id id, enum job_outcome outcome)
{
    struct job *job = take_job(id.text);

    assert_non_null(job);
    job->outcome = outcome;
    if (outcome == JOB_DIED)
        job->wait_status = SIGSEGV;
    job->text = "so";
    job->done(job);
}

/* A call that the store or the "jobs" thread answers. */
struct answer {
    struct lock lock;
    pthread_cond_t came;
    bool is_here;
};

static void answer_init(struct answer *a)
{
    lock_init(&a->lock, LOCK_LIMITS);
    CHECK(pthread_cond_init(&a->came, NULL) == 0);
    a->is_here = false;
}

static void answer_come(struct answer *a)
{
    LOCKED(&a->lock);

    a->is_here = true;
    CHECK(pthread_cond_broadcast(&a->came) == 0);
}

static void answer_wait(struct answer *a)
{
    struct timespec until = deadline();
    LOCKED(&a->lock);

    while (!a->is_here)
        assert_int_equal(pthread_cond_timedwait(&a->came, &a->lock.mutex, &until), 0);
}

static void submit_done(struct durable_submit *s)
{
    answer_come(s->owner);
}

static struct record asked(const char *kernel)
{
    struct record record = {.id = id_new(),
                            .client = "127.0.0.1",
                            .priority = 1,
                            .timeout_us = 60000000,
                            .attempts_max = 3,
                            .created_us = durable_now_us(durable)};

    (void)snprintf(record.kernel, sizeof(record.kernel), "%s", kernel);
    return record;
}

static struct id submit_record(struct record record)
{
    struct answer answer;
    struct durable_submit s = {
        .store = {.record = record, .params = "{\"n\":7}"}, .done = submit_done, .owner = &answer};

    answer_init(&answer);
    assert_int_equal(durable_submit(durable, &s), 0);
    answer_wait(&answer);
    assert_int_equal(s.store.write.rc, 0);
    assert_int_equal(s.store.record.state, RECORD_QUEUED);
    return record.id;
}

static struct id submit(const char *kernel)
{
    return submit_record(asked(kernel));
}

static void change_done(struct durable_change *c)
{
    answer_come(c->owner);
}

static int change(int (*how)(struct durable *d, struct durable_change *c), struct id id)
{
    struct answer answer;
    struct durable_change c = {.store = {.id = id}, .done = change_done, .owner = &answer};

    answer_init(&answer);
    assert_int_equal(how(durable, &c), 0);
    answer_wait(&answer);
    return c.store.write.rc;
}

/* Everything that a watcher was told. */
enum { TOLD_MAX = 64 };

struct watcher {
    struct durable_watch watch;
    struct answer last;
    struct lock lock;
    pthread_cond_t told;
    size_t count;
    struct {
        enum durable_event_kind kind;
        uint64_t number, done, total;
        enum record_state state;
        int pid;
        struct job_retry retry;
        char data[64];
    } events[TOLD_MAX];
};

static void hear(struct durable_watch *w, const struct durable_event *e)
{
    struct watcher *watcher = w->owner;
    bool last = e->kind == DURABLE_END || e->kind >= DURABLE_TIMEOUT;

    lock_take(&watcher->lock);
    CHECK(watcher->count < TOLD_MAX);
    watcher->events[watcher->count].kind = e->kind;
    watcher->events[watcher->count].number = e->number;
    watcher->events[watcher->count].pid = e->pid;
    if (e->retry != NULL)
        watcher->events[watcher->count].retry = *e->retry;
    watcher->events[watcher->count].done = e->done;
    watcher->events[watcher->count].total = e->total;
    if (e->record != NULL)
        watcher->events[watcher->count].state = e->record->state;
    (void)snprintf(watcher->events[watcher->count].data, sizeof(watcher->events->data), "%.*s",
                   (int)e->bytes, e->data == NULL ? "" : (const char *)e->data);
    watcher->count++;
    CHECK(pthread_cond_broadcast(&watcher->told) == 0);
    lock_drop(&watcher->lock);
    if (last)
        answer_come(&watcher->last);
}

static struct watcher *watch_from(struct id id, bool wants_all, uint64_t after,
                                  uint64_t deadline_ns)
{
    struct watcher *w = calloc(1, sizeof(*w));

    answer_init(&w->last);
    lock_init(&w->lock, LOCK_STATE);
    CHECK(pthread_cond_init(&w->told, NULL) == 0);
    w->watch = (struct durable_watch) {.job = id,
                                       .deadline_ns = deadline_ns,
                                       .wants_all = wants_all,
                                       .after = after,
                                       .tell = hear,
                                       .owner = w};
    durable_watch(durable, &w->watch);
    return w;
}

static struct watcher *watch(struct id id, bool wants_all)
{
    return watch_from(id, wants_all, 0, CLOCK_NEVER);
}

static void wait_told(struct watcher *w, size_t count)
{
    struct timespec until = deadline();
    LOCKED(&w->lock);

    while (w->count < count)
        assert_int_equal(pthread_cond_timedwait(&w->told, &w->lock.mutex, &until), 0);
}

static enum durable_event_kind wait_last(struct watcher *w)
{
    answer_wait(&w->last);
    return w->events[w->count - 1].kind;
}

/* Watches to the end; how it ended. */
static struct record wait_end(struct id id)
{
    struct watcher *w = watch(id, false);
    struct record record;

    assert_int_equal(wait_last(w), DURABLE_END);
    assert_int_equal(w->count, 1);
    free(w);
    assert_int_equal(store_find(store, id.text, &record), 0);
    return record;
}

static struct description *describe(const char *name)
{
    static const struct prong_param params[] = {PRONG_PARAM_INT("n", 0, 10, 1, "a number")};
    struct prong_kernel kernel = {.size = sizeof(kernel),
                                  .abi_major = PRONG_ABI_MAJOR,
                                  .name = name,
                                  .version = "1",
                                  .params = params,
                                  .param_count = 1};
    struct description *about = NULL;
    struct buf b;

    buf_init(&b, DESCRIPTION_BYTES_MAX);
    CHECK(description_encode(&b, &kernel, NULL) == 0);
    CHECK(description_decode(b.data, b.size, &about) == 0);
    buf_release(&b);
    return about;
}

static void start_durable(uint64_t backoff_ns)
{
    struct err err = {""};
    struct durable_config config = {.sched = (struct sched *)&fake,
                                    .store = store,
                                    .workers = 2,
                                    .results_bytes_max = UINT64_MAX,
                                    .backoff_ns = backoff_ns};

    assert_int_equal(durable_start(&durable, &config, &err), 0);
}

static int set_up(void **state)
{
    struct engine troubled = engine_memory;
    static struct engine engine;
    static struct catalog_draft draft;
    static struct catalog_change change;
    struct err err = {""};

    (void)state;
    memset(&trouble, 0, sizeof(trouble));
    lock_init(&trouble.lock, LOCK_LIMITS);
    CHECK(pthread_cond_init(&trouble.changed, NULL) == 0);
    troubled.begin = begin;
    troubled.apply = apply;
    engine = troubled;
    memset(&fake, 0, sizeof(fake));
    lock_init(&fake.lock, LOCK_SCHED);
    CHECK(pthread_cond_init(&fake.changed, NULL) == 0);
    catalog_init(&fake.catalog);
    CHECK(catalog_draft_add(&draft, describe("count"), 0) == 0);
    CHECK(catalog_install(&fake.catalog, &draft, &fake.set, &change, NULL) == 0);
    assert_int_equal(store_open_engine(&store, &engine, &store_config, &err), 0);
    start_durable(CLOCK_NS_PER_MS);
    return 0;
}

/* As main.c does. */
static void stop_durable(void)
{
    durable_drain(durable);
    durable_drain(durable);
    for (size_t i = 0; i < SUBMITTED_MAX; i++) {
        struct job *job;
        lock_take(&fake.lock);
        job = take_ptr(fake.jobs[i]);
        fake.refusal = JOB_REFUSAL_DRAINING;
        lock_drop(&fake.lock);
        if (job != NULL) {
            job->outcome = JOB_CANCELLED;
            job->done(job);
        }
    }
    assert_true(durable_stop(durable, CLOCK_NEVER));
}

/* The next server, after the one before has ended. */
static void restart_durable(uint64_t backoff_ns)
{
    memset(fake.jobs, 0, sizeof(fake.jobs));
    fake.count = 0;
    fake.refusal = JOB_REFUSAL_NONE;
    start_durable(backoff_ns);
}

static int tear_down(void **state)
{
    (void)state;
    stop_durable();
    durable = durable_free(durable);
    store = store_close(store);
    catalog_set_clear(&fake.set);
    catalog_release(&fake.catalog);
    lock_release(&fake.lock);
    lock_release(&trouble.lock);
    return 0;
}

/* ---- tests ---- */

static void test_a_job_runs_and_its_result_is_kept(void **state)
{
    struct id id = submit("count");
    struct store_result result;
    struct record record;
    struct job *job;

    (void)state;
    assert_string_equal(wait_submitted(0).text, id.text);
    job = fake.jobs[0];
    assert_int_equal(job->params_bytes, sizeof(int64_t));
    assert_int_equal(*(int64_t *)job->params, 7);
    assert_true(job->counts_deaths);
    end_ok(id, "{\"count\":7}");
    record = wait_end(id);
    assert_int_equal(record.state, RECORD_SUCCEEDED);
    assert_int_equal(record.attempts, 1);
    assert_int_equal(record.receipt.chunks, 3);
    assert_true(record.finished_us >= record.started_us && record.started_us >= record.created_us);
    assert_int_equal(store_result(store, record.seq, &result), 0);
    assert_int_equal(result.bytes, 11);
    assert_memory_equal(result.data, "{\"count\":7}", 11);
    free(result.data);
}

static void test_a_job_whose_worker_dies_is_dead_after_its_attempts(void **state)
{
    struct id id = submit("count");
    struct record_attempt *attempts;
    struct record record;

    (void)state;
    for (size_t n = 0; n < 3; n++) {
        assert_string_equal(wait_submitted(n).text, id.text);
        end_badly(id, JOB_DIED);
    }
    record = wait_end(id);
    assert_int_equal(record.state, RECORD_DEAD);
    assert_int_equal(record.attempts, 3);
    assert_int_equal(store_attempts(store, record.seq, &attempts), 3);
    for (unsigned n = 0; n < 3; n++) {
        assert_int_equal(attempts[n].number, n + 1);
        assert_int_equal(attempts[n].end.outcome, JOB_DIED);
        assert_int_equal(attempts[n].end.wait_status, SIGSEGV);
    }
    free(attempts);
    assert_int_equal(fake.count, 3);
}

static void test_a_dead_job_can_be_retried(void **state)
{
    struct record record = asked("count");
    struct id id;

    (void)state;
    record.attempts_max = 1;
    id = submit_record(record);
    (void)wait_submitted(0);
    end_badly(id, JOB_DIED);
    assert_int_equal(wait_end(id).state, RECORD_DEAD);
    assert_int_equal(change(durable_retry, id), 0);
    assert_string_equal(wait_submitted(1).text, id.text);
    assert_int_equal(change(durable_retry, id), -EALREADY);
    end_ok(id, "1");
    assert_int_equal(wait_end(id).state, RECORD_SUCCEEDED);
}

static void test_what_the_kernel_refuses_is_not_tried_again(void **state)
{
    struct id id = submit("count");
    struct record record;

    (void)state;
    (void)wait_submitted(0);
    end_badly(id, JOB_FAILED);
    record = wait_end(id);
    assert_int_equal(record.state, RECORD_FAILED);
    assert_int_equal(record.end.outcome, JOB_FAILED);
    assert_string_equal(record.end.text, "so");
}

static void test_a_kernel_that_is_gone_fails_the_job(void **state)
{
    struct record record = wait_end(submit("gone"));

    (void)state;
    assert_int_equal(record.state, RECORD_FAILED);
    assert_non_null(strstr(record.end.text, "no kernel of this name"));
}

static void test_parameters_that_no_longer_fit_fail_the_job(void **state)
{
    struct answer answer;
    struct durable_submit s = {.store = {.record = asked("count"), .params = "{\"n\":11}"},
                               .done = submit_done,
                               .owner = &answer};
    struct record record;

    (void)state;
    answer_init(&answer);
    assert_int_equal(durable_submit(durable, &s), 0);
    answer_wait(&answer);
    record = wait_end(s.store.record.id);
    assert_int_equal(record.state, RECORD_FAILED);
    assert_non_null(strstr(record.end.text, "0 to 10"));
}

static void test_only_as_many_run_as_the_workers_need(void **state)
{
    struct id ids[20];

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
        ids[i] = submit("count");
    /* Each that ends makes room for the next, in their order: never more than one beyond the two workers. */
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
        assert_string_equal(wait_submitted(i).text, ids[i].text);
        assert_in_range(running(), 1, 3);
        end_ok(ids[i], "1");
    }
    for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
        assert_int_equal(wait_end(ids[i]).state, RECORD_SUCCEEDED);
}

static void test_priority_goes_first(void **state)
{
    struct id running_ids[3], low, high;
    struct record record;

    (void)state;
    for (size_t i = 0; i < 3; i++)
        running_ids[i] = submit("count");
    (void)wait_submitted(2);
    record = asked("count");
    record.priority = 2;
    low = submit_record(record);
    record = asked("count");
    record.priority = 0;
    high = submit_record(record);
    end_ok(running_ids[0], "1");
    assert_string_equal(wait_submitted(3).text, high.text);
    end_ok(running_ids[1], "1");
    assert_string_equal(wait_submitted(4).text, low.text);
}

static void test_a_queued_job_is_cancelled(void **state)
{
    struct id ids[4];

    (void)state;
    for (size_t i = 0; i < 4; i++)
        ids[i] = submit("count");
    (void)wait_submitted(2);
    assert_int_equal(change(durable_cancel, ids[3]), 0);
    assert_int_equal(wait_end(ids[3]).state, RECORD_CANCELLED);
    assert_int_equal(change(durable_cancel, ids[3]), -EALREADY);
    end_ok(ids[0], "1");
    assert_int_equal(wait_end(ids[0]).state, RECORD_SUCCEEDED);
    assert_int_equal(fake.count, 3);
}

static void test_a_running_job_is_cancelled_and_its_work_stopped(void **state)
{
    struct id id = submit("count");
    struct watcher *w = watch(id, true);

    (void)state;
    (void)wait_submitted(0);
    assert_int_equal(change(durable_cancel, id), 0);
    assert_null(take_job(id.text)); /* sched_cancel has had it */
    assert_int_equal(wait_last(w), DURABLE_END);
    assert_int_equal(w->events[w->count - 1].state, RECORD_CANCELLED);
    assert_int_equal(wait_end(id).state, RECORD_CANCELLED);
    assert_int_equal(change(durable_forget, id), 0);
    assert_int_equal(change(durable_cancel, id), -ENOENT);
    free(w);
}

static void test_a_result_that_comes_after_the_cancel_does_not_count(void **state)
{
    struct id id = submit("count");
    struct job *job;

    (void)state;
    (void)wait_submitted(0);
    job = take_job(id.text); /* it has ended, but its news is still on the way */
    assert_int_equal(change(durable_cancel, id), 0);
    job->outcome = JOB_OK;
    job->result = blob_new(strdup("1"), 1);
    job->done(job);
    /* Another one through the same thread, so that the end has been written. */
    (void)submit("gone");
    assert_int_equal(wait_end(id).state, RECORD_CANCELLED);
}

static void test_what_the_scheduler_refuses_runs_later(void **state)
{
    struct record_attempt *attempts = NULL;
    struct record record;
    struct id id;

    (void)state;
    fake.refusal = JOB_REFUSAL_QUEUE_FULL;
    id = submit("count");
    wait_refused(1);
    lock_take(&fake.lock);
    fake.refusal = JOB_REFUSAL_NONE;
    lock_drop(&fake.lock);
    assert_string_equal(wait_submitted(0).text, id.text);
    end_ok(id, "1");
    record = wait_end(id);
    assert_int_equal(record.state, RECORD_SUCCEEDED);
    assert_int_equal(record.attempts, 1);
    assert_int_equal(store_attempts(store, record.seq, &attempts), 1);
    free(attempts);
}

static void test_a_job_whose_deadline_passes_in_the_queue_fails(void **state)
{
    struct record record = asked("count");

    (void)state;
    for (size_t i = 0; i < 3; i++)
        (void)submit("count");
    (void)wait_submitted(2); /* no room is left, so nothing is claimed for its sake */
    record.deadline_us = durable_now_us(durable) + 1000;
    record = wait_end(submit_record(record));
    assert_int_equal(record.state, RECORD_FAILED);
    assert_int_equal(record.end.outcome, JOB_DEADLINE);
    assert_int_equal(record.attempts, 0);
}

static void test_an_attempt_may_not_outlive_the_deadline(void **state)
{
    struct record record = asked("count");

    (void)state;
    record.timeout_us = 3600000000;
    record.deadline_us = durable_now_us(durable) + 600000000;
    (void)submit_record(record);
    (void)wait_submitted(0);
    assert_true(fake.jobs[0]->deadline_ns <= clock_now_ns() + 600 * CLOCK_NS_PER_S);
    assert_true(fake.jobs[0]->deadline_ns > clock_now_ns() + 500 * CLOCK_NS_PER_S);
}

static void test_a_watcher_is_told_all_in_order(void **state)
{
    struct id id = submit("count");
    struct watcher *w = watch(id, true), *late;
    struct job *job;

    (void)state;
    (void)wait_submitted(0);
    job = fake.jobs[0];
    wait_told(w, 1);
    job->part(job, 7, "one", 3);
    job->progress(job, 5, 10);
    job->part(job, 7, "two", 3);
    end_ok(id, "1");
    assert_int_equal(wait_last(w), DURABLE_END);
    assert_int_equal(w->events[w->count - 1].state, RECORD_SUCCEEDED);
    for (size_t i = 1; i < w->count; i++)
        assert_true(w->events[i].number > w->events[i - 1].number);
    assert_string_equal(w->events[w->count - 4].data, "one");
    assert_int_equal(w->events[w->count - 3].kind, DURABLE_PROGRESS);
    assert_int_equal(w->events[w->count - 3].done, 5);
    assert_int_equal(w->events[w->count - 3].total, 10);
    assert_string_equal(w->events[w->count - 2].data, "two");
    late = watch(id, true);
    assert_int_equal(wait_last(late), DURABLE_END);
    assert_int_equal(late->count, 1);
    free(w);
    free(late);
}

static void test_a_retry_is_told_among_the_parts(void **state)
{
    struct job_retry retry = {.pid = 9, .has_range = true, .from = 3, .to = 8, .reason = "SIGKILL"};
    struct id id = submit("count");
    struct watcher *w = watch(id, true), *late;
    struct job *job;

    (void)state;
    (void)wait_submitted(0);
    job = fake.jobs[0];
    wait_told(w, 1);
    job->part(job, 7, "one", 3);
    job->retried(job, &retry);
    job->part(job, 8, "two", 3);
    late = watch(id, true);
    wait_told(late, 4);
    end_ok(id, "1");
    assert_int_equal(wait_last(w), DURABLE_END);
    assert_int_equal(w->events[w->count - 4].pid, 7);
    assert_int_equal(w->events[w->count - 3].kind, DURABLE_RETRY);
    assert_memory_equal(&w->events[w->count - 3].retry, &retry, sizeof(retry));
    assert_int_equal(w->events[w->count - 2].pid, 8);
    assert_int_equal(wait_last(late), DURABLE_END);
    assert_int_equal(late->events[2].kind, DURABLE_RETRY);
    assert_memory_equal(&late->events[2].retry, &retry, sizeof(retry));
    free(w);
    free(late);
}

static void test_who_comes_back_gets_what_it_has_missed(void **state)
{
    struct id id = submit("count");
    struct watcher *first, *again;
    struct job *job;
    uint64_t known;

    (void)state;
    (void)wait_submitted(0);
    job = fake.jobs[0];
    job->part(job, 7, "one", 3);
    job->part(job, 7, "two", 3);
    first = watch(id, true);
    wait_told(first, 3);
    assert_int_equal(first->events[0].kind, DURABLE_STATE);
    assert_int_equal(first->events[0].state, RECORD_RUNNING);
    assert_string_equal(first->events[1].data, "one");
    assert_string_equal(first->events[2].data, "two");
    known = first->events[1].number;
    again = watch_from(id, true, known, CLOCK_NEVER);
    wait_told(again, 1);
    assert_string_equal(again->events[0].data, "two");
    end_ok(id, "1");
    assert_int_equal(wait_last(first), DURABLE_END);
    assert_int_equal(wait_last(again), DURABLE_END);
    assert_int_equal(again->count, 2);
    free(first);
    free(again);
}

static void test_only_the_newest_parts_are_kept(void **state)
{
    struct id id = submit("count");
    char *part = calloc(1, DURABLE_EVENT_BYTES_MAX / 4);
    struct watcher *w;
    struct job *job;

    (void)state;
    (void)wait_submitted(0);
    job = fake.jobs[0];
    for (int i = 0; i < 10; i++) {
        part[0] = (char)('0' + i);
        job->part(job, 7, part, DURABLE_EVENT_BYTES_MAX / 4);
    }
    w = watch(id, true);
    wait_told(w, 5);
    assert_string_equal(w->events[1].data, "6");
    assert_string_equal(w->events[4].data, "9");
    end_ok(id, "1");
    assert_int_equal(wait_last(w), DURABLE_END);
    free(w);
    free(part);
}

static void test_a_watch_ends_at_its_deadline(void **state)
{
    struct id id = submit("count");
    struct watcher *w = watch_from(id, false, 0, clock_now_ns() + CLOCK_NS_PER_MS);

    (void)state;
    assert_int_equal(wait_last(w), DURABLE_TIMEOUT);
    assert_int_equal(w->count, 1);
    free(w);
}

static void test_nobody_can_watch_what_is_not_there(void **state)
{
    struct watcher *w = watch(id_new(), true);

    (void)state;
    assert_int_equal(wait_last(w), DURABLE_GONE);
    free(w);
}

static void test_who_waits_is_told_when_the_job_is_forgotten(void **state)
{
    struct id id = submit("gone");
    struct watcher *w;

    (void)state;
    (void)wait_end(id);
    assert_int_equal(change(durable_forget, id), 0);
    w = watch(id, false);
    assert_int_equal(wait_last(w), DURABLE_GONE);
    free(w);
}

static void test_the_end_of_the_server_lets_watchers_go_and_queues_what_it_cut_off(void **state)
{
    struct id id = submit("count");
    struct watcher *w = watch(id, true), *after;
    struct durable_change c = {.store = {.id = id}};
    struct record_attempt *attempts;
    struct record record;

    (void)state;
    (void)wait_submitted(0);
    stop_durable();
    assert_int_equal(wait_last(w), DURABLE_DRAINING);
    after = watch(id, false);
    assert_int_equal(wait_last(after), DURABLE_DRAINING);
    assert_int_equal(durable_cancel(durable, &c), -ECANCELED);
    assert_int_equal(store_find(store, id.text, &record), 0);
    assert_int_equal(record.state, RECORD_QUEUED);
    assert_int_equal(record.attempts, 0);
    assert_int_equal(store_attempts(store, record.seq, &attempts), 1);
    assert_int_equal(attempts[0].end.outcome, JOB_CANCELLED);
    free(attempts);
    durable = durable_free(durable);
    free(w);
    free(after);

    restart_durable(CLOCK_NS_PER_MS);
    assert_string_equal(wait_submitted(0).text, id.text);
    end_ok(id, "1");
    assert_int_equal(wait_end(id).state, RECORD_SUCCEEDED);
}

static void restart_with(uint64_t backoff_ns)
{
    stop_durable();
    durable = durable_free(durable);
    restart_durable(backoff_ns);
}

static void pause_long_before_another_attempt(void)
{
    restart_with(60 * CLOCK_NS_PER_S);
}

static void test_a_deadline_that_passes_between_two_attempts_ends_the_job(void **state)
{
    struct record record;

    (void)state;
    pause_long_before_another_attempt();
    record = asked("count");
    record.deadline_us = durable_now_us(durable) + 200000;
    (void)submit_record(record);
    (void)wait_submitted(0);
    end_badly(record.id, JOB_DIED);
    record = wait_end(record.id);
    assert_int_equal(record.state, RECORD_FAILED);
    assert_int_equal(record.end.outcome, JOB_DEADLINE);
}

static bool is_told_queued(const struct watcher *w, size_t n)
{
    return n > 0 && w->events[n - 1].kind == DURABLE_STATE &&
           w->events[n - 1].state == RECORD_QUEUED;
}

static void test_progress_is_forgotten_with_its_attempt(void **state)
{
    struct watcher *first, *second;
    struct id id;

    (void)state;
    pause_long_before_another_attempt();
    id = submit("count");
    first = watch(id, true);
    (void)wait_submitted(0);
    fake.jobs[0]->progress(fake.jobs[0], 1, 2);
    end_badly(id, JOB_DIED);
    for (size_t n = 1, progress = 0; progress == 0 || !is_told_queued(first, n - 1); n++) {
        wait_told(first, n);
        progress += first->events[n - 1].kind == DURABLE_PROGRESS;
    }
    second = watch(id, true);
    wait_told(second, 1);
    assert_int_equal(change(durable_cancel, id), 0);
    assert_int_equal(wait_last(first), DURABLE_END);
    assert_int_equal(wait_last(second), DURABLE_END);
    assert_int_equal(second->count, 2);
    assert_int_equal(second->events[0].kind, DURABLE_STATE);
    free(first);
    free(second);
}

enum { MANY = 5 };

/* As long as jobs seem to be short, more of them run than afterwards. */
static void run_many(struct id ids[MANY])
{
    struct id first = submit("count");

    (void)wait_submitted(0);
    end_after(first, "1", 1);
    (void)wait_end(first);
    for (size_t i = 0; i < MANY; i++) {
        ids[i] = submit("count");
        (void)wait_submitted(1 + i);
    }
}

static void end_long(const struct id *ids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        end_after(ids[i], "1", 1000);
        (void)wait_end(ids[i]);
    }
}

static void test_what_was_queued_during_trouble_runs_when_there_is_room_again(void **state)
{
    struct id ids[MANY], late;
    size_t claimed;

    (void)state;
    run_many(ids);
    set_trouble(&trouble.fails_claims, true);
    late = submit("count");
    wait_more(&trouble.failed, 0);
    end_long(ids, 1);
    claimed = count_of(&trouble.claimed);
    set_trouble(&trouble.fails_claims, false);
    wait_more(&trouble.claimed, claimed);
    end_long(ids + 1, MANY - 1);
    assert_string_equal(wait_submitted(1 + MANY).text, late.text);
}

static void test_what_is_due_while_there_is_no_room_runs_when_there_is(void **state)
{
    struct id ids[MANY];
    size_t claimed;

    (void)state;
    restart_with(CLOCK_NS_PER_S);
    run_many(ids);
    claimed = count_of(&trouble.claimed);
    end_badly(ids[0], JOB_DIED);
    end_long(ids + 1, 1);
    wait_more(&trouble.claimed, claimed);
    end_long(ids + 2, MANY - 2);
    assert_string_equal(wait_submitted(1 + MANY).text, ids[0].text);
}

static void test_the_end_does_not_wait_for_a_store_that_stands_still(void **state)
{
    struct id id = submit("count");

    (void)state;
    (void)wait_submitted(0);
    set_trouble(&trouble.stands_still, true);
    end_ok(id, "1");
    durable_drain(durable);
    assert_false(durable_stop(durable, clock_now_ns()));
    set_trouble(&trouble.stands_still, false);
    assert_true(durable_stop(durable, CLOCK_NEVER));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_a_job_runs_and_its_result_is_kept),
        TEST(test_a_job_whose_worker_dies_is_dead_after_its_attempts),
        TEST(test_a_dead_job_can_be_retried),
        TEST(test_what_the_kernel_refuses_is_not_tried_again),
        TEST(test_a_kernel_that_is_gone_fails_the_job),
        TEST(test_parameters_that_no_longer_fit_fail_the_job),
        TEST(test_only_as_many_run_as_the_workers_need),
        TEST(test_priority_goes_first),
        TEST(test_a_queued_job_is_cancelled),
        TEST(test_a_running_job_is_cancelled_and_its_work_stopped),
        TEST(test_a_result_that_comes_after_the_cancel_does_not_count),
        TEST(test_what_the_scheduler_refuses_runs_later),
        TEST(test_a_job_whose_deadline_passes_in_the_queue_fails),
        TEST(test_an_attempt_may_not_outlive_the_deadline),
        TEST(test_a_watcher_is_told_all_in_order),
        TEST(test_a_retry_is_told_among_the_parts),
        TEST(test_who_comes_back_gets_what_it_has_missed),
        TEST(test_only_the_newest_parts_are_kept),
        TEST(test_a_watch_ends_at_its_deadline),
        TEST(test_nobody_can_watch_what_is_not_there),
        TEST(test_who_waits_is_told_when_the_job_is_forgotten),
        TEST(test_the_end_of_the_server_lets_watchers_go_and_queues_what_it_cut_off),
        TEST(test_a_deadline_that_passes_between_two_attempts_ends_the_job),
        TEST(test_progress_is_forgotten_with_its_attempt),
        TEST(test_what_was_queued_during_trouble_runs_when_there_is_room_again),
        TEST(test_what_is_due_while_there_is_no_room_runs_when_there_is),
        TEST(test_the_end_does_not_wait_for_a_store_that_stands_still),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
