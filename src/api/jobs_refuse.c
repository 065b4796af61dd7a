#include <errno.h>

#include "api/jobs.h"

struct refusal {
    int rc;
    enum problem_name name;
    unsigned retry_after_s; /* 0: it would be no use */
    const char *detail;
};

static const struct refusal refusals[] = {
    {-ENOENT, PROBLEM_NO_SUCH_JOB, 0,
     "There is no job of this id, or it is forgotten. GET /jobs lists what there is."},
    {-EEXIST, PROBLEM_KEY_REUSED, 0,
     "This Idempotency-Key was used for another request: take a new key, or send the same again."},
    {-EBUSY, PROBLEM_QUEUE_FULL, 1,
     "As many jobs wait as --jobs-queue allows; nothing was accepted. Send it again after "
     "Retry-After seconds."},
    {-EAGAIN, PROBLEM_QUEUE_FULL, 1,
     "More comes in than the store can write; nothing was accepted. Send it again after "
     "Retry-After seconds."},
    {-EFBIG, PROBLEM_NO_ROOM, 0,
     "The parameters and inputs of all jobs that wait are as large as --jobs-bytes allows; nothing "
     "was accepted. Send it again when some are done, or send less."},
    {-EDQUOT, PROBLEM_TOO_MANY_REQUESTS, 1,
     "Half of all that may wait (--jobs-queue) is yours already, and others wait. Send it again "
     "after Retry-After seconds."},
    {-ENODATA, PROBLEM_GONE, 0, "What the job needs to run is not kept any more: submit it anew."},
    {-ENOSPC, PROBLEM_NO_ROOM, 0,
     "There is no room left on the disk of --data, so nothing was accepted. Make some."},
    {-EROFS, PROBLEM_STORE_FAILED, 0,
     "The store cannot be written, so nothing was accepted: make the disk of --data writable."},
    {-ESHUTDOWN, PROBLEM_STORE_FAILED, 0,
     "The disk has failed to keep what was written, so nothing is accepted until the server is "
     "restarted. Its log says more."},
    {-ECANCELED, PROBLEM_DRAINING, 1, "The server is shutting down. Send it again in a second."},
    {-ENOMEM, PROBLEM_NO_ROOM, 1, "There is no memory for this. Send it again later."},
    /* and for all others */
    {-EIO, PROBLEM_STORE_FAILED, 1,
     "The store could not write, so nothing was accepted. The server's log says more."},
};

static const struct refusal *find(int rc)
{
    size_t i = 0;

    while (i < ARRAY_SIZE(refusals) - 1 && refusals[i].rc != rc)
        i++;
    return &refusals[i];
}

void jobs_refuse(struct request *r, int rc)
{
    const struct refusal *why = find(rc);
    json_t *extra =
        why->retry_after_s == 0 ? NULL : json_pack("{s:i}", "retry_after", (int)why->retry_after_s);

    respond_problem(r, why->name, extra, "%s", why->detail);
    if (why->retry_after_s > 0)
        respond_header_printf(r, "Retry-After", "%u", why->retry_after_s);
}
