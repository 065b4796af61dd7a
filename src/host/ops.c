#include "host/ops.h"

#include <math.h>

/* After each call into the kernel: 0 to go on. A writer that failed fails the job even if the kernel did
 * not look, for its answer would lack a piece. */
static int settle(struct job *j, int rc)
{
    if (j->cancelled)
        return -1;
    if (rc != 0 && !j->failed)
        return job_fail(j, "The kernel %s failed without saying why.", j->kernel->name);
    return j->failed ? -1 : 0;
}

static int plan(struct job *j, struct prong_work *ret)
{
    struct prong_work work = {.units = 1, .unit_cost = 1.0};

    if (j->kernel->plan != NULL && settle(j, j->kernel->plan(&j->ctx, &work)) < 0)
        return -1;
    if (work.unit_cost == 0)
        work.unit_cost = 1.0;
    if (work.units > PRONG_UNITS_MAX || !isfinite(work.unit_cost) || work.unit_cost < 0)
        return job_fail(j, "The kernel %s planned what cannot be: a bug in the kernel.",
                        j->kernel->name);
    output_clear(j->out);
    *ret = work;
    return 0;
}

/* The part for [lo, hi); that of an empty range is empty. */
static int map(struct job *j, uint64_t lo, uint64_t hi, struct prong_buf *ret)
{
    if (lo > hi || hi > PRONG_UNITS_MAX)
        return job_fail(j, "The units from %llu to %llu are no range.", (unsigned long long)lo,
                        (unsigned long long)hi);
    if (job_is_cancelled(j) || (lo < hi && settle(j, j->kernel->map(&j->ctx, lo, hi)) < 0))
        return -1;
    *ret = job_output(j);
    return 0;
}

/* One part from all, from the left; without combine they already lie behind each other. */
static int fold(struct job *j, const struct ops_order *order, struct prong_buf *ret)
{
    struct prong_buf whole = {.data = "", .size = 0};

    if (order->part_count > 0)
        whole = order->parts[0];
    for (size_t i = 1; i < order->part_count && j->kernel->combine == NULL; i++)
        whole.size += order->parts[i].size;
    for (size_t i = 1; i < order->part_count && j->kernel->combine != NULL; i++) {
        job_turn(j);
        if (job_is_cancelled(j) ||
            settle(j, j->kernel->combine(&j->ctx, whole, order->parts[i])) < 0)
            return -1;
        whole = job_output(j);
    }
    *ret = whole;
    return 0;
}

static int finish(struct job *j, struct prong_buf *whole)
{
    if (j->kernel->finish == NULL)
        return 0;
    job_turn(j);
    if (job_is_cancelled(j) || settle(j, j->kernel->finish(&j->ctx, *whole)) < 0)
        return -1;
    *whole = job_output(j);
    return 0;
}

static int run_all(struct job *j, struct ops_answer *ret)
{
    struct prong_work work = {0};

    if (plan(j, &work) < 0 || map(j, 0, work.units, &ret->body) < 0)
        return -1;
    return finish(j, &ret->body);
}

static int run_op(struct job *j, const struct ops_order *order, struct ops_answer *ret)
{
    const char *op = order->op;

    if (strcmp(op, "run") == 0)
        return run_all(j, ret);
    if (j->kernel->plan == NULL)
        return job_fail(j, "Kernel %s is not split, so it has no op %.20s.", j->kernel->name, op);
    if (strcmp(op, "plan") == 0) {
        ret->is_plan = true;
        return plan(j, &ret->work);
    }
    if (strcmp(op, "map") == 0)
        return map(j, order->lo, order->hi, &ret->body);
    if (strcmp(op, "combine") == 0)
        return fold(j, order, &ret->body);
    if (strcmp(op, "finish") == 0)
        return fold(j, order, &ret->body) < 0 ? -1 : finish(j, &ret->body);
    return job_fail(j, "There is no op %.20s.", op);
}

int ops_run(struct job *j, const struct ops_order *order, struct ops_answer *ret)
{
    *ret = (struct ops_answer) {.body = {.data = "", .size = 0}};
    if (run_op(j, order, ret) < 0)
        return -1;
    /* A part that was never copied comes from a frame, which may be larger than an answer. */
    if (ret->body.size > j->out->max)
        return job_fail(j,
                        "The result is larger than %zu bytes; the server's limit is --result-max.",
                        j->out->max);
    return 0;
}
