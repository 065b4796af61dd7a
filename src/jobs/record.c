#include "jobs/record.h"

const char *const record_state_names[RECORD_STATE_COUNT] = {
    [RECORD_QUEUED] = "queued", [RECORD_RUNNING] = "running", [RECORD_SUCCEEDED] = "succeeded",
    [RECORD_FAILED] = "failed", [RECORD_DEAD] = "dead",       [RECORD_CANCELLED] = "cancelled",
};

void payload_release(struct payload *p)
{
    free(p->params);
    free(p->input);
    *p = (struct payload) {.params = NULL};
}
