#include "worker/run.h"

#include <math.h>

static const struct prong_kernel *kernel_of(const struct task *t)
{
    return &t->order->kernel->kernel;
}

/* After each call into the kernel: 0 to go on. A writer that failed fails the task even if the
 * kernel did not look, for its answer would lack a piece. */
static int settle(struct task *t, int rc)
{
    if (t->stop == TASK_CANCELLED)
        return -1;
    if (rc != 0 && !t->failed)
        return task_fail(t, "The kernel %s failed without saying why.", kernel_of(t)->name);
    return t->failed ? -1 : 0;
}

/* Before each call into the kernel, so that one that never asks is still stopped between its steps.
 * */
static int may_go_on(struct task *t)
{
    return task_is_cancelled(t, task_coarse_now_ns()) ? -1 : 0;
}

static int plan(struct task *t, struct prong_work *ret)
{
    const struct prong_kernel *k = kernel_of(t);
    struct prong_work work = {.units = 1, .unit_cost = 1.0};

    if (k->plan != NULL && settle(t, k->plan(&t->ctx, &work)) < 0)
        return -1;
    if (work.unit_cost == 0)
        work.unit_cost = 1.0;
    if (work.units > PRONG_UNITS_MAX || !isfinite(work.unit_cost) || work.unit_cost < 0)
        return task_fail(t, "The kernel %s planned what cannot be: a bug in the kernel.", k->name);
    output_clear(t->out);
    *ret = work;
    return 0;
}

static bool is_worth_splitting(const struct task *t, struct prong_work work)
{
    const struct proto_task *f = t->order->frame;

    if (kernel_of(t)->plan == NULL || f->split_ns == UINT64_MAX || work.units < 2)
        return false;
    return f->ns_per_cost == 0 ||
           (double)work.units * work.unit_cost * f->ns_per_cost > (double)f->split_ns;
}

/* The part for [lo, hi); that of an empty range is empty. */
static int map(struct task *t, uint64_t lo, uint64_t hi, struct prong_buf *ret)
{
    if (may_go_on(t) < 0)
        return -1;
    if (lo < hi && settle(t, kernel_of(t)->map(&t->ctx, lo, hi)) < 0)
        return -1;
    *ret = task_output(t);
    return 0;
}

static int concatenate(struct task *t, struct order_parts parts, struct prong_buf *ret)
{
    while (parts.left > 0) {
        struct prong_buf part = order_next_part(&parts);
        if (t->ctx.host->write(&t->ctx, part.data, part.size) != 0)
            return -1;
    }
    *ret = task_output(t);
    return 0;
}

/* One part from all, from the left. A single one stays where it is. */
static int fold(struct task *t, struct prong_buf *ret)
{
    struct order_parts parts = t->order->parts;
    struct prong_buf whole = {.data = "", .size = 0};

    if (parts.left > 1 && kernel_of(t)->combine == NULL)
        return concatenate(t, parts, ret);
    if (parts.left > 0)
        whole = order_next_part(&parts);
    while (parts.left > 0) {
        task_turn(t);
        if (may_go_on(t) < 0 ||
            settle(t, kernel_of(t)->combine(&t->ctx, whole, order_next_part(&parts))) < 0)
            return -1;
        whole = task_output(t);
    }
    *ret = whole;
    return 0;
}

static int finish(struct task *t, struct prong_buf *whole)
{
    if (kernel_of(t)->finish == NULL)
        return 0;
    task_turn(t);
    if (may_go_on(t) < 0 || settle(t, kernel_of(t)->finish(&t->ctx, *whole)) < 0)
        return -1;
    *whole = task_output(t);
    return 0;
}

static int run_start(struct task *t, struct run_result *r)
{
    struct prong_work work = {0};

    if (plan(t, &work) < 0)
        return -1;
    r->units = work.units;
    r->unit_cost = work.unit_cost;
    if (is_worth_splitting(t, work)) {
        r->kind = PROTO_ANSWER_PLANNED;
        return 0;
    }
    if (map(t, 0, work.units, &r->body) < 0)
        return -1;
    return finish(t, &r->body);
}

static int run_map(struct task *t, struct run_result *r)
{
    const struct proto_task *f = t->order->frame;

    t->yield_units = f->hi - f->lo;
    if (map(t, f->lo, f->hi, &r->body) < 0)
        return -1;
    r->units = t->stop == TASK_YIELDED ? t->done : f->hi - f->lo;
    return 0;
}

static int run_op(struct task *t, struct run_result *r)
{
    switch ((enum proto_op)t->order->frame->op) {
    case PROTO_OP_START:
        return run_start(t, r);
    case PROTO_OP_MAP:
        return run_map(t, r);
    case PROTO_OP_COMBINE:
        return fold(t, &r->body);
    case PROTO_OP_FINISH:
        return fold(t, &r->body) < 0 ? -1 : finish(t, &r->body);
    }
    return task_fail(t, "The task asks for no operation.");
}

/* What comes of a task whose last step gave `rc` and of which all went as in `r` if that is 0. */
static struct run_result conclude(struct task *t, int rc, struct run_result r)
{
    /* A part that was never copied comes from a slab, which may be larger than ours. */
    if (rc == 0 && r.body.size > t->out->max)
        rc =
            task_fail(t, "The result is larger than %zu bytes; the server's limit is --result-max.",
                      t->out->max);
    if (rc == 0)
        return r;
    if (!t->failed || t->stop == TASK_CANCELLED)
        return (struct run_result) {.kind = PROTO_ANSWER_CANCELLED, .body = {.data = ""}};
    return (struct run_result) {
        .kind = t->died ? PROTO_ANSWER_DIED : PROTO_ANSWER_FAILED,
        .units = t->died ? (uint64_t)(uint32_t)t->died_status : 0,
        .body = {.data = t->error, .size = strlen(t->error)},
    };
}

struct run_result run_task(struct task *t)
{
    struct run_result r = {.kind = PROTO_ANSWER_RESULT, .body = {.data = "", .size = 0}};
    int rc = run_op(t, &r);

    return conclude(t, rc, r);
}

/* Those that must stop before they have begun are left out. */
static uint32_t gather_calls(struct task *const *tasks, uint32_t count,
                             struct prong_ctx *calls[PROTO_BATCH_MAX])
{
    uint64_t now_ns = task_coarse_now_ns();
    uint32_t n = 0;

    CHECK(count <= PROTO_BATCH_MAX);
    for (uint32_t i = 0; i < count; i++) {
        if (!task_is_cancelled(tasks[i], now_ns))
            calls[n++] = &tasks[i]->ctx;
    }
    return n;
}

void run_together(struct task *const *tasks, uint32_t count, struct run_result *ret)
{
    struct prong_ctx *calls[PROTO_BATCH_MAX];
    uint32_t n = gather_calls(tasks, count, calls);
    int rc = n == 0 ? 0 : kernel_of(tasks[0])->batch(calls, n);

    for (uint32_t i = 0; i < count; i++) {
        int settled = settle(tasks[i], rc);
        struct run_result r = {.kind = PROTO_ANSWER_RESULT,
                               .units = 1,
                               .unit_cost = 1.0,
                               .body = task_output(tasks[i])};
        ret[i] = conclude(tasks[i], settled, r);
    }
}
