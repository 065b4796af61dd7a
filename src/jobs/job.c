#include "jobs/job.h"

const char *const job_outcome_names[JOB_OUTCOME_COUNT] = {
    [JOB_PENDING] = "pending",  [JOB_OK] = "ok",
    [JOB_FAILED] = "error",     [JOB_DIED] = "crash",
    [JOB_DEADLINE] = "timeout", [JOB_CANCELLED] = "cancelled",
    [JOB_REFUSED] = "rejected",
};

struct job *job_new(const struct kernel *kernel, struct id id)
{
    struct job *job = malloc(sizeof(*job));

    if (job == NULL)
        return NULL;
    memset(job, 0, offsetof(struct job, media_type));
    job->media_type[0] = '\0';
    job->text = "";
    job->id = id;
    job->kernel = kernel_hold(kernel);
    job->socket = -1;
    return job;
}

void job_take_params(struct job *job, struct params *params)
{
    job->params_bytes = params->encoded.size;
    job->params = buf_take(&params->encoded);
    if (params->has_values) {
        job->input_kind = PRONG_INPUT_VALUES;
        job->input_bytes = params->value_count * sizeof(double);
        job->input = job->input_owned = take_ptr(params->values);
    }
}

const struct key *job_key(const struct job *job)
{
    return job->shared == NULL ? job->key : job->shared->key;
}

static void let_go(struct job_shared *shared)
{
    if (shared == NULL || atomic_fetch_sub(&shared->holds, 1) > 1)
        return;
    free(shared->params);
    free(shared->input_owned);
    free(shared->key);
    free(shared->text);
    free(shared->missing);
    free(shared);
}

struct job *job_free(struct job *job)
{
    if (job == NULL)
        return NULL;
    CHECK(job->slab == NULL);
    free(job->params);
    free(job->input_owned);
    (void)blob_drop(job->result);
    free(job->key);
    let_go(job->shared);
    job->kernel = kernel_drop(job->kernel);
    free(job);
    return NULL;
}
