#include "check/cases.h"

#include <errno.h>

#include "ipc/description.h"

enum { CANCEL_MS = 500, LONG_MS = 100 };

static int check_body(struct bench *b, const struct prong_kernel *k, const struct bench_answer *a)
{
    const char *media = a->media_type[0] != '\0' ? a->media_type : k->media_type;
    json_error_t error;
    json_t *json;

    if (media == NULL || strcmp(media, "application/json") != 0)
        return 0;
    /* Integers may be as long as they like: they are read as reals. */
    json = json_loadb(a->raw, a->raw_bytes, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, &error);
    if (json == NULL)
        return bench_fail(b, "Its answer is called JSON but is none: %.100s.", error.text);
    json_decref(json);
    return 0;
}

static int runs_its_example(struct bench *b, const struct prong_kernel *k)
{
    struct bench_answer a;
    struct example e;
    int rc;

    if (bench_example(b, k, &e) < 0)
        return -1;
    rc = bench_compute(b, k, &e, 1, &a);
    /* A kernel that takes a body may have no example without one. */
    if (rc < 0 && k->takes_raw && b->peer.pid > 0 && !b->peer.has_ended && e.input == NULL) {
        example_set_raw(&e, 100);
        rc = bench_compute(b, k, &e, 1, &a);
    }
    if (rc == 0) {
        rc = check_body(b, k, &a);
        bench_answer_release(&a);
    }
    example_release(&e);
    return rc;
}

static int compare(struct bench *b, const struct bench_answer *a, const struct bench_answer *other,
                   const char *how)
{
    if (a->raw_bytes != other->raw_bytes)
        return bench_fail(b, "%s gives %zu bytes, not %zu as before.", how, other->raw_bytes,
                          a->raw_bytes);
    for (size_t i = 0; i < a->raw_bytes; i++) {
        if (a->raw[i] != other->raw[i])
            return bench_fail(b, "%s gives another answer, from byte %zu of %zu on.", how, i,
                              a->raw_bytes);
    }
    return 0;
}

static int answers_alike_for(struct bench *b, const struct prong_kernel *k, const struct example *e)
{
    static const uint64_t ranges[] = {2, 7, 64};
    struct bench_answer whole, other;
    int rc = bench_compute(b, k, e, 1, &whole);

    if (rc < 0)
        return rc;
    for (size_t i = 0; i < (k->plan == NULL ? 1 : ARRAY_SIZE(ranges)) && rc == 0; i++) {
        char how[60] = "The second run";
        if (k->plan != NULL)
            (void)snprintf(how, sizeof(how), "Cutting it in %d ranges", (int)ranges[i]);
        rc = bench_compute(b, k, e, ranges[i], &other);
        if (rc < 0)
            break;
        rc = compare(b, &whole, &other, how);
        bench_answer_release(&other);
    }
    bench_answer_release(&whole);
    return rc;
}

static int answers_alike(struct bench *b, const struct prong_kernel *k)
{
    struct example e;
    int rc;

    if ((k->flags & PRONG_PURE) == 0)
        return bench_skip(b, "it is not pure");
    if (bench_example(b, k, &e) < 0)
        return -1;
    if (k->takes_raw && e.input == NULL)
        example_set_raw(&e, 10000);
    rc = answers_alike_for(b, k, &e);
    example_release(&e);
    return rc;
}

/* The op that looks at parameters first. */
static const char *first_op(const struct prong_kernel *k)
{
    return k->plan != NULL ? "plan" : "run";
}

static int refuses(struct bench *b, const struct prong_kernel *k, const struct example *e,
                   const char *what)
{
    struct bench_job job = bench_job_for(k, e, first_op(k));
    struct bench_answer a;
    int rc = bench_ask(b, &job, &a);

    if (rc < 0)
        return rc;
    if (!a.is_error)
        rc = bench_fail(b, "With %s it answered RESULT, not ERROR.", what);
    else if (a.message[0] == '\0')
        rc = bench_fail(b, "With %s it answered ERROR without a message.", what);
    bench_answer_release(&a);
    return rc;
}

static int refuses_a_missing_parameter(struct bench *b, const struct prong_kernel *k)
{
    const struct prong_param *p = NULL;
    char what[100];
    struct example e;
    int rc;

    for (uint32_t i = 0; i < k->param_count && p == NULL; i++) {
        if (description_param_at(k, i)->required &&
            description_param_at(k, i)->type != PRONG_VALUES)
            p = description_param_at(k, i);
    }
    if (p == NULL)
        return bench_skip(b, "no parameter is required");
    if (bench_example(b, k, &e) < 0)
        return -1;
    (void)json_object_del(e.params, p->name);
    (void)snprintf(what, sizeof(what), "no %s", p->name);
    rc = refuses(b, k, &e, what);
    example_release(&e);
    return rc;
}

static int refuses_a_wrong_parameter(struct bench *b, const struct prong_kernel *k)
{
    bool has_any = false;
    int rc = 0;

    for (uint32_t i = 0; i < k->param_count && rc == 0; i++) {
        const struct prong_param *p = description_param_at(k, i);
        json_t *wrong = example_wrong_value(p);
        char what[100];
        struct example e;

        if (wrong == NULL)
            continue;
        if (bench_example(b, k, &e) < 0) {
            json_decref(wrong);
            return -1;
        }
        has_any = true;
        (void)json_object_set_new(e.params, p->name, wrong);
        (void)snprintf(what, sizeof(what), "%s of the wrong type", p->name);
        rc = refuses(b, k, &e, what);
        example_release(&e);
    }
    return has_any ? rc : bench_skip(b, "no parameter can be of the wrong type");
}

/* What it makes of the input is its own affair; that it answers is not. */
static int answers_raw_input(struct bench *b, const struct prong_kernel *k)
{
    static const size_t sizes[] = {0, 1, 1 << 20};
    int rc = 0;

    if (!k->takes_raw)
        return bench_skip(b, "it takes no raw input");
    for (size_t i = 0; i < ARRAY_SIZE(sizes) && rc == 0; i++) {
        struct bench_answer a;
        struct bench_job job;
        struct example e;

        if (bench_example(b, k, &e) < 0)
            return -1;
        example_set_raw(&e, sizes[i]);
        job = bench_job_for(k, &e, first_op(k));
        rc = bench_ask(b, &job, &a);
        if (rc == 0)
            bench_answer_release(&a);
        example_release(&e);
    }
    return rc;
}

/* ---- CANCEL ---- */

/* All of the work in one JOB. */
static int whole_job(struct bench *b, const struct prong_kernel *k, const struct example *e,
                     struct bench_job *ret)
{
    struct bench_job plan = bench_job_for(k, e, "plan");
    struct bench_answer a;

    *ret = bench_job_for(k, e, k->plan != NULL ? "map" : "run");
    if (k->plan == NULL)
        return 0;
    if (bench_ask(b, &plan, &a) < 0)
        return -1;
    ret->has_range = true;
    ret->hi = a.units;
    bench_answer_release(&a);
    return 0;
}

/* Lets it work for a while: until it says something, or so long. */
static int let_work(struct bench *b, uint64_t until_ns)
{
    struct frame f;
    struct err err;
    int rc = peer_receive(&b->peer, &f, until_ns, &err);

    if (rc == -ETIMEDOUT || (rc == 0 && (f.type == FRAME_PROGRESS || f.type == FRAME_PART)))
        return 0;
    if (rc == 0 && f.type == FRAME_RESULT)
        return bench_skip(b, "its example ended at once; give it more to do with --params");
    return bench_fail(b, "It did not work for a moment when its example was asked for again.");
}

static int cancel_while_working(struct bench *b, const struct bench_job *job, uint64_t usual_ns)
{
    struct bench_answer a;
    uint64_t number;
    int rc = bench_send_job(b, job, &number);

    if (rc == 0)
        rc = let_work(b, clock_now_ns() + MIN(usual_ns / 10, 100 * CLOCK_NS_PER_MS));
    if (rc == 0 && peer_send(&b->peer, FRAME_CANCEL, number, "", "", 0, bench_deadline(b)) < 0)
        rc = bench_fail(b, "It ended while it worked.");
    if (rc == 0)
        rc = bench_hear(b, number, bench_allowed(b, CANCEL_MS), &a);
    if (rc != 0)
        return rc;
    if (!a.is_error && usual_ns < 2 * CANCEL_MS * CLOCK_NS_PER_MS)
        rc = bench_skip(b, "its example ended by itself; give it more to do with --params");
    else if (a.is_error && a.code != TALK_CANCELLED)
        rc = bench_fail(b, "It answered ERROR, but not with the code cancelled: %.200s", a.message);
    bench_answer_release(&a);
    return rc;
}

static int cancel_example(struct bench *b, const struct prong_kernel *k, const struct example *e)
{
    struct bench_answer a;
    struct bench_job job;
    uint64_t usual_ns;

    if (whole_job(b, k, e, &job) < 0 || bench_ask(b, &job, &a) < 0)
        return -1;
    usual_ns = a.took_ns;
    bench_answer_release(&a);
    if (usual_ns < LONG_MS * CLOCK_NS_PER_MS)
        return bench_skip(b, "its example takes just %.3g ms; give it more to do with --params",
                          (double)usual_ns / (double)CLOCK_NS_PER_MS);
    return cancel_while_working(b, &job, usual_ns);
}

static int heeds_cancel(struct bench *b, const struct prong_kernel *k)
{
    struct example e;
    int rc;

    if (bench_example(b, k, &e) < 0)
        return -1;
    rc = cancel_example(b, k, &e);
    example_release(&e);
    if (rc != 0)
        bench_drop(b); /* it may still work */
    return rc;
}

const struct check_case check_kernel_cases[] = {
    {"runs its example", runs_its_example},
    {"gives the same answer again, however it is cut", answers_alike},
    {"answers ERROR when a required parameter is missing", refuses_a_missing_parameter},
    {"answers ERROR when a parameter is of the wrong type", refuses_a_wrong_parameter},
    {"answers raw input of 0, 1 and 1048576 bytes", answers_raw_input},
    {"answers within 500 ms of CANCEL", heeds_cancel},
};
const size_t check_kernel_case_count = ARRAY_SIZE(check_kernel_cases);
