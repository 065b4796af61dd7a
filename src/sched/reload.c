#include <errno.h>
#include <signal.h>

#include "base/log.h"
#include "sched/internal.h"
#include "state/metrics.h"

struct side *reload_old_side(struct sched *s)
{
    int lane = pool_old(s->pool);

    return lane < 0 ? NULL : &s->sides[lane];
}

static bool serves(struct sched *s, const struct side *side, const struct kernel *k)
{
    return pool_kernel_index(s->pool, side->lane, k) >= 0;
}

/* A request may have found its kernel before another took its place. */
struct side *reload_choose_side(struct sched *s, const struct kernel *k)
{
    struct side *old;

    if (serves(s, s->current, k))
        return s->current;
    old = reload_old_side(s);
    return old != NULL && pool_is_up(s->pool, old->lane) && serves(s, old, k) ? old : NULL;
}

/* ---- from one side to the other ---- */

/* Nothing of it was sent yet, so it does not matter whose code it runs. */
static bool may_move(struct sched *s, const struct run *run)
{
    return run->state == RUN_NEW && run->started_ns == 0 && serves(s, s->current, run->kernel);
}

static void queue_elsewhere(struct sched *s, struct run *run, struct queue *from)
{
    if (!run->is_queued)
        return;
    queue_remove(from, &run->entry);
    run->is_queued = false;
    dispatch_queue(s, run);
}

/* Most of what waits goes along, so the queue does, with who is next in it and who owes what; what stays is taken out. */
static void move_runs(struct sched *s, struct side *old)
{
    struct queue *queue = old->queue;
    struct run *run, *next;

    old->queue = s->current->queue;
    s->current->queue = queue;
    for (run = TAILQ_FIRST(&s->runs); run != NULL; run = next) {
        next = TAILQ_NEXT(run, link);
        if (run->side != old)
            continue;
        if (may_move(s, run))
            run_move(run, s->current);
        else
            queue_elsewhere(s, run, queue);
    }
}

/* What it has made is lost, or comes from code that is gone: it begins again where its kernel lives on. */
static void begin_again(struct sched *s, struct run *run)
{
    if (run->is_queued)
        queue_remove(run->side->queue, &run->entry);
    run->is_queued = false;
    if (run->has_plan)
        plan_release(&run->plan);
    run->has_plan = false;
    run->combine_first = NULL;
    run->combine_count = 0;
    run->media_type[0] = '\0';
    if (run->state != RUN_NEW)
        run->receipt.retries++;
    run->state = RUN_NEW;
    run_move(run, s->current);
    dispatch_queue(s, run);
}

static void begin_again_or_end(struct sched *s, struct run *run)
{
    if (run->started_ns == 0 || (run->kernel->about->flags & PRONG_IDEMPOTENT) != 0) {
        begin_again(s, run);
        return;
    }
    run->wait_status = SIGKILL;
    run_end(s, run, JOB_DIED);
}

void reload_old_down(struct sched *s)
{
    struct side *old = reload_old_side(s);
    struct run *run, *next;

    death_of_zygote(s, old);
    for (run = TAILQ_FIRST(&s->runs); run != NULL; run = next) {
        next = TAILQ_NEXT(run, link);
        if (run->side != old)
            continue;
        if (serves(s, s->current, run->kernel)) {
            begin_again_or_end(s, run);
            continue;
        }
        run->wait_status = SIGKILL;
        run_end(s, run, JOB_DIED);
    }
}

/* Parts of other code must not be mixed. */
void reload_restarted(struct sched *s)
{
    struct run *run, *next;

    for (run = TAILQ_FIRST(&s->runs); run != NULL; run = next) {
        next = TAILQ_NEXT(run, link);
        if (run->side != s->current)
            continue;
        if (!serves(s, run->side, run->kernel))
            run_fail(s, run, "The workers do not have this kernel any more.");
        else if (run->has_plan && pool_has_changed(s->pool))
            begin_again_or_end(s, run);
    }
}

/* ---- how it went ---- */

static size_t count(const struct catalog_change *change, enum catalog_fate fate)
{
    size_t n = 0;

    for (size_t i = 0; i < change->count; i++)
        n += change->kernels[i].fate == fate;
    return n;
}

static void log_end(struct sched *s, int rc, const char *why)
{
    const struct catalog_change *change = pool_change(s->pool);
    size_t removed = count(change, CATALOG_REMOVED);
    unsigned long long number = pool_number(s->pool, s->current->lane);

    if (rc == -ECANCELED)
        log_info("the kernels are not loaded anew: %s", why);
    else if (rc < 0)
        log_error("the kernels are not loaded anew, generation %llu serves on: %s", number, why);
    else
        log_info(
            "the kernels were loaded anew: generation %llu serves %zu (%zu changed, %zu added, "
            "%zu removed)",
            number, change->count - removed, count(change, CATALOG_CHANGED),
            count(change, CATALOG_ADDED), removed);
}

static void finish(struct sched *s, int rc, const char *why)
{
    struct sched_reload *r = take_ptr(s->reload.asked);

    s->reload.is_under_way = false;
    log_end(s, rc, why);
    metrics_add(METRIC_RELOADS, rc < 0, 1);
    if (r == NULL)
        return;
    r->rc = rc;
    (void)snprintf(r->text, sizeof(r->text), "%s", why);
    r->generation = pool_number(s->pool, s->current->lane);
    if (rc == 0)
        r->change = *pool_change(s->pool);
    s->reload.told = r;
}

void reload_tell(struct sched *s)
{
    struct sched_reload *r = take_ptr(s->reload.told);

    if (r != NULL)
        r->done(r);
}

/* ---- its steps ---- */

static void begin(struct sched *s, uint64_t now_ns)
{
    struct err err;
    int rc;

    if (s->reload.is_under_way || !s->reload.is_wanted || reload_old_side(s) != NULL)
        return;
    s->reload.is_wanted = false;
    s->reload.is_under_way = true;
    s->reload.since_ns = now_ns;
    rc = pool_next_start(s->pool, &err);
    if (rc < 0)
        finish(s, rc, err.text);
}

/* Whoever loads a mended kernel wants to see what it does now. */
static void forgive(struct sched *s)
{
    for (size_t i = 0; i < ARRAY_SIZE(s->records); i++)
        s->records[i].brake = (struct retry_brake) {0};
    s->poison.count = 0;
}

static void take_over(struct sched *s, uint64_t now_ns)
{
    struct side *old = s->current;

    forgive(s);
    s->current = &s->sides[pool_current(s->pool)];
    s->reload.old_busy_ns = now_ns;
    answer_label_kernels(s);
    collector_count_workers(s);
    move_runs(s, old);
    if (!pool_is_up(s->pool, old->lane))
        reload_old_down(s);
}

static void look(struct sched *s, uint64_t now_ns)
{
    struct err err = {""};
    int rc;

    if (!s->reload.is_under_way)
        return;
    rc = pool_next_look(s->pool, &err);
    if (rc == 0)
        return;
    if (rc > 0)
        rc = pool_switch(s->pool, &err);
    if (rc == 0)
        take_over(s, now_ns);
    finish(s, rc, err.text);
}

static bool is_idle(const struct side *side)
{
    return side->run_count == 0 && side->out[POOL_ORDINARY] == 0 && side->out[POOL_EXPRESS] == 0;
}

static void end_old(struct sched *s, uint64_t now_ns)
{
    struct side *old = reload_old_side(s);
    unsigned long long number;

    if (old == NULL)
        return;
    if (!is_idle(old)) {
        s->reload.old_busy_ns = now_ns;
        return;
    }
    if (!s->is_draining && now_ns < s->reload.old_busy_ns + SCHED_OLD_S * CLOCK_NS_PER_S &&
        pool_old_is_wanted(s->pool))
        return;
    number = pool_number(s->pool, old->lane);
    pool_old_end(s->pool);
    collector_count_workers(s);
    log_info("generation %llu of the kernels has nothing to do any more and is ended", number);
}

static void give_up(struct sched *s)
{
    static const char why[] = "The server is shutting down.";

    s->reload.is_wanted = false;
    if (s->reload.is_under_way)
        pool_next_end(s->pool, why);
    if (s->reload.is_under_way || s->reload.asked != NULL)
        finish(s, -ECANCELED, why);
}

void reload_turn(struct sched *s, uint64_t now_ns)
{
    if (s->is_draining)
        give_up(s);
    look(s, now_ns);
    end_old(s, now_ns);
    begin(s, now_ns);
}

/* ---- asking for it ---- */

static int check(struct sched *s, struct err *err)
{
    const struct side *old = reload_old_side(s);

    if (s->is_draining)
        return err_set(err, -ECANCELED, "The server is shutting down.");
    if (s->reload.is_under_way || s->reload.is_wanted)
        return err_set(err, -EBUSY, "The kernels are being loaded already.");
    if (old != NULL && !is_idle(old))
        return err_set(err, -EBUSY,
                       "The kernels were loaded anew, and what began before that still runs.");
    return 0;
}

int sched_reload(struct sched *s, struct sched_reload *r)
{
    struct err err;
    int rc;

    lock_take(&s->lock);
    rc = check(s, &err);
    r->rc = rc;
    r->generation = pool_number(s->pool, s->current->lane);
    if (rc < 0)
        (void)snprintf(r->text, sizeof(r->text), "%s", err.text);
    if (rc == 0) {
        s->reload.asked = r;
        s->reload.is_wanted = true;
    }
    lock_drop(&s->lock);
    if (rc == 0)
        sched_wake(s);
    return rc;
}

void sched_reload_soon(struct sched *s)
{
    lock_take(&s->lock);
    s->reload.is_wanted = true;
    lock_drop(&s->lock);
    sched_wake(s);
}
