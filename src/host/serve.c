#include "host/serve.h"

#include <errno.h>
#include <jansson.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "host/job.h"
#include "host/ops.h"
#include "host/ready.h"

enum { PARTS_MAX = 65536 };

struct host {
    struct link link;
    struct job job;
    const struct prong_kernel *kernel;
    struct prong_buf *parts; /* of the JOB; PARTS_MAX of them */
};

static int parse(const struct frame *f, json_t **ret, struct err *err)
{
    json_error_t error;
    json_t *json = f->meta_bytes == 0
                       ? json_object()
                       : json_loadb(f->meta, f->meta_bytes, JSON_REJECT_DUPLICATES, &error);

    if (json_is_object(json)) {
        *ret = json;
        return 0;
    }
    json_decref(json);
    return err_set(err, -EPROTO, "A frame of type %d came whose JSON is no object.", f->type);
}

/* A whole number at least 0; `fallback` when there is none. False for anything else. */
static bool read_count(const json_t *meta, const char *key, uint64_t fallback, uint64_t *ret)
{
    const json_t *value = json_object_get(meta, key);

    *ret = fallback;
    if (value == NULL || json_is_null(value))
        return true;
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *ret = (uint64_t)json_integer_value(value);
    return true;
}

/* ---- a JOB ---- */

static int read_input(struct job *j, const json_t *meta, struct prong_buf raw, size_t *ret_used)
{
    const char *kind = json_string_value(json_object_get(meta, "input"));
    uint64_t bytes = 0;

    *ret_used = 0;
    if (!read_count(meta, "input_bytes", 0, &bytes) || bytes > raw.size)
        return job_fail(j, "The job says that it has more input than it has.");
    if (kind == NULL || strcmp(kind, "none") == 0)
        return 0;
    if (strcmp(kind, "raw") != 0 && strcmp(kind, "values") != 0)
        return job_fail(j, "The job has an input of no known kind.");
    j->input_kind = *kind == 'r' ? PRONG_INPUT_RAW : PRONG_INPUT_VALUES;
    if (j->input_kind == PRONG_INPUT_VALUES && bytes % sizeof(double) != 0)
        return job_fail(j, "The job's values are no whole numbers of %zu bytes each.",
                        sizeof(double));
    j->input = (struct prong_buf) {.data = raw.data, .size = bytes};
    *ret_used = bytes;
    return 0;
}

/* The parts follow the input, one behind the other, and fill the rest. */
static int read_parts(struct host *h, const json_t *meta, struct prong_buf rest,
                      struct ops_order *order)
{
    const json_t *sizes = json_object_get(meta, "parts");
    const char *at = rest.data;

    order->parts = h->parts;
    order->part_count = json_array_size(sizes);
    if (order->part_count > PARTS_MAX)
        return job_fail(&h->job, "The job has more than %d parts.", PARTS_MAX);
    for (size_t i = 0; i < order->part_count; i++) {
        json_int_t bytes = json_integer_value(json_array_get(sizes, i));
        if (bytes < 0 || (size_t)bytes > rest.size)
            return job_fail(&h->job, "The job says that it has more parts than it has.");
        h->parts[i] = (struct prong_buf) {.data = at, .size = (size_t)bytes};
        at += bytes;
        rest.size -= (size_t)bytes;
    }
    return 0;
}

static int read_job(struct host *h, const json_t *meta, const struct frame *f,
                    struct ops_order *order)
{
    struct job *j = &h->job;
    const char *name = json_string_value(json_object_get(meta, "kernel"));
    struct prong_buf raw = {.data = f->raw, .size = f->raw_bytes};
    uint64_t timeout_ms;
    size_t used;
    struct err err;

    order->op = json_string_value(json_object_get(meta, "op"));
    if (name == NULL || strcmp(name, h->kernel->name) != 0)
        return job_fail(j, "There is no kernel %.80s here.",
                        name == NULL ? "without a name" : name);
    if (order->op == NULL || !read_count(meta, "lo", 0, &order->lo) ||
        !read_count(meta, "hi", 0, &order->hi) ||
        !read_count(meta, "timeout_ms", UINT64_MAX, &timeout_ms))
        return job_fail(j, "The job's op, range or deadline is none.");
    if (timeout_ms < UINT64_MAX / CLOCK_NS_PER_MS / 2)
        j->deadline_ns = clock_now_ns() + timeout_ms * CLOCK_NS_PER_MS;
    j->wants_parts = json_is_true(json_object_get(meta, "wants_parts"));
    if (args_read(h->kernel, json_object_get(meta, "params"), &j->args, &err) < 0)
        return job_fail(j, "%s", err.text);
    if (read_input(j, meta, raw, &used) < 0)
        return -1;
    raw.data = (const char *)raw.data + used;
    raw.size -= used;
    return read_parts(h, meta, raw, order);
}

static void send_error(struct host *h)
{
    const char *code = h->job.cancelled ? "cancelled" : "failed";
    const char *message = h->job.cancelled ? "It was cancelled." : h->job.error;
    /* What is no UTF-8 would be lost as a whole. */
    json_t *said = json_pack("{s:s, s:s}", "message", message, "code", code);
    char *text = NULL;

    if (said == NULL)
        said =
            json_pack("{s:s, s:s}", "message", "The kernel's complaint is no UTF-8.", "code", code);
    text = said == NULL ? NULL : json_dumps(said, JSON_COMPACT);
    (void)link_send(&h->link, FRAME_ERROR, h->job.id, text == NULL ? "" : text, "", 0);
    free(text);
    json_decref(said);
}

static void send_result(struct host *h, const struct ops_answer *answer)
{
    char said[PROTO_MEDIA_MAX + 100] = "";
    char *text = NULL;

    if (answer->is_plan)
        (void)snprintf(said, sizeof(said), "{\"units\":%llu,\"unit_cost\":%.17g}",
                       (unsigned long long)answer->work.units, answer->work.unit_cost);
    if (h->job.media[0] != '\0') {
        json_t *media = json_pack("{s:s}", "media_type", h->job.media);
        text = json_dumps(media, JSON_COMPACT);
        json_decref(media);
    }
    (void)link_send(&h->link, FRAME_RESULT, h->job.id, text == NULL ? said : text,
                    answer->body.data, answer->body.size);
    free(text);
}

static int serve_job(struct host *h, const struct frame *f, struct err *err)
{
    struct ops_order order = {0};
    struct ops_answer answer;
    json_t *meta = NULL;
    int rc = parse(f, &meta, err);

    if (rc < 0)
        return rc;
    if (f->job == 0) {
        json_decref(meta);
        return err_set(err, -EPROTO, "A job came that has no number.");
    }
    job_begin(&h->job, f->job);
    if (read_job(h, meta, f, &order) < 0 || ops_run(&h->job, &order, &answer) < 0)
        send_error(h);
    else
        send_result(h, &answer);
    job_end(&h->job);
    json_decref(meta);
    link_trim(&h->link);
    return 0;
}

/* ---- around it ---- */

/* A limit that HELLO does not name is the protocol's. */
static int greet(struct host *h, void *state, struct err *err)
{
    struct frame f;
    json_t *hello = NULL;
    uint64_t protocol = 0, result_max = 0, part_max = 0;
    int rc = link_receive(&h->link, &f, err);

    if (rc == 0 && f.type != FRAME_HELLO)
        rc = err_set(err, -EPROTO, "The first frame is of type %d, not HELLO.", f.type);
    if (rc == 0)
        rc = parse(&f, &hello, err);
    if (rc < 0)
        return rc;
    if (!read_count(hello, "protocol", 0, &protocol) || protocol != FRAME_VERSION ||
        !read_count(hello, "result_bytes_max", FRAME_BODY_MAX - FRAME_META_MAX, &result_max) ||
        !read_count(hello, "part_bytes_max", FRAME_PART_MAX, &part_max))
        rc = err_set(err, -EPROTO, "HELLO is not of protocol %d.", FRAME_VERSION);
    json_decref(hello);
    if (rc < 0)
        return rc;
    result_max = MIN(result_max, (uint64_t)FRAME_BODY_MAX - FRAME_META_MAX);
    if (job_init(&h->job, h->kernel, state, &h->link, result_max, part_max) < 0)
        return err_set(err, -ENOMEM, "There is no memory for answers.");
    return 0;
}

static int announce(struct host *h, struct err *err)
{
    CLEANUP_FREE char *ready = ready_text(h->kernel);

    if (ready == NULL)
        return err_set(err, -ENOMEM,
                       "Kernel %s cannot be described: is there a text that is no UTF-8?",
                       h->kernel->name);
    return link_send(&h->link, FRAME_READY, 0, ready, "", 0);
}

/* Whatever comes next. 1 when it was the last. */
static int serve_next(struct host *h, struct err *err)
{
    struct frame f;
    int rc = link_receive(&h->link, &f, err);

    if (rc < 0)
        return rc;
    switch (f.type) {
    case FRAME_JOB:
        return serve_job(h, &f, err);
    case FRAME_PING:
        return link_send(&h->link, FRAME_PONG, 0, "", "", 0);
    case FRAME_CANCEL: /* of a job that has been answered meanwhile */
        return 0;
    case FRAME_QUIET:
        return 1;
    default:
        return err_set(err, -EPROTO, "A frame of type %d came, which nobody asked for.", f.type);
    }
}

int serve_kernel(int fd, const struct prong_kernel *k, void *state, struct err *err)
{
    struct host h = {.kernel = k};
    int rc;

    link_init(&h.link, fd);
    h.parts = calloc(PARTS_MAX, sizeof(*h.parts));
    rc = h.parts == NULL ? err_set(err, -ENOMEM, "There is no memory.") : greet(&h, state, err);
    if (rc == 0)
        rc = announce(&h, err);
    while (rc == 0)
        rc = serve_next(&h, err);
    job_release(&h.job);
    link_release(&h.link);
    free(h.parts);
    return rc == -EPIPE || rc > 0 ? 0 : rc;
}
