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
        (void)snprintf(w->job, sizeof(w->job), "%s", t->run->job->id.text);
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

void sched_status(struct sched *s, struct sched_status *ret)
{
    struct pool_worker workers[PROTO_WORKERS_MAX];
    uint64_t now_ns = clock_now_ns();

    lock_take(&s->lock);
    *ret = (struct sched_status) {.is_ready = pool_is_up(s->pool) && s->live[POOL_ORDINARY] > 0,
                                  .is_draining = s->is_draining,
                                  .zygote_pid = pool_zygote_pid(s->pool),
                                  .sandbox = *pool_sandbox(s->pool),
                                  .queue_max = s->config.queue_max,
                                  .running = s->running,
                                  .inflight = s->inflight,
                                  .backlog_ns = s->backlog_ns};
    for (int c = 0; c < QUEUE_CLASS_COUNT; c++)
        ret->queued[c] = s->waiting[c];
    ret->worker_count = pool_workers(s->pool, workers, PROTO_WORKERS_MAX);
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
    if (!pool_is_up(s->pool) || s->live[POOL_ORDINARY] == 0)
        return "No worker is alive yet.";
    if (runs_waiting(s) >= s->config.queue_max)
        return "The queue is full.";
    return NULL;
}
