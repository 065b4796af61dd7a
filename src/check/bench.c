#include "check/bench.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/random.h>

#include "program/said.h"

void bench_init(struct bench *b, const struct bench_options *options)
{
    *b = (struct bench) {.options = *options, .peer = {.fd = -1, .pid_fd = -1}};
    words_open(&b->peer.words, -1, -1);
    if (getrandom(&b->seed, sizeof(b->seed), 0) < 0)
        b->seed = clock_wall_ns();
}

void bench_release(struct bench *b)
{
    bench_drop(b);
    for (uint32_t i = 0; i < b->kernel_count; i++)
        (void)declared_free(b->kernels[i]);
    b->kernel_count = 0;
}

static void say_why(struct bench *b, const char *format, va_list args)
{
    (void)vsnprintf(b->why, sizeof(b->why), format, args);
}

/* Its last words often say more than we can see. */
int bench_fail(struct bench *b, const char *format, ...)
{
    char last[300];
    size_t n;
    va_list args;

    va_start(args, format);
    say_why(b, format, args);
    va_end(args);
    words_last(&b->peer.words, last, sizeof(last));
    n = strlen(b->why);
    if (last[0] != '\0')
        (void)snprintf(b->why + n, sizeof(b->why) - n, " Its last words: %s", last);
    return -1;
}

int bench_skip(struct bench *b, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say_why(b, format, args);
    va_end(args);
    return 1;
}

uint64_t bench_deadline(const struct bench *b)
{
    return clock_now_ns() + b->options.timeout_ns;
}

/* ---- starting ---- */

void bench_drop(struct bench *b)
{
    peer_stop(&b->peer);
}

/* What went wrong with a frame that did not go or come. */
static int fail_io(struct bench *b, int rc, const char *what, const struct err *err)
{
    char status[40];

    if (rc == -EPROTO)
        return bench_fail(b, "While %s was awaited, the program %s.", what, err->text);
    if (rc == -ETIMEDOUT)
        return bench_fail(b, "%s did not come in time.", what);
    if (peer_await_end(&b->peer, bench_allowed(b, 500)) == 0)
        return bench_fail(b, "The program ended with %s instead of %s.",
                          peer_status_text(b->peer.status, status), what);
    return bench_fail(b, "The program closed its socket instead of %s.", what);
}

/* The first program tells what there is; the others are believed to tell the same. */
static int read_ready(struct bench *b, const struct frame *f)
{
    struct err err;

    if (f->type != FRAME_READY || f->job != 0)
        return bench_fail(b, "The first frame is of type %d, for job %llx; it must be READY.",
                          f->type, (unsigned long long)f->job);
    if (b->kernel_count > 0)
        return 0;
    if (describe_read(f->meta_bytes == 0 ? "{}" : f->meta, f->meta_bytes == 0 ? 2 : f->meta_bytes,
                      b->kernels, &b->kernel_count, &err) < 0)
        return bench_fail(b, "%s", err.text);
    return 0;
}

int bench_start(struct bench *b)
{
    static const char hello[] = "{\"protocol\":1,\"version\":\"" PRONG_VERSION
                                "\",\"result_bytes_max\":67108864,\"part_bytes_max\":49152}";
    uint64_t deadline = bench_deadline(b);
    struct frame f;
    struct err err;
    int rc;

    bench_drop(b);
    if (peer_start(&b->peer, b->options.argv, b->options.is_verbose, &err) < 0)
        return bench_fail(b, "%s", err.text);
    rc = peer_send(&b->peer, FRAME_HELLO, 0, hello, "", 0, deadline);
    if (rc == 0)
        rc = peer_receive(&b->peer, &f, deadline, &err);
    return rc < 0 ? fail_io(b, rc, "READY", &err) : read_ready(b, &f);
}

int bench_need(struct bench *b)
{
    return b->peer.pid > 0 && !b->peer.has_ended ? 0 : bench_start(b);
}

/* ---- frames ---- */

int bench_say(struct bench *b, enum frame_type type)
{
    int rc = peer_send(&b->peer, type, 0, "", "", 0, bench_deadline(b));

    return rc < 0 ? fail_io(b, rc, "taking a frame", NULL) : 0;
}

int bench_expect(struct bench *b, enum frame_type type, uint64_t deadline_ns)
{
    struct frame f;
    struct err err;
    int rc = peer_receive(&b->peer, &f, deadline_ns, &err);

    if (rc < 0)
        return fail_io(b, rc, type == FRAME_PONG ? "PONG" : "an answer", &err);
    if (f.type != type || f.job != 0)
        return bench_fail(
            b, "A frame of type %d came, for job %llx; it must be one of type %d, for 0.", f.type,
            (unsigned long long)f.job, type);
    return 0;
}

uint64_t bench_number(struct bench *b)
{
    uint64_t number = 0;

    while (number == 0) {
        b->seed = b->seed * 6364136223846793005u + 1442695040888963407u;
        number = b->seed ^ b->seed >> 29;
    }
    return number;
}

/* ---- a JOB ---- */

static json_t *parts_json(const struct bench_job *job)
{
    json_t *sizes = json_array();

    for (size_t i = 0; i < job->part_count; i++)
        (void)json_array_append_new(sizes, json_integer((json_int_t)job->parts[i].raw_bytes));
    return sizes;
}

char *bench_meta(const struct bench_job *job)
{
    json_t *meta =
        json_pack("{s:s, s:s, s:s, s:I, s:b, s:s, s:s, s:I}", "kernel", job->kernel, "op", job->op,
                  "input", job->input_kind == NULL ? "none" : job->input_kind, "input_bytes",
                  (json_int_t)job->input_bytes, "wants_parts", 1, "id",
                  "01a1f973-34c5-7601-a18c-ba89c6d919ee", "trace_id",
                  "4bf92f3577b34da6a3ce929d0e0e4736", "timeout_ms", (json_int_t)3600000);
    char *text;

    CHECK(meta != NULL);
    (void)json_object_set_new(meta, "params",
                              job->params == NULL ? json_object() : json_deep_copy(job->params));
    if (job->has_range) {
        (void)json_object_set_new(meta, "lo", json_integer((json_int_t)job->lo));
        (void)json_object_set_new(meta, "hi", json_integer((json_int_t)job->hi));
    }
    if (job->part_count > 0)
        (void)json_object_set_new(meta, "parts", parts_json(job));
    if (job->more != NULL)
        (void)json_object_set_new(meta, job->more, json_pack("{s:[i]}", "is", 1));
    text = json_dumps(meta, JSON_COMPACT);
    json_decref(meta);
    CHECK(text != NULL);
    return text;
}

/* The input, then the parts; the caller's to free(). */
static char *join_raw(const struct bench_job *job, size_t *ret_bytes)
{
    size_t bytes = job->input_bytes;
    char *raw, *at;

    for (size_t i = 0; i < job->part_count; i++)
        bytes += job->parts[i].raw_bytes;
    raw = at = malloc(bytes + 1);
    CHECK(raw != NULL);
    if (job->input_bytes > 0)
        memcpy(at, job->input, job->input_bytes);
    at += job->input_bytes;
    for (size_t i = 0; i < job->part_count; i++) {
        memcpy(at, job->parts[i].raw, job->parts[i].raw_bytes);
        at += job->parts[i].raw_bytes;
    }
    *ret_bytes = bytes;
    return raw;
}

int bench_send_job(struct bench *b, const struct bench_job *job, uint64_t *ret_number)
{
    CLEANUP_FREE char *meta = bench_meta(job);
    size_t bytes;
    CLEANUP_FREE char *raw = join_raw(job, &bytes);
    int rc;

    *ret_number = bench_number(b);
    rc = peer_send(&b->peer, FRAME_JOB, *ret_number, meta, raw, bytes, bench_deadline(b));
    return rc < 0 ? fail_io(b, rc, "taking the job", NULL) : 0;
}

static void keep_answer(struct bench_answer *a, const struct talk_said *said)
{
    a->is_error = said->kind == TALK_ERROR;
    a->code = said->code;
    a->message = strdup(said->message == NULL ? "" : said->message);
    a->has_units = said->has_units;
    a->units = said->units;
    a->raw_bytes = said->raw_bytes;
    a->raw = malloc(said->raw_bytes + 1);
    CHECK(a->raw != NULL && a->message != NULL);
    if (said->raw_bytes > 0)
        memcpy(a->raw, said->raw, said->raw_bytes);
    a->raw[said->raw_bytes] = '\0';
    (void)snprintf(a->media_type, sizeof(a->media_type), "%s",
                   said->media_type == NULL ? "" : said->media_type);
}

/* What a frame means, judged as prong would. */
static int judge(struct bench *b, const struct frame *f, uint64_t number, struct talk_said *said,
                 json_t **ret_json)
{
    static const enum talk_kind kinds[FRAME_TYPE_COUNT] = {
        [FRAME_PROGRESS] = TALK_PROGRESS,
        [FRAME_PART] = TALK_PART,
        [FRAME_RESULT] = TALK_RESULT,
        [FRAME_ERROR] = TALK_ERROR,
    };
    struct err err;

    *said = (struct talk_said) {.kind = kinds[f->type], .media_type = ""};
    if (said->kind == TALK_NOTHING)
        return bench_fail(b, "A frame of type %d came instead of an answer.", f->type);
    if (f->job != number)
        return bench_fail(b, "A frame of type %d came for job %llx; the job is %llx.", f->type,
                          (unsigned long long)f->job, (unsigned long long)number);
    if (said_read(f, said, ret_json, &err) < 0)
        return bench_fail(b, "The program %s.", err.text);
    return 0;
}

int bench_hear(struct bench *b, uint64_t number, uint64_t deadline_ns, struct bench_answer *ret)
{
    struct bench_answer a = {0};

    for (;;) {
        struct talk_said said;
        struct frame f;
        json_t *json = NULL;
        struct err err;
        int rc = peer_receive(&b->peer, &f, deadline_ns, &err);

        if (rc < 0)
            return fail_io(b, rc, "an answer", &err);
        rc = judge(b, &f, number, &said, &json);
        a.progress_count += said.kind == TALK_PROGRESS;
        a.part_count += said.kind == TALK_PART;
        if (rc == 0 && (said.kind == TALK_RESULT || said.kind == TALK_ERROR))
            keep_answer(&a, &said);
        json_decref(json);
        if (rc < 0)
            return rc;
        if (a.raw != NULL)
            break;
    }
    *ret = a;
    return 0;
}

int bench_ask(struct bench *b, const struct bench_job *job, struct bench_answer *ret)
{
    uint64_t number, start = clock_now_ns();

    if (bench_send_job(b, job, &number) < 0 || bench_hear(b, number, bench_deadline(b), ret) < 0)
        return -1;
    ret->took_ns = clock_now_ns() - start;
    return 0;
}

void bench_answer_release(struct bench_answer *a)
{
    free(a->message);
    free(a->raw);
    *a = (struct bench_answer) {0};
}
