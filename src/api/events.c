#include "api/compute.h"
#include "api/event.h"
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
    int told_pid;     /* the worker of the last part; -1: none was told */
    bool is_cancelled;
};

static void post_text(struct listener *l, const char *event, const char *text)
{
    if (text != NULL)
        (void)stream_post(l->stream, event, 0, text, strlen(text));
}

static void post_json(struct listener *l, const char *event, json_t *json)
{
    CLEANUP_FREE char *text = json == NULL ? NULL : json_write(json, NULL);

    json_decref(json);
    post_text(l, event, text);
}

static void stop_if_gone(struct listener *l, const struct job *job)
{
    if (l->is_cancelled || !stream_is_gone(l->stream))
        return;
    l->is_cancelled = true;
    sched_cancel(l->api->sched, job->id);
}

static void tell_worker(struct listener *l, int pid)
{
    CLEANUP_FREE char *text = pid == l->told_pid ? NULL : event_worker(pid);

    /* Told again before the next part, if there was no room for it. */
    if (text != NULL && stream_post(l->stream, "worker", 0, text, strlen(text)))
        l->told_pid = pid;
}

static void tell_part(struct job *job, int pid, const void *data, size_t bytes)
{
    struct listener *l = job->owner;

    tell_worker(l, pid);
    (void)stream_post(l->stream, "part", 0, data, bytes);
    stop_if_gone(l, job);
}

static void tell_retry(struct job *job, const struct job_retry *retry)
{
    CLEANUP_FREE char *text = event_retry(retry);

    post_text(job->owner, "retry", text);
    stop_if_gone(job->owner, job);
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

static void end_with_result(struct listener *l, const struct job *job)
{
    struct event_result result = {.job = job->id.text,
                                  .receipt = &job->receipt,
                                  .media_type = job->media_type,
                                  .data = job->result->data,
                                  .bytes = job->result->bytes};
    struct buf b;

    event_result(&b, &result);
    stream_end(l->stream, "result", 0, b.data, buf_failed(&b) < 0 ? 0 : b.size);
    buf_release(&b);
}

static void end_with_problem(struct listener *l, const struct job *job)
{
    struct ending ending = ending_of_job(job);
    CLEANUP_FREE char *text = event_error(&ending, &job->receipt);

    stream_end(l->stream, "error", 0, text == NULL ? "{}" : text, text == NULL ? 2 : strlen(text));
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
    l->told_pid = -1;
    job->owner = l;
    job->part = tell_part;
    job->progress = tell_progress;
    job->retried = tell_retry;
    job->done = end;
    respond_header(r, "Prong-Job", job->id.text);
    if (sched_submit(l->api->sched, job) < 0)
        end(job);
}
