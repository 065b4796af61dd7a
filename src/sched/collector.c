#include <errno.h>
#include <sys/epoll.h>

#include "base/log.h"
#include "sched/internal.h"
#include "state/metrics.h"

enum { EVENTS_MAX = 64, WATCH_AFTER_MS = 50, SLAB_IDLE_S = 60, NEWS_PER_TURN = 1024 };

static void fire_timers(struct sched *s, uint64_t now_ns)
{
    struct heap_node *top;

    while ((top = heap_top(&s->deadlines)) != NULL && top->key <= now_ns)
        run_leave(s, CONTAINER_OF(top, struct job, deadline), JOB_DEADLINE);
    while ((top = heap_top(&s->timers)) != NULL && top->key <= now_ns) {
        heap_remove(&s->timers, top);
        task_timer(s, CONTAINER_OF(top, struct task, timer), now_ns);
    }
}

/* Only requests that take a while are watched, so that the short ones do not pay for it. */
static void watch_clients(struct sched *s, uint64_t now_ns)
{
    struct job *job;

    while ((job = TAILQ_FIRST(&s->unwatched)) != NULL &&
           job->accepted_ns + WATCH_AFTER_MS * CLOCK_NS_PER_MS <= now_ns) {
        TAILQ_REMOVE(&s->unwatched, job, unwatched);
        job->is_unwatched = false;
        if (watch_add(&s->watch, job) < 0)
            log_warning("cannot watch a client, ignoring: its work would go on if it left");
    }
}

bool run_progress(struct sched *s, const struct run *run, uint64_t *ret_done, uint64_t *ret_total)
{
    const struct task *t;
    uint64_t done, total;

    if (!run->has_plan) {
        t = TAILQ_FIRST(&run->tasks);
        return t != NULL && pool_progress(s->pool, t->side->lane, t->id, ret_done, ret_total) &&
               *ret_total > 0;
    }
    *ret_done = run->plan.units_done;
    *ret_total = run->plan.units;
    TAILQ_FOREACH (t, &run->tasks, link) {
        if (t->op == PROTO_OP_MAP && pool_progress(s->pool, t->side->lane, t->id, &done, &total))
            *ret_done += MIN(done, t->hi - t->lo);
    }
    return true;
}

static void tell_progress(struct sched *s)
{
    struct run *run;

    TAILQ_FOREACH (run, &s->runs, link) {
        struct news news = {.kind = NEWS_PROGRESS};
        if (run->wants_progress && run_progress(s, run, &news.done, &news.total))
            run_news(s, TAILQ_FIRST(&run->jobs), news);
    }
}

static void tick(struct sched *s, uint64_t now_ns)
{
    if (now_ns < s->tick_ns)
        return;
    s->tick_ns = now_ns + SCHED_TICK_MS * CLOCK_NS_PER_MS;
    watch_clients(s, now_ns);
    task_free_express(s, now_ns);
    dispatch_shorten(s, now_ns);
    tell_progress(s);
    (void)slab_store_trim(pool_slabs(s->pool), now_ns - SLAB_IDLE_S * CLOCK_NS_PER_S);
}

static uint64_t next_wake(struct sched *s, uint64_t now_ns)
{
    const struct heap_node *timer = heap_top(&s->timers), *deadline = heap_top(&s->deadlines);
    uint64_t wake = pool_wake_ns(s->pool);

    if (timer != NULL)
        wake = MIN(wake, timer->key);
    if (deadline != NULL)
        wake = MIN(wake, deadline->key);
    wake = MIN(wake, batch_wake_ns(s));
    if (s->run_count > 0 || s->inflight > 0 || reload_old_side(s) != NULL)
        s->linger_ns = now_ns + SCHED_LINGER_MS * CLOCK_NS_PER_MS;
    if (now_ns < s->linger_ns)
        wake = MIN(wake, MAX(s->tick_ns, now_ns));
    return wake;
}

static void gone(struct sched *s, uint64_t tag)
{
    struct job *job = watch_find(&s->watch, tag);

    if (job == NULL)
        return;
    metrics_add(METRIC_HANGUPS, 0, 1);
    run_leave(s, job, JOB_CANCELLED);
}

void collector_count_workers(struct sched *s)
{
    bool was_ready = s->is_ready;

    for (unsigned lane = 0; lane < POOL_LANES; lane++) {
        for (int kind = 0; kind < POOL_KIND_COUNT; kind++)
            s->sides[lane].live[kind] = pool_live(s->pool, lane, (enum pool_kind)kind);
    }
    s->is_ready =
        s->is_ready || s->current->live[POOL_ORDINARY] == s->config.pool.workers[POOL_ORDINARY];
    if ((s->is_ready && !was_ready) || *pool_refusal(s->pool) != '\0')
        (void)pthread_cond_broadcast(&s->changed);
}

static void settle(struct sched *s)
{
    bool workers_changed = false;

    for (size_t i = 0; i < s->batch.count; i++) {
        struct pool_event *event = &s->batch.events[i];
        pool_apply(s->pool, event);
        answer_event(s, event);
        workers_changed = workers_changed || event->kind != POOL_ANSWERED;
    }
    if (workers_changed)
        collector_count_workers(s);
}

/* One turn of the loop under the lock; what is to be sent and told afterwards is returned. */
static void turn(struct sched *s, const struct epoll_event *events, int count,
                 struct pool_outbox *ret_outbox, struct news_list *ret_news,
                 struct ended_list *ret_ended)
{
    uint64_t now_ns;

    LOCKED(&s->lock);
    now_ns = clock_now_ns();
    settle(s);
    for (int i = 0; i < count; i++) {
        if (watch_owns_tag(events[i].data.u64))
            gone(s, events[i].data.u64);
    }
    if (pool_wake_ns(s->pool) <= now_ns) {
        pool_tick(s->pool, now_ns);
        collector_count_workers(s);
    }
    reload_turn(s, now_ns);
    fire_timers(s, now_ns);
    tick(s, now_ns);
    dispatch_all(s, ret_outbox);
    s->wake_ns = next_wake(s, now_ns);
    STAILQ_CONCAT(ret_news, &s->news);
    STAILQ_CONCAT(ret_ended, &s->ended);
}

static void tell(struct news *news)
{
    struct job *job = news->job;

    switch (news->kind) {
    case NEWS_PART:
        job->part(job, news->pid, news->data, news->bytes);
        break;
    case NEWS_RETRY:
        job->retried(job, news->data);
        break;
    case NEWS_PROGRESS:
        job->progress(job, news->done, news->total);
        break;
    }
    free(news->data);
    free(news);
}

static void tell_all(struct news_list *list, struct ended_list *ended)
{
    struct news *news;
    struct job *job;

    while ((news = STAILQ_FIRST(list)) != NULL) {
        STAILQ_REMOVE_HEAD(list, link);
        tell(news);
    }
    while ((job = STAILQ_FIRST(ended)) != NULL) {
        STAILQ_REMOVE_HEAD(ended, told_after);
        job->done(job); /* which may free it, and the run with the last one */
    }
}

static void receive(struct sched *s, const struct epoll_event *events, int count)
{
    uint64_t ignored;

    for (int i = 0; i < count; i++) {
        if (events[i].data.u64 == WAKE_TAG)
            (void)!read(s->wake_fd, &ignored, sizeof(ignored));
        else if (pool_owns_tag(events[i].data.u64))
            pool_receive(s->pool, events[i].data.u64, &s->batch);
    }
}

void *collector_run(void *arg)
{
    struct sched *s = arg;
    struct epoll_event events[EVENTS_MAX];
    bool is_over = false;

    thread_be_prompt();
    while (!is_over) {
        struct news_list news = STAILQ_HEAD_INITIALIZER(news);
        struct ended_list ended = STAILQ_HEAD_INITIALIZER(ended);
        uint64_t wake_ns;
        int n;
        lock_take(&s->lock);
        wake_ns = s->wake_ns;
        is_over = s->is_stopping && s->run_count == 0;
        lock_drop(&s->lock);
        n = epoll_wait(s->epoll_fd, events, EVENTS_MAX,
                       is_over ? 0 : clock_poll_ms(clock_now_ns(), wake_ns));
        receive(s, events, MAX(n, 0));
        turn(s, events, MAX(n, 0), &s->outbox, &news, &ended);
        dispatch_flush(s, &s->outbox);
        tell_all(&news, &ended);
        reload_tell(s);
        pool_batch_clear(&s->batch);
    }
    return NULL;
}
