#include <errno.h>

#include "check/bench.h"

enum { RANGES_MAX = 64 };

struct bench_job bench_job_for(const struct prong_kernel *k, const struct example *e,
                               const char *op)
{
    return (struct bench_job) {
        .kernel = k->name,
        .op = op,
        .params = e->params,
        .input_kind = e->input_kind,
        .input = e->input,
        .input_bytes = e->input_bytes,
    };
}

/* An ERROR is a failure here. */
static int ask_well(struct bench *b, const struct bench_job *job, struct bench_answer *ret)
{
    if (bench_ask(b, job, ret) < 0)
        return -1;
    if (!ret->is_error)
        return 0;
    (void)bench_fail(b, "To op %s it answered ERROR: %.300s", job->op, ret->message);
    bench_answer_release(ret);
    return -1;
}

static void release_all(struct bench_answer *parts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        bench_answer_release(&parts[i]);
}

static int map_all(struct bench *b, const struct prong_kernel *k, const struct example *e,
                   uint64_t units, uint64_t ranges, struct bench_answer *parts)
{
    for (uint64_t i = 0; i < ranges; i++) {
        struct bench_job job = bench_job_for(k, e, "map");

        job.has_range = true;
        job.lo = units / ranges * i + MIN(i, units % ranges);
        job.hi = units / ranges * (i + 1) + MIN(i + 1, units % ranges);
        if (ask_well(b, &job, &parts[i]) < 0) {
            release_all(parts, i);
            return -1;
        }
    }
    return 0;
}

/* Folded from the left, two at a time, as any host may. The parts become one; -1 leaves none. */
static int combine_all(struct bench *b, const struct prong_kernel *k, const struct example *e,
                       struct bench_answer *parts, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct bench_job job = bench_job_for(k, e, "combine");
        struct bench_answer two[2] = {parts[0], parts[i]}, whole;

        job.parts = two;
        job.part_count = 2;
        if (ask_well(b, &job, &whole) < 0) {
            release_all(parts, count);
            return -1;
        }
        bench_answer_release(&parts[0]);
        bench_answer_release(&parts[i]);
        parts[0] = whole;
    }
    return 0;
}

/* Without finish the answer is the parts, one behind the other. */
static void concatenate(struct bench_answer *parts, size_t count, struct bench_answer *ret)
{
    size_t bytes = 0, at = 0;

    for (size_t i = 0; i < count; i++)
        bytes += parts[i].raw_bytes;
    *ret = (struct bench_answer) {.raw = malloc(bytes + 1), .raw_bytes = bytes};
    CHECK(ret->raw != NULL);
    for (size_t i = 0; i < count; i++) {
        memcpy(ret->raw + at, parts[i].raw, parts[i].raw_bytes);
        at += parts[i].raw_bytes;
    }
    ret->raw[bytes] = '\0';
}

static int plan_units(struct bench *b, const struct prong_kernel *k, const struct example *e,
                      uint64_t *ret_units)
{
    struct bench_job job = bench_job_for(k, e, "plan");
    struct bench_answer plan;
    bool has_units;

    if (ask_well(b, &job, &plan) < 0)
        return -1;
    *ret_units = plan.units;
    has_units = plan.has_units;
    bench_answer_release(&plan);
    return has_units ? 0 : bench_fail(b, "To op plan it answered without \"units\".");
}

static int compute_split(struct bench *b, const struct prong_kernel *k, const struct example *e,
                         uint64_t ranges, struct bench_answer *ret)
{
    struct bench_answer parts[RANGES_MAX];
    struct bench_job job = bench_job_for(k, e, "finish");
    size_t count;
    uint64_t units;
    int rc = 0;

    if (plan_units(b, k, e, &units) < 0)
        return -1;
    count = MIN(MIN(ranges, units), (uint64_t)RANGES_MAX);
    if (map_all(b, k, e, units, count, parts) < 0)
        return -1;
    if (k->combine != NULL && count > 1) {
        if (combine_all(b, k, e, parts, count) < 0)
            return -1;
        count = 1;
    }
    job.parts = parts;
    job.part_count = count;
    if (k->finish != NULL)
        rc = ask_well(b, &job, ret);
    else
        concatenate(parts, count, ret);
    release_all(parts, count);
    return rc;
}

int bench_compute(struct bench *b, const struct prong_kernel *k, const struct example *e,
                  uint64_t ranges, struct bench_answer *ret)
{
    struct bench_job job = bench_job_for(k, e, "run");
    uint64_t start = clock_now_ns();
    int rc = k->plan != NULL ? compute_split(b, k, e, ranges, ret) : ask_well(b, &job, ret);

    if (rc == 0)
        ret->took_ns = clock_now_ns() - start;
    return rc;
}

int bench_example(struct bench *b, const struct prong_kernel *k, struct example *ret)
{
    struct err err;

    return example_read(k, b->options.params, ret, &err) < 0 ? bench_fail(b, "%s", err.text) : 0;
}
