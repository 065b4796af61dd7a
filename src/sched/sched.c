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
    TAILQ_INIT(&s->runs);
    TAILQ_INIT(&s->unwatched);
    STAILQ_INIT(&s->news);
    s->hash_key = hash_key_new();
    s->done_ns = clock_now_ns();
    s->queue = queue_new();
    CHECK(s->queue != NULL);
}

static void label_metrics(struct sched *s)
{
    static const char *const reasons[] = {"retired", "killed", "misbehaved", "crashed"};

    for (size_t i = 0; i < ARRAY_SIZE(reasons); i++)
        CHECK(metrics_label(METRIC_WORKER_DEATHS, reasons[i]) == (int)i);
    for (int c = 0; c < QUEUE_CLASS_COUNT; c++)
        CHECK(metrics_label(METRIC_QUEUE_DEPTH, queue_class_names[c]) == c);
    CHECK(metrics_label(METRIC_WORKERS, "busy") == 0 && metrics_label(METRIC_WORKERS, "idle") == 1);
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
    s->queue = queue_free(s->queue);
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

int sched_wait_ready(struct sched *s, uint64_t deadline_ns)
{
    uint64_t patience_ns = deadline_ns - MIN(deadline_ns, clock_now_ns());

    LOCKED(&s->lock);
    while (!s->is_ready) {
        uint64_t until_ns = MAX(deadline_ns, s->loading_until_ns + patience_ns);
        if (!wait_change(s, until_ns) && clock_now_ns() >= until_ns &&
            until_ns >= s->loading_until_ns + patience_ns)
            return -ETIMEDOUT;
    }
    return 0;
}

void sched_drain(struct sched *s)
{
    LOCKED(&s->lock);
    s->is_draining = true;
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

static uint64_t wait_ns(const struct sched *s)
{
    unsigned workers = MAX(s->live[POOL_ORDINARY], 1U);

    if (s->out[POOL_ORDINARY] < workers)
        return 0;
    return s->backlog_ns / workers;
}

static int check_kernel(struct sched *s, struct job *job, uint64_t now_ns)
{
    const struct kernel *k = job->kernel;
    uint64_t left_ns;

    if (*k->about->broken != '\0') {
        (void)snprintf(job->text, sizeof(job->text), "%s", k->about->broken);
        return refuse(job, JOB_REFUSAL_BROKEN, 0);
    }
    if (!pool_is_up(s->pool))
        return 0; /* the next zygote is a moment away: wait in the queue */
    if (atomic_load(&k->index) < 0) {
        (void)snprintf(job->text, sizeof(job->text), "The workers could not load it again.");
        return refuse(job, JOB_REFUSAL_BROKEN, 0);
    }
    if (!retry_brake_allows(&record_of(s, k)->brake, now_ns, &left_ns))
        return refuse(job, JOB_REFUSAL_BRAKE, to_seconds(left_ns));
    return 0;
}

/* Whether the express worker would run it soon, whatever waits for the others. */
static bool goes_express(struct sched *s, const struct kernel *k)
{
    const struct cost *cost = &record_of(s, k)->cost;

    return cost_is_short(cost) && cost_job_ns(cost) <= COST_EXPRESS_NS_MAX &&
           (k->about->flags & PRONG_IDEMPOTENT) != 0 &&
           s->out[POOL_EXPRESS] < s->live[POOL_EXPRESS] * SCHED_INTAKE_TASKS_MAX;
}

static int check_room(struct sched *s, struct job *job, uint64_t now_ns)
{
    uint64_t wait;

    if (goes_express(s, job->kernel))
        return 0;
    wait = wait_ns(s);
    if (runs_waiting(s) >= s->config.queue_max)
        return refuse(job, JOB_REFUSAL_QUEUE_FULL, to_seconds(drain_ns(s)));
    if (wait > 0 && now_ns + wait > job->deadline_ns)
        return refuse(job, JOB_REFUSAL_TOO_LATE, to_seconds(wait));
    return 0;
}

static int admit(struct sched *s, struct job *job, uint64_t fingerprint)
{
    uint64_t now_ns = clock_now_ns();
    uint64_t left_ns;
    int rc;

    if (s->is_draining)
        return refuse(job, JOB_REFUSAL_DRAINING, 1);
    rc = check_kernel(s, job, now_ns);
    if (rc < 0)
        return rc;
    if (fingerprint != 0 && !job->counts_deaths &&
        retry_poison_has(&s->poison, &s->config.retry, fingerprint, now_ns, &left_ns))
        return refuse(job, JOB_REFUSAL_POISON, (left_ns + CLOCK_NS_PER_S - 1) / CLOCK_NS_PER_S);
    return check_room(s, job, now_ns);
}

static int accept_job(struct sched *s, struct job *job, uint64_t fingerprint,
                      struct pool_outbox *outbox)
{
    struct run *run;
    int rc = admit(s, job, fingerprint);

    if (rc < 0)
        return rc;
    run = run_new(s, job);
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
    uint64_t fingerprint = 0;
    bool must_wake;
    int rc;

    /* Outside the lock: the input may be large. */
    if (atomic_load(&s->has_poison))
        fingerprint = run_fingerprint(s, job);
    outbox.count = outbox.bytes = 0;
    lock_take(&s->lock);
    rc = accept_job(s, job, fingerprint, &outbox);
    /* Once accepted the job may end and go at any moment after this. */
    must_wake = s->wake_ns > clock_now_ns() + SCHED_TICK_MS * CLOCK_NS_PER_MS ||
                job->deadline_ns < s->wake_ns || !STAILQ_EMPTY(&s->news);
    if (must_wake)
        s->wake_ns = 0; /* said once is enough */
    lock_drop(&s->lock);
    dispatch_flush(s, &outbox);
    if (must_wake)
        sched_wake(s);
    return rc;
}

struct run *sched_find_run(struct sched *s, const char *id)
{
    struct run *run;

    TAILQ_FOREACH (run, &s->runs, link) {
        if (strcmp(run->job->id.text, id) == 0)
            return run;
    }
    return NULL;
}

void sched_cancel(struct sched *s, struct id id)
{
    struct run *run;

    lock_take(&s->lock);
    run = sched_find_run(s, id.text);
    if (run != NULL)
        run_end(s, run, JOB_CANCELLED);
    lock_drop(&s->lock);
    if (run != NULL)
        sched_wake(s);
}

int sched_progress(struct sched *s, const char *id, uint64_t *ret_done, uint64_t *ret_total)
{
    uint64_t done, total;
    const struct run *run;

    LOCKED(&s->lock);
    run = sched_find_run(s, id);
    if (run == NULL)
        return -ESRCH;
    *ret_done = *ret_total = 0;
    if (run_progress(s, run, &done, &total)) {
        *ret_done = done;
        *ret_total = total;
    }
    return 0;
}

int sched_kill_worker(struct sched *s, int pid)
{
    int slot;

    LOCKED(&s->lock);
    slot = pool_find_pid(s->pool, pid);
    if (slot < 0)
        return -ESRCH;
    pool_kill_slot(s->pool, (unsigned)slot, SIGKILL);
    return 0;
}
