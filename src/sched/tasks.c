#include <signal.h>

#include "base/log.h"
#include "sched/internal.h"
#include "state/metrics.h"

enum {
    CLAIM_MS = 20, /* between a worker's taking a task and its page saying so lie microseconds */
    STOP_MS = 50,  /* for a kernel that is moved over to see that it should stop */
};

/* The low byte of an id is its place, the rest is random: found at once, guessed by nobody. */
static uint64_t new_id(unsigned place)
{
    uint64_t random;

    do
        random = id_random() & ~0xffULL;
    while (random == 0);
    return random | place;
}
static_assert(PROTO_INFLIGHT_MAX == 256, "a place fits the low byte of an id");

struct task *task_new(struct sched *s, struct run *run, enum pool_kind kind, uint64_t predicted_ns)
{
    for (unsigned place = 0; place < PROTO_INFLIGHT_MAX; place++) {
        struct task *t = &s->tasks[place];
        if (t->id != 0)
            continue;
        *t = (struct task) {.id = new_id(place),
                            .run = run,
                            .side = run->side,
                            .kernel = run->kernel,
                            .kind = kind,
                            .predicted_ns = predicted_ns,
                            .sent_ns = clock_now_ns()};
        TAILQ_INSERT_TAIL(&run->tasks, t, link);
        if (run->out++ == 0) {
            s->running++;
            s->waiting[run->class]--;
        }
        s->inflight++;
        record_of(s, t->kernel)->out++;
        t->side->out[kind]++;
        t->side->out_ns[kind] += predicted_ns;
        return t;
    }
    return NULL;
}

static void leave_run(struct sched *s, struct task *t)
{
    TAILQ_REMOVE(&t->run->tasks, t, link);
    if (--t->run->out == 0) {
        s->running--;
        s->waiting[t->run->class] += !t->run->has_ended;
    }
    if (t->batch != NULL)
        t->batch->wanted--;
    t->run = NULL;
}

void task_end(struct sched *s, struct task *t)
{
    if (t->run != NULL)
        leave_run(s, t);
    heap_remove(&s->timers, &t->timer);
    for (int i = 0; i < POOL_HOLDS_MAX; i++)
        t->holds[i] = slab_drop(t->holds[i]);
    s->inflight--;
    record_of(s, t->kernel)->out--;
    t->side->out[t->kind]--;
    batch_remove(t);
    t->side->out_ns[t->kind] -= t->predicted_ns;
    t->held = kernel_drop(t->held);
    t->id = 0;
}

struct task *task_find(struct sched *s, uint64_t id)
{
    struct task *t = &s->tasks[id & 0xff];

    return id != 0 && t->id == id ? t : NULL;
}

static void set_timer(struct sched *s, struct task *t, uint64_t at_ns)
{
    if (heap_set(&s->timers, &t->timer, at_ns) < 0)
        log_error("no memory for a timer: task %llx may run on", (unsigned long long)t->id);
}

void task_orphan(struct sched *s, struct task *t)
{
    t->held =
        kernel_hold(t->kernel); /* its run's job goes now, and perhaps the last hold with it */
    leave_run(s, t);
    pool_cancel(s->pool, (unsigned)(t->id & 0xff), t->id);
    if (heap_holds(&t->timer) && t->signal == 0)
        return;
    t->signal = SIGTERM;
    set_timer(s, t, clock_now_ns() + SCHED_TERM_MS * CLOCK_NS_PER_MS);
}

void task_lost(struct sched *s, struct task *t, int pid, int status)
{
    if (heap_holds(&t->timer) && t->signal != 0)
        return;
    t->signal = 0;
    t->lost_status = status;
    t->lost_pid = pid;
    set_timer(s, t, clock_now_ns() + CLAIM_MS * CLOCK_NS_PER_MS);
}

static void mark_audited(void *arg, uint64_t task)
{
    struct sched *s = arg;

    for (unsigned i = 0; i < PROTO_INFLIGHT_MAX; i++) {
        struct task *t = &s->tasks[i];
        t->was_audited = t->was_audited || (t->id != 0 && task_frame(t) == task);
    }
}

void task_audit(struct sched *s, struct side *side, enum pool_kind kind)
{
    for (unsigned i = 0; i < PROTO_INFLIGHT_MAX; i++)
        s->tasks[i].was_audited = false;
    pool_audit(s->pool, side->lane, kind, mark_audited, s);
}

/* It may have been on its way there when the intake was audited first. */
static bool is_in_intake(struct sched *s, const struct task *t)
{
    task_audit(s, t->side, t->kind);
    return t->was_audited;
}

void task_timer(struct sched *s, struct task *t, uint64_t now_ns)
{
    if (t->signal == 0 && !pool_is_claimed(s->pool, t->side->lane, task_frame(t)) &&
        !is_in_intake(s, t)) {
        death_of_task(s, t, t->lost_pid, t->lost_status, false);
        return;
    }
    if (t->signal == 0) {
        t->signal = SIGTERM;
        if (t->run == NULL)
            set_timer(s, t, now_ns + SCHED_TERM_MS * CLOCK_NS_PER_MS);
        return;
    }
    /* Others of its batch are wanted yet, and the kernel knows which is not. */
    if (t->batch != NULL && t->batch->wanted > 0) {
        set_timer(s, t, now_ns + SCHED_TERM_MS * CLOCK_NS_PER_MS);
        return;
    }
    if (pool_kill_task(s->pool, t->side->lane, (unsigned)(t->id & 0xff), t->id, task_frame(t),
                       t->signal)) {
        t->was_missed = false;
        t->signal = SIGKILL;
    } else if (is_in_intake(s, t)) {
        t->was_missed = false; /* whoever takes it sees that it is cancelled */
    } else if (t->was_missed) {
        death_of_task(s, t, t->lost_pid, t->lost_status, false);
        return;
    } else {
        t->was_missed = true;
    }
    set_timer(s, t, now_ns + (SCHED_KILL_MS - SCHED_TERM_MS) * CLOCK_NS_PER_MS);
}

/* A task that was thought short keeps the express worker from the short ones: it begins again among the
 * ordinary workers. Only idempotent kernels go there. */
static void move_over(struct sched *s, struct task *t, uint64_t now_ns)
{
    struct run *run = t->run;

    cost_add_start(&record_of(s, t->kernel)->cost, now_ns - t->sent_ns);
    metrics_add(METRIC_TASK_RETRIES, 0, 1);
    task_orphan(s, t);
    t->signal = SIGKILL;
    set_timer(s, t, now_ns + STOP_MS * CLOCK_NS_PER_MS);
    run->receipt.retries++;
    run->goes_alone = true;
    run->state = RUN_NEW;
    dispatch_queue(s, run);
}

void task_free_express(struct sched *s, uint64_t now_ns)
{
    for (unsigned i = 0; s->inflight > 0 && i < PROTO_INFLIGHT_MAX; i++) {
        struct task *t = &s->tasks[i];
        if (t->id != 0 && t->kind == POOL_EXPRESS && t->run != NULL &&
            now_ns - t->sent_ns > SCHED_EXPRESS_MS * CLOCK_NS_PER_MS &&
            pool_is_claimed(s->pool, t->side->lane, task_frame(t)))
            move_over(s, t, now_ns);
    }
}
