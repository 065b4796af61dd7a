#include <errno.h>

#include "api/ending.h"
#include "api/jobs.h"
#include "api/receipt.h"

static void respond_not_done(struct request *r, const struct record *record)
{
    const char *id = record->id.text;
    char self[64], events[64];

    (void)snprintf(self, sizeof(self), "/jobs/%s", id);
    (void)snprintf(events, sizeof(events), "/jobs/%s/events", id);
    respond_problem(r, PROBLEM_NOT_DONE,
                    json_pack("{s:s, s:s, s:{s:s, s:s}}", "job", id, "state",
                              record_state_names[record->state], "links", "self", self, "events",
                              events),
                    "The job is %s. Wait for its end with GET /jobs/%s?wait=%d, then come again.",
                    record_state_names[record->state], id, JOBS_WAIT_MAX_S);
}

static void respond_gone(struct request *r, const struct record *record)
{
    respond_problem(r, PROBLEM_GONE, json_pack("{s:s}", "job", record->id.text),
                    "The result is not kept any more; --results-keep and --results-max say how "
                    "long. Submit the job anew.");
}

static bool is_acceptable(struct request *r, const struct record *record)
{
    if (request_accepts(r, record->media_type))
        return true;
    respond_problem(r, PROBLEM_NOT_ACCEPTABLE, NULL, "The result is %s: accept that.",
                    record->media_type);
    return false;
}

static void respond_kept(struct request *r, const struct record *record)
{
    struct store_result result = {.fd = -1};
    int rc = store_result(api_of(r)->store, record->seq, &result);

    if (rc == -ENODATA)
        respond_gone(r, record);
    else if (rc < 0)
        jobs_refuse(r, rc);
    else if (result.data != NULL || result.fd < 0)
        respond_bytes(r, 200, record->media_type, result.data, result.bytes);
    else
        respond_fd(r, 200, record->media_type, result.fd, result.bytes);
    if (rc == 0)
        receipt_add(r, record->id.text, &record->receipt);
}

void jobs_respond_result(struct request *r, const struct record *record)
{
    struct ending ending;

    if (record->state == RECORD_SUCCEEDED) {
        if (record->result != RECORD_RESULT_KEPT)
            respond_gone(r, record);
        else if (is_acceptable(r, record))
            respond_kept(r, record);
        return;
    }
    ending = ending_of_record(record);
    ending_respond(r, &ending);
    receipt_add(r, record->id.text, &record->receipt);
}

void api_jobs_result(struct request *r)
{
    struct record record;

    if (!jobs_find(r, &record))
        return;
    if (record_has_ended(record.state))
        jobs_respond_result(r, &record);
    else
        respond_not_done(r, &record);
}
