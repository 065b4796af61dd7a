#include "sched/internal.h"
#include "state/metrics.h"

static void describe_worker(struct sched *s, struct sched_worker *w, uint64_t now_ns)
{
    const struct task *t = task_find(s, w->worker.task);

    w->is_busy = w->worker.task != 0;
    w->kernel[0] = w->job[0] = '\0';
    w->busy_ns = 0;
    if (t == NULL)
        return;
    w->busy_ns = now_ns - t->sent_ns;
    (void)snprintf(w->kernel, sizeof(w->kernel), "%s", t->kernel->about->name);
    if (t->run != NULL)
        (void)snprintf(w->job, sizeof(w->job), "%s", TAILQ_FIRST(&t->run->jobs)->id.text);
}

static void set_gauges(const struct sched_status *st)
{
    int64_t busy = 0;

    for (size_t i = 0; i < st->worker_count; i++)
        busy += st->workers[i].is_busy;
    metrics_set(METRIC_WORKERS, 0, busy);
    metrics_set(METRIC_WORKERS, 1, (int64_t)st->worker_count - busy);
    for (int c = 0; c < QUEUE_CLASS_COUNT; c++)
        metrics_set(METRIC_QUEUE_DEPTH, c, (int64_t)st->queued[c]);
}

static bool is_ready(const struct sched *s)
{
    return pool_is_up(s->pool, s->current->lane) && s->current->live[POOL_ORDINARY] > 0;
}

const char *const sched_reload_names[] = {
    [SCHED_RELOAD_NONE] = "none",
    [SCHED_RELOAD_LOADING] = "loading",
    [SCHED_RELOAD_DRAINING] = "draining",
};

static void describe_reload(struct sched *s, struct sched_status *st, uint64_t now_ns)
{
    if (s->reload.is_under_way)
        st->reload = SCHED_RELOAD_LOADING;
    else if (reload_old_side(s) != NULL)
        st->reload = SCHED_RELOAD_DRAINING;
    else
        return;
    st->reload_ns = now_ns - s->reload.since_ns;
}

void sched_status(struct sched *s, struct sched_status *ret)
{
    struct pool_worker workers[SCHED_WORKERS_MAX];
    uint64_t now_ns = clock_now_ns();

    lock_take(&s->lock);
    *ret = (struct sched_status) {.is_ready = is_ready(s),
                                  .is_draining = s->is_draining,
                                  .generation = pool_number(s->pool, s->current->lane),
                                  .zygote_pid = pool_zygote_pid(s->pool),
                                  .sandbox = *pool_sandbox(s->pool),
                                  .queue_max = s->config.queue_max,
                                  .running = s->running,
                                  .inflight = s->inflight};
    for (unsigned lane = 0; lane < POOL_LANES; lane++)
        ret->backlog_ns += s->sides[lane].backlog_ns;
    describe_reload(s, ret, now_ns);
    for (int c = 0; c < QUEUE_CLASS_COUNT; c++)
        ret->queued[c] = s->waiting[c];
    ret->worker_count = pool_workers(s->pool, workers, SCHED_WORKERS_MAX);
    for (size_t i = 0; i < ret->worker_count; i++) {
        ret->workers[i].worker = workers[i];
        describe_worker(s, &ret->workers[i], now_ns);
    }
    lock_drop(&s->lock);
    set_gauges(ret);
}

const char *sched_unready(struct sched *s)
{
    LOCKED(&s->lock);
    if (s->is_draining)
        return "The server is shutting down.";
    if (!is_ready(s))
        return "No worker is alive yet.";
    if (runs_waiting(s) >= s->config.queue_max)
        return "The queue is full.";
    return NULL;
}
