#include "api/jobs_json.h"

#include <math.h>
#include <signal.h>
#include <sys/wait.h>

#include "api/ending.h"
#include "api/receipt.h"
#include "base/buf.h"
#include "base/escape.h"
#include "jobs/json.h"
#include "sched/queue.h"

enum { FRAME_BYTES_MAX = 64 }; /* around the parameters */

static const double us_per_s = 1e6;

/* With no more digits than mean something: the longest number decides how all are written. */
static json_t *rounded(double value, double parts)
{
    return json_real(round(value * parts) / parts);
}

/* To 10 µs: 15 digits until the year 2286, and so many survive in any number. */
static json_t *seconds(uint64_t us)
{
    return json_real((double)(us / 10) / (us_per_s / 10));
}

static json_t *seconds_or_null(uint64_t us)
{
    return us == 0 ? json_null() : seconds(us);
}

/* A kernel's sentence, which may be no UTF-8. */
static json_t *text_or_null(const char *text)
{
    char escaped[RECORD_TEXT_BYTES * 6 + 2];
    json_t *json = *text == '\0' ? json_null() : json_string(text);
    size_t n;

    if (json != NULL)
        return json;
    n = escape_json(text, escaped + 1, sizeof(escaped) - 2);
    escaped[0] = escaped[n + 1] = '"';
    return json_loadb(escaped, n + 2, JSON_DECODE_ANY, NULL);
}

static json_t *progress(const struct jobs_view *v)
{
    if (v->record->state != RECORD_RUNNING || v->total == 0)
        return json_null();
    return json_pack("{s:I, s:I, s:o}", "done", (json_int_t)v->done, "total", (json_int_t)v->total,
                     "fraction", rounded((double)v->done / (double)v->total, 1e6));
}

/* Of a running job by how far it is, of a queued one by how many go first and how many end in a second. */
static json_t *eta(const struct jobs_view *v)
{
    const struct record *record = v->record;
    double ran_us;

    if (record->state == RECORD_RUNNING && v->done > 0 && v->done <= v->total &&
        v->now_us > record->started_us) {
        ran_us = (double)(v->now_us - record->started_us);
        return rounded(ran_us * (double)(v->total - v->done) / (double)v->done / us_per_s, 1e3);
    }
    if (record->state == RECORD_QUEUED && v->has_position && v->per_s > 0)
        return rounded((double)(v->position + 1) / v->per_s, 1e3);
    return json_null();
}

static json_t *position(const struct jobs_view *v)
{
    return v->record->state == RECORD_QUEUED && v->has_position
               ? json_integer((json_int_t)v->position)
               : json_null();
}

static json_t *error(const struct record *record)
{
    struct ending ending;

    if (record->state != RECORD_FAILED && record->state != RECORD_DEAD)
        return json_null();
    ending = ending_of_record(record);
    return ending_json(&ending);
}

static json_t *receipt(const struct record *record)
{
    const struct job_receipt *rc = &record->receipt;
    bool is_none = rc->run_ns == 0 && rc->wait_ns == 0 && rc->workers == 0;

    return is_none || !record_has_ended(record->state) ? json_null() : receipt_json(rc);
}

static json_t *result(const struct record *record)
{
    if (record->state != RECORD_SUCCEEDED)
        return json_null();
    return json_pack("{s:s, s:I, s:b}", "media_type", record->media_type, "bytes",
                     (json_int_t)record->result_bytes, "expired",
                     record->result != RECORD_RESULT_KEPT);
}

static json_t *links(const char *id)
{
    char self[64], result_of[64], events[64];

    (void)snprintf(self, sizeof(self), "/jobs/%s", id);
    (void)snprintf(result_of, sizeof(result_of), "/jobs/%s/result", id);
    (void)snprintf(events, sizeof(events), "/jobs/%s/events", id);
    return json_pack("{s:s, s:s, s:s}", "self", self, "result", result_of, "events", events);
}

json_t *jobs_json(const struct jobs_view *v)
{
    const struct record *r = v->record;

    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
                     "s:o, s:o, s:o}",
                     "id", r->id.text, "kernel", r->kernel, "state", record_state_names[r->state],
                     "priority", queue_class_names[r->priority], "progress", progress(v),
                     "attempts", (json_int_t)r->attempts, "max_attempts",
                     (json_int_t)r->attempts_max, "position", position(v), "eta", eta(v), "created",
                     seconds(r->created_us), "started", seconds_or_null(r->started_us), "finished",
                     seconds_or_null(r->finished_us), "timeout", seconds(r->timeout_us), "deadline",
                     seconds_or_null(r->deadline_us), "error", error(r), "receipt", receipt(r),
                     "result", result(r), "links", links(r->id.text));
}

static json_t *attempt(const struct record_attempt *a)
{
    bool has_died = a->end.outcome == JOB_DIED;
    bool by_signal = has_died && WIFSIGNALED(a->end.wait_status);
    int signal = WTERMSIG(a->end.wait_status);
    const char *name = by_signal ? sigabbrev_np(signal) : NULL;

    return json_pack("{s:I, s:o, s:o, s:s, s:o, s:o, s:o, s:b, s:o}", "attempt",
                     (json_int_t)a->number, "started", seconds_or_null(a->started_us), "finished",
                     seconds_or_null(a->finished_us), "outcome", job_outcome_names[a->end.outcome],
                     "signal", by_signal ? json_integer(signal) : json_null(), "signal_name",
                     name != NULL ? json_string(name) : json_null(), "exit_code",
                     has_died && !by_signal ? json_integer(WEXITSTATUS(a->end.wait_status))
                                            : json_null(),
                     "oom", a->end.was_oom, "detail", text_or_null(a->end.text));
}

json_t *jobs_history_json(const struct record_attempt *attempts, int count)
{
    json_t *history = json_array();

    for (int i = 0; i < count; i++)
        (void)json_array_append_new(history, attempt(&attempts[i]));
    return history;
}

char *jobs_write(json_t *json, const char *params, size_t *ret_bytes)
{
    CLEANUP_FREE char *text = json == NULL ? NULL : json_write(json, NULL);
    const char *state;
    struct buf b;

    json_decref(json);
    if (text == NULL)
        return NULL;
    if (params == NULL)
        params = "null";
    /* No quotation mark can stand in what comes before it: an id and a kernel's name. */
    state = strstr(text, "\"state\":");
    CHECK(state != NULL);
    buf_init(&b, strlen(params) + strlen(text) + FRAME_BYTES_MAX);
    (void)buf_add(&b, text, (size_t)(state - text));
    (void)buf_add_text(&b, "\"params\":");
    (void)buf_add_text(&b, params);
    (void)buf_add_text(&b, ",");
    (void)buf_add_text(&b, state);
    *ret_bytes = b.size;
    return buf_take(&b);
}
