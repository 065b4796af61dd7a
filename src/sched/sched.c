#include "sched/sched.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "base/log.h"
#include "sched/internal.h"
#include "state/metrics.h"

enum { RETRY_AFTER_S_MAX = 30 };

/* ---- start and stop ---- */

static int open_fds(struct sched *s)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = WAKE_TAG};

    s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->epoll_fd < 0 || s->wake_fd < 0 ||
        epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, s->wake_fd, &event) < 0)
        return -errno;
    return 0;
}

static void init(struct sched *s, const struct sched_config *config)
{
    pthread_condattr_t attributes;

    s->config = *config;
    s->epoll_fd = s->wake_fd = -1;
    lock_init(&s->lock, LOCK_SCHED);
    CHECK(pthread_condattr_init(&attributes) == 0);
    CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&s->changed, &attributes) == 0);
    (void)pthread_condattr_destroy(&attributes);
    catalog_init(&s->catalog);
    heap_init(&s->timers);
    heap_init(&s->deadlines);
    TAILQ_INIT(&s->runs);
    TAILQ_INIT(&s->unwatched);
    TAILQ_INIT(&s->holding);
    STAILQ_INIT(&s->news);
    STAILQ_INIT(&s->ended);
    s->hash_key = hash_key_new();
    s->done_ns = clock_now_ns();
    for (unsigned lane = 0; lane < POOL_LANES; lane++) {
        s->sides[lane] = (struct side) {.lane = lane, .queue = queue_new()};
        CHECK(s->sides[lane].queue != NULL);
    }
    s->current = &s->sides[0];
}

static void label_metrics(struct sched *s)
{
    static const char *const reasons[] = {"retired", "killed", "misbehaved", "crashed"};

    for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
        CHECK(metrics_label(METRIC_WORKER_DEATHS, reasons[i]) == (int)i);
    for (int c = 0; c < QUEUE_CLASS_COUNT; c++)
        CHECK(metrics_label(METRIC_QUEUE_DEPTH, queue_class_names[c]) == c);
    CHECK(metrics_label(METRIC_WORKERS, "busy") == 0 && metrics_label(METRIC_WORKERS, "idle") == 1);
    CHECK(metrics_label(METRIC_RELOADS, "ok") == 0 && metrics_label(METRIC_RELOADS, "failed") == 1);
    metrics_set(METRIC_QUEUE_CAPACITY, 0, (int64_t)s->config.queue_max);
}

int sched_start(struct sched **ret, const struct sched_config *config, struct err *err)
{
    struct sched *s = calloc(1, sizeof(*s));
    int rc;

    CHECK(s != NULL);
    init(s, config);
    label_metrics(s);
    (void)death_by_oom(s); /* what was before us is not ours */
    rc = open_fds(s);
    watch_init(&s->watch, s->epoll_fd);
    if (rc < 0)
        (void)err_set(err, rc, "No epoll set for the scheduler: %s.", strerror(-rc));
    if (rc == 0)
        rc = pool_new(&s->pool, &config->pool, &s->catalog, s->epoll_fd, err);
    if (rc == 0)
        rc = thread_start(&s->collector, "collector", collector_run, s);
    if (rc < 0) {
        (void)sched_free(s);
        return rc;
    }
    *ret = s;
    return 0;
}

struct sched *sched_free(struct sched *s)
{
    if (s == NULL)
        return NULL;
    /* Orphans end with the workers. */
    for (unsigned i = 0; s->pool != NULL && i < PROTO_INFLIGHT_MAX; i++) {
        if (s->tasks[i].id != 0)
            task_end(s, &s->tasks[i]);
    }
    s->pool = pool_free(s->pool);
    watch_release(&s->watch);
    heap_release(&s->timers);
    heap_release(&s->deadlines);
    for (unsigned lane = 0; lane < POOL_LANES; lane++)
        s->sides[lane].queue = queue_free(s->sides[lane].queue);
    catalog_release(&s->catalog);
    check_close_fd(&s->epoll_fd);
    check_close_fd(&s->wake_fd);
    (void)pthread_cond_destroy(&s->changed);
    lock_release(&s->lock);
    free(s);
    return NULL;
}

void sched_wake(struct sched *s)
{
    uint64_t one = 1;

    (void)!write(s->wake_fd, &one, sizeof(one));
}

/* The condition is waited for under the lock's own mutex; ranks are not concerned. */
static bool wait_change(struct sched *s, uint64_t deadline_ns)
{
    struct timespec until = {.tv_sec = (time_t)(deadline_ns / CLOCK_NS_PER_S),
                             .tv_nsec = (long)(deadline_ns % CLOCK_NS_PER_S)};

    return pthread_cond_timedwait(&s->changed, &s->lock.mutex, &until) == 0;
}

int sched_wait_ready(struct sched *s, uint64_t deadline_ns, struct err *err)
{
    uint64_t patience_ns = deadline_ns - MIN(deadline_ns, clock_now_ns());

    LOCKED(&s->lock);
    while (!s->is_ready) {
        uint64_t until_ns = MAX(deadline_ns, s->loading_until_ns + patience_ns);
        if (*pool_refusal(s->pool) != '\0')
            return err_set(err, -EPERM, "%s", pool_refusal(s->pool));
        if (!wait_change(s, until_ns) && clock_now_ns() >= until_ns &&
            until_ns >= s->loading_until_ns + patience_ns)
            return err_set(err, -ETIMEDOUT,
                           "No worker was ready in time; what the zygote said is above.");
    }
    return 0;
}

void sched_drain(struct sched *s)
{
    lock_take(&s->lock);
    s->is_draining = true;
    lock_drop(&s->lock);
    sched_wake(s); /* who waits for a reload is let go */
}

size_t sched_wait_idle(struct sched *s, uint64_t deadline_ns)
{
    LOCKED(&s->lock);
    while (s->run_count > 0 && wait_change(s, deadline_ns))
        ;
    return s->run_count;
}

void sched_stop(struct sched *s)
{
    struct run *run;

    lock_take(&s->lock);
    s->is_draining = s->is_stopping = true;
    while ((run = TAILQ_FIRST(&s->runs)) != NULL)
        run_end(s, run, JOB_CANCELLED);
    lock_drop(&s->lock);
    sched_wake(s);
    thread_join(&s->collector);
}

struct catalog *sched_catalog(struct sched *s)
{
    return &s->catalog;
}

struct slab_store *sched_slabs(struct sched *s)
{
    return pool_slabs(s->pool);
}

/* ---- submitting ---- */

static int refuse(struct job *job, enum job_refusal why, uint64_t retry_after_s)
{
    job->outcome = JOB_REFUSED;
    job->refusal = why;
    job->retry_after_s = retry_after_s;
    return -EBUSY;
}

static uint64_t to_seconds(uint64_t ns)
{
    uint64_t s = (ns + CLOCK_NS_PER_S - 1) / CLOCK_NS_PER_S;

    return s < 1 ? 1 : MIN(s, (uint64_t)RETRY_AFTER_S_MAX);
}

/* When the queue will have drained, at the rate that requests ended lately. */
static uint64_t drain_ns(const struct sched *s)
{
    return s->gap_ns * MAX(runs_waiting(s), (size_t)1);
}

static uint64_t wait_ns(const struct side *side)
{
    unsigned workers = MAX(side->live[POOL_ORDINARY], 1U);

    if (side->out[POOL_ORDINARY] < workers)
        return 0;
    return side->backlog_ns / workers;
}

static int check_kernel(struct sched *s, struct job *job, const struct side *side, uint64_t now_ns)
{
    const struct kernel *k = job->kernel;
    uint64_t left_ns;

    if (*k->about->broken != '\0') {
        job->text = k->about->broken;
        return refuse(job, JOB_REFUSAL_BROKEN, 0);
    }
    if (side == NULL) {
        job->text = "It was replaced while this request came in. Send it again.";
        return refuse(job, JOB_REFUSAL_BROKEN, 1);
    }
    if (!pool_is_up(s->pool, side->lane))
        return 0; /* the next zygote is a moment away: wait in the queue */
    if (!retry_brake_allows(&record_of(s, k)->brake, now_ns, &left_ns))
        return refuse(job, JOB_REFUSAL_BRAKE, to_seconds(left_ns));
    return 0;
}

/* Whether the express worker would run it soon, whatever waits for the others. */
static bool goes_express(struct sched *s, const struct side *side, const struct kernel *k)
{
    const struct cost *cost = &record_of(s, k)->cost;

    return cost_is_short(cost) && cost_job_ns(cost) <= COST_EXPRESS_NS_MAX &&
           (k->about->flags & PRONG_IDEMPOTENT) != 0 &&
           side->out[POOL_EXPRESS] < side->live[POOL_EXPRESS] * SCHED_INTAKE_TASKS_MAX;
}

static int check_room(struct sched *s, struct job *job, const struct side *side, uint64_t now_ns)
{
    uint64_t wait;

    if (goes_express(s, side, job->kernel))
        return 0;
    wait = wait_ns(side);
    if (runs_waiting(s) >= s->config.queue_max)
        return refuse(job, JOB_REFUSAL_QUEUE_FULL, to_seconds(drain_ns(s)));
    if (wait > 0 && now_ns + wait > job->deadline_ns)
        return refuse(job, JOB_REFUSAL_TOO_LATE, to_seconds(wait));
    return 0;
}

static int admit(struct sched *s, struct job *job, const struct side *side, uint64_t fingerprint)
{
    uint64_t now_ns = clock_now_ns();
    uint64_t left_ns;
    int rc;

    if (s->is_stopping || (s->is_draining && !job->continues))
        return refuse(job, JOB_REFUSAL_DRAINING, 1);
    rc = check_kernel(s, job, side, now_ns);
    if (rc < 0)
        return rc;
    if (fingerprint != 0 && !job->counts_deaths &&
        retry_poison_has(&s->poison, &s->config.retry, fingerprint, now_ns, &left_ns))
        return refuse(job, JOB_REFUSAL_POISON, (left_ns + CLOCK_NS_PER_S - 1) / CLOCK_NS_PER_S);
    return 0;
}

/* What a job that joins a run has brought, which the run has already. Its input may be large, so it is freed without the
 * lock. */
struct spare {
    void *params, *input;
    struct key *key;
};

static struct spare take_spare(struct job *job)
{
    job->input = NULL;
    return (struct spare) {.params = take_ptr(job->params),
                           .input = take_ptr(job->input_owned),
                           .key = take_ptr(job->key)};
}

static void free_spare(struct spare *spare)
{
    free(spare->params);
    free(spare->input);
    free(spare->key);
}

static bool join(struct sched *s, struct job *job, struct spare *ret_spare)
{
    struct run *run = merge_find(s, job);

    if (run == NULL || run_add(s, run, job) < 0)
        return false;
    job->was_merged = true;
    *ret_spare = take_spare(job);
    return true;
}

static int accept_job(struct sched *s, struct job *job, uint64_t fingerprint,
                      struct pool_outbox *outbox, struct spare *ret_spare)
{
    struct side *side = reload_choose_side(s, job->kernel);
    struct run *run;
    int rc = admit(s, job, side, fingerprint);

    if (rc < 0)
        return rc;
    if (join(s, job, ret_spare))
        return 0;
    rc = check_room(s, job, side, clock_now_ns());
    if (rc < 0)
        return rc;
    run = run_new(s, job, side);
    if (run == NULL)
        return refuse(job, JOB_REFUSAL_NO_MEMORY, 1);
    run->fingerprint = fingerprint;
    dispatch_queue(s, run);
    dispatch_all(s, outbox);
    return 0;
}

int sched_submit(struct sched *s, struct job *job)
{
    struct pool_outbox outbox;
    struct spare spare = {NULL};
    uint64_t fingerprint = 0;
    bool must_wake;
    int rc;

    /* Outside the lock: the input may be large. */
    if (atomic_load(&s->has_poison))
        fingerprint = run_fingerprint(s, job);
    outbox.count = outbox.bytes = 0;
    lock_take(&s->lock);
    rc = accept_job(s, job, fingerprint, &outbox, &spare);
    /* Once accepted the job may end and go at any moment after this. */
    must_wake = s->wake_ns > clock_now_ns() + SCHED_TICK_MS * CLOCK_NS_PER_MS ||
                job->deadline_ns < s->wake_ns || batch_wake_ns(s) < s->wake_ns ||
                !STAILQ_EMPTY(&s->ended);
    if (must_wake)
        s->wake_ns = 0; /* said once is enough */
    lock_drop(&s->lock);
    dispatch_flush(s, &outbox);
    free_spare(&spare);
    if (must_wake)
        sched_wake(s);
    return rc;
}

struct job *sched_find_job(struct sched *s, const char *id)
{
    struct run *run;
    struct job *job;

    TAILQ_FOREACH (run, &s->runs, link) {
        TAILQ_FOREACH (job, &run->jobs, in_run) {
            if (strcmp(job->id.text, id) == 0)
                return job;
        }
    }
    return NULL;
}

void sched_cancel(struct sched *s, struct id id)
{
    struct job *job;

    lock_take(&s->lock);
    job = sched_find_job(s, id.text);
    if (job != NULL)
        run_leave(s, job, JOB_CANCELLED);
    lock_drop(&s->lock);
    if (job != NULL)
        sched_wake(s);
}

int sched_progress(struct sched *s, const char *id, uint64_t *ret_done, uint64_t *ret_total)
{
    uint64_t done, total;
    const struct job *job;

    LOCKED(&s->lock);
    job = sched_find_job(s, id);
    if (job == NULL)
        return -ESRCH;
    *ret_done = *ret_total = 0;
    if (run_progress(s, job->run, &done, &total)) {
        *ret_done = done;
        *ret_total = total;
    }
    return 0;
}

int sched_kill_worker(struct sched *s, int pid)
{
    LOCKED(&s->lock);
    return pool_kill_pid(s->pool, pid, SIGKILL);
}
