#include "api/compute.h"
#include "base/clock.h"
#include "http/stream.h"
#include "jobs/json.h"

enum { PROGRESS_EVERY_MS = 100 };

/* A job whose client listens: it lives until the job is done, with or without the client. All but its
 * making happens on the collector's thread. */
struct listener {
    struct api *api;
    struct stream *stream;
    uint64_t told_ns; /* when progress was told last */
    bool is_cancelled;
};

static void post_json(struct listener *l, const char *event, json_t *json)
{
    CLEANUP_FREE char *text = json == NULL ? NULL : json_write(json, NULL);

    json_decref(json);
    if (text != NULL)
        (void)stream_post(l->stream, event, text, strlen(text));
}

static void stop_if_gone(struct listener *l, const struct job *job)
{
    if (l->is_cancelled || !stream_is_gone(l->stream))
        return;
    l->is_cancelled = true;
    sched_cancel(l->api->sched, job->id);
}

static void tell_part(struct job *job, const void *data, size_t bytes)
{
    struct listener *l = job->owner;

    (void)stream_post(l->stream, "part", data, bytes);
    stop_if_gone(l, job);
}

static void tell_progress(struct job *job, uint64_t done, uint64_t total)
{
    struct listener *l = job->owner;
    uint64_t now_ns = clock_now_ns();

    if (now_ns - l->told_ns < PROGRESS_EVERY_MS * CLOCK_NS_PER_MS && done < total)
        return;
    l->told_ns = now_ns;
    post_json(l, "progress",
              json_pack("{s:I, s:I}", "done", (json_int_t)done, "total", (json_int_t)total));
    stop_if_gone(l, job);
}

static bool is_json(const char *media_type)
{
    return strncmp(media_type, "application/json", 16) == 0;
}

static void put_base64(struct buf *b, const uint8_t *data, size_t bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *out = buf_reserve(b, (bytes + 2) / 3 * 4);

    for (size_t i = 0; out != NULL && i < bytes; i += 3) {
        uint32_t left = (uint32_t)MIN(bytes - i, (size_t)3);
        uint32_t word = (uint32_t)data[i] << 16 | (left > 1 ? (uint32_t)data[i + 1] << 8 : 0) |
                        (left > 2 ? data[i + 2] : 0);
        *out++ = digits[word >> 18];
        *out++ = digits[word >> 12 & 63];
        *out++ = left > 1 ? digits[word >> 6 & 63] : '=';
        *out++ = left > 2 ? digits[word & 63] : '=';
        b->size += 4;
    }
}

/* {"job":…,"receipt":{…},"media_type":…,"result":JSON}, or "base64" for what is not JSON. */
static void end_with_result(struct listener *l, const struct job *job)
{
    json_t *receipt = compute_receipt(job);
    CLEANUP_FREE char *receipt_text = receipt == NULL ? NULL : json_write(receipt, NULL);
    struct buf b;

    json_decref(receipt);
    buf_init(&b, job->result_bytes * 2 + 4096);
    (void)buf_printf(&b, "{\"job\":\"%s\",\"receipt\":%s,\"media_type\":\"%s\",", job->id.text,
                     receipt_text == NULL ? "null" : receipt_text, job->media_type);
    if (is_json(job->media_type)) {
        (void)buf_add_text(&b, "\"result\":");
        (void)buf_add(&b, job->result, job->result_bytes);
        (void)buf_add_text(&b, "}");
    } else {
        (void)buf_add_text(&b, "\"base64\":\"");
        put_base64(&b, job->result, job->result_bytes);
        (void)buf_add_text(&b, "\"}");
    }
    stream_end(l->stream, "result", b.data, buf_failed(&b) < 0 ? 0 : b.size);
    buf_release(&b);
}

static void end_with_problem(struct listener *l, const struct job *job)
{
    struct compute_problem problem;
    CLEANUP_FREE char *text = NULL;
    json_t *json;

    compute_explain(job, &problem);
    json = problem_object(problem.name, problem.extra, problem.detail);
    if (json != NULL)
        (void)json_object_set_new(json, "receipt", compute_receipt(job));
    text = json == NULL ? NULL : json_write(json, NULL);
    json_decref(json);
    stream_end(l->stream, "error", text == NULL ? "{}" : text, text == NULL ? 2 : strlen(text));
}

static void end(struct job *job)
{
    struct listener *l = job->owner;

    if (job->outcome == JOB_OK)
        end_with_result(l, job);
    else
        end_with_problem(l, job);
    job->slab = slab_drop(job->slab);
    (void)job_free(job);
    free(l);
}

void compute_events(struct request *r, struct compute *c)
{
    struct listener *l = calloc(1, sizeof(*l));
    struct job *job = take_ptr(c->job);

    if (l != NULL)
        l->stream = stream_open(r);
    if (l == NULL || l->stream == NULL) {
        if (!request_is_answered(r))
            respond_problem(r, PROBLEM_NO_ROOM, NULL,
                            "There is no memory for this. Send it later.");
        job->slab = slab_drop(job->slab);
        (void)job_free(job);
        free(l);
        return;
    }
    l->api = api_of(r);
    job->owner = l;
    job->part = tell_part;
    job->progress = tell_progress;
    job->done = end;
    respond_header(r, "Prong-Job", job->id.text);
    if (sched_submit(l->api->sched, job) < 0)
        end(job);
}
