#include "check/cases.h"

#include <errno.h>

#include "base/buf.h"

/* Any JOB that is answered soon: of the first kernel, or for one that there is not. */
static int some_job(struct bench *b, struct bench_job *ret, struct example *ret_example)
{
    const struct prong_kernel *k = b->kernel_count > 0 ? &b->kernels[0]->kernel : NULL;

    *ret_example = (struct example) {0};
    *ret = (struct bench_job) {.kernel = "no-such-kernel", .op = "run"};
    if (k == NULL)
        return 0;
    if (bench_example(b, k, ret_example) < 0)
        return -1;
    *ret = bench_job_for(k, ret_example, k->plan != NULL ? "plan" : "run");
    return 0;
}

/* Whatever it answers, it must be an answer to this. */
static int hear_any(struct bench *b, uint64_t number)
{
    struct bench_answer a;

    if (bench_hear(b, number, bench_deadline(b), &a) < 0)
        return -1;
    bench_answer_release(&a);
    return 0;
}

static int ask_some(struct bench *b, const char *more)
{
    struct bench_job job;
    struct example e;
    uint64_t number;
    int rc = some_job(b, &job, &e);

    job.more = more;
    if (rc == 0)
        rc = bench_send_job(b, &job, &number);
    if (rc == 0)
        rc = hear_any(b, number);
    example_release(&e);
    return rc;
}

static int refuses_job(struct bench *b, const struct bench_job *job)
{
    struct bench_answer a;
    int rc = bench_ask(b, job, &a);

    if (rc < 0)
        return rc;
    if (!a.is_error)
        rc = bench_fail(b, "It answered RESULT.");
    bench_answer_release(&a);
    return rc < 0 ? rc : ask_some(b, NULL); /* and it lives on */
}

static int refuses_an_unknown_kernel(struct bench *b, const struct prong_kernel *k)
{
    (void)k;
    return refuses_job(b, &(struct bench_job) {.kernel = "no-such-kernel", .op = "run"});
}

static int refuses_an_unknown_op(struct bench *b, const struct prong_kernel *k)
{
    struct bench_job job;
    struct example e;
    int rc;

    (void)k;
    if (b->kernel_count == 0)
        return bench_skip(b, "no kernel is known; say --kernel NAME");
    if (some_job(b, &job, &e) < 0)
        return -1;
    job.op = "no-such-op";
    rc = refuses_job(b, &job);
    example_release(&e);
    return rc;
}

static int answers_with_its_number(struct bench *b, const struct prong_kernel *k)
{
    (void)k;
    for (int i = 0; i < 3; i++) {
        if (ask_some(b, NULL) < 0)
            return -1;
    }
    return 0;
}

static int answers_ping(struct bench *b, const struct prong_kernel *k)
{
    (void)k;
    for (int i = 0; i < 2; i++) {
        if (bench_say(b, FRAME_PING) < 0 || bench_expect(b, FRAME_PONG, bench_allowed(b, 1000)) < 0)
            return -1;
    }
    return 0;
}

static int ignores_members(struct bench *b, const struct prong_kernel *k)
{
    (void)k;
    return ask_some(b, "from-a-later-version");
}

/* The answer and CANCEL may have crossed: it means nothing then. */
static int ignores_late_cancel(struct bench *b, const struct prong_kernel *k)
{
    (void)k;
    if (ask_some(b, NULL) < 0)
        return -1;
    if (peer_send(&b->peer, FRAME_CANCEL, bench_number(b), "", "", 0, bench_deadline(b)) < 0)
        return bench_fail(b, "It ended before CANCEL.");
    return answers_ping(b, k);
}

/* ---- how frames arrive ---- */

/* Frames as they lie behind each other on the wire. */
static void add_frame(struct buf *out, enum frame_type type, uint64_t number, const char *meta)
{
    struct frame_opening opening = frame_opening(type, number, strlen(meta), 0);

    (void)buf_add(out, &opening, FRAME_OPENING_BYTES);
    (void)buf_add_text(out, meta);
}

static int send_job_in_bytes(struct bench *b, bool is_piecemeal, bool is_after_cancel)
{
    uint64_t number = bench_number(b);
    struct bench_job job;
    struct example e;
    struct buf out;
    char *meta;
    int rc = some_job(b, &job, &e);

    if (rc < 0)
        return rc;
    job.input_bytes = 0;
    job.input_kind = "none";
    meta = bench_meta(&job);
    buf_init(&out, 1 << 20);
    if (is_after_cancel)
        add_frame(&out, FRAME_CANCEL, bench_number(b), "");
    add_frame(&out, FRAME_JOB, number, meta);
    rc = peer_send_bytes(&b->peer, out.data, out.size, is_piecemeal, bench_deadline(b));
    rc = rc < 0 ? bench_fail(b, "It stopped reading.") : hear_any(b, number);
    buf_release(&out);
    free(meta);
    example_release(&e);
    return rc;
}

static int takes_single_bytes(struct bench *b, const struct prong_kernel *k)
{
    (void)k;
    return send_job_in_bytes(b, true, false);
}

static int takes_two_at_once(struct bench *b, const struct prong_kernel *k)
{
    (void)k;
    return send_job_in_bytes(b, false, true);
}

/* One without a body at all, too: 16 bytes, and that is that. */
static int takes_empty_bodies(struct bench *b, const struct prong_kernel *k)
{
    struct frame_head head = {
        .magic = FRAME_MAGIC, .version = FRAME_VERSION, .type = FRAME_PING, .bytes = 0};

    (void)k;
    if (peer_send_bytes(&b->peer, &head, sizeof(head), false, bench_deadline(b)) < 0)
        return bench_fail(b, "It stopped reading.");
    return bench_expect(b, FRAME_PONG, bench_allowed(b, 1000));
}

static int keeps_output_apart(struct bench *b, const struct prong_kernel *k)
{
    size_t before;

    (void)k;
    before = b->peer.lines;
    if (ask_some(b, NULL) < 0 || answers_ping(b, k) < 0)
        return -1;
    return b->peer.lines > before ? 0 : bench_skip(b, "it wrote nothing there");
}

const struct check_case check_frame_cases[] = {
    {"answers each job under its own number", answers_with_its_number},
    {"answers ERROR for an unknown kernel, and lives on", refuses_an_unknown_kernel},
    {"answers ERROR for an unknown op, and lives on", refuses_an_unknown_op},
    {"answers PING while idle", answers_ping},
    {"ignores members of a frame's JSON that it does not know", ignores_members},
    {"ignores a CANCEL that comes after the answer", ignores_late_cancel},
    {"takes a frame that comes byte by byte", takes_single_bytes},
    {"takes two frames that come at once", takes_two_at_once},
    {"takes a frame without a body", takes_empty_bodies},
    {"writes to standard output and error without disturbing its frames", keeps_output_apart},
};
const size_t check_frame_case_count = ARRAY_SIZE(check_frame_cases);
