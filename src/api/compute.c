#include "api/compute.h"

#include <errno.h>
#include <malloc.h>

#include "api/cached.h"
#include "api/ending.h"
#include "api/jobs.h"
#include "api/receipt.h"
#include "ipc/proto.h"

enum { SMALL_BODY_MAX = PROTO_INLINE_MAX / 2, TRIM_BODY_MIN = 1 << 20 };

static void release(struct request *r)
{
    struct compute *c = r->context;

    buf_release(&c->body);
    (void)slab_drop(c->slab);
    if (c->job != NULL)
        c->job->slab = slab_drop(c->job->slab);
    (void)job_free(c->job);
    (void)kernel_drop(c->kernel);
    free(c->durable.params);
    free(c->durable.submission);
    free(c);
    /* A large JSON text is many small values, which the allocator would keep for ever. */
    if (r->body_bytes > TRIM_BODY_MIN)
        (void)malloc_trim(0);
}

static void too_large(struct request *r, size_t limit, const char *option)
{
    respond_problem(r, PROBLEM_BODY_TOO_LARGE,
                    json_pack("{s:I, s:s}", "limit", (json_int_t)limit, "option", option),
                    "Send a body of at most %zu bytes; the server's limit is %s.", limit, option);
}

struct compute *compute_new(struct request *r)
{
    struct compute *c = calloc(1, sizeof(*c));

    if (c == NULL) {
        respond_problem(r, PROBLEM_NO_ROOM, NULL, "There is no memory for this. Send it later.");
        return NULL;
    }
    buf_init(&c->body, api_of(r)->config.json_bytes_max);
    r->context = c;
    r->release = release;
    return c;
}

static int take_json(void *arg, const void *data, size_t bytes)
{
    struct request *r = arg;
    struct compute *c = r->context;
    size_t limit = api_of(r)->config.json_bytes_max;

    if (bytes > limit || c->body.size > limit - bytes) {
        too_large(r, limit, "--json-max");
        return -EFBIG;
    }
    return buf_add(&c->body, data, bytes);
}

bool compute_expect_json(struct request *r, struct compute *c)
{
    uint64_t announced = request_content_length(r);
    size_t limit = api_of(r)->config.json_bytes_max;

    c->body_kind = COMPUTE_JSON;
    r->sink = (struct request_sink) {.write = take_json, .arg = r};
    if (announced != UINT64_MAX && announced > limit)
        too_large(r, limit, "--json-max");
    return !request_is_answered(r);
}

/* The whole of a body that has turned out to be large moves to shared memory, of the size announced. */
static int move_to_slab(struct request *r, struct compute *c, size_t needed)
{
    struct api *api = api_of(r);
    uint64_t announced = request_content_length(r);
    size_t wanted = announced == UINT64_MAX ? MAX(needed, c->slab_used * 2) : (size_t)announced;
    struct slab *slab = slab_get(sched_slabs(api->sched), MIN(wanted, api->config.raw_bytes_max));

    if (slab == NULL)
        return -ENOMEM;
    if (c->slab != NULL)
        memcpy(slab->data, c->slab->data, c->slab_used);
    else if (c->body.size > 0)
        memcpy(slab->data, c->body.data, c->body.size);
    if (c->slab == NULL)
        c->slab_used = c->body.size;
    (void)slab_drop(c->slab);
    c->slab = slab;
    buf_release(&c->body);
    return 0;
}

static int take_raw(void *arg, const void *data, size_t bytes)
{
    struct request *r = arg;
    struct compute *c = r->context;
    size_t used = c->slab != NULL ? c->slab_used : c->body.size;
    size_t limit = api_of(r)->config.raw_bytes_max;
    int rc;

    if (bytes > limit || used > limit - bytes) {
        too_large(r, limit, "--raw-max");
        return -EFBIG;
    }
    if (c->slab == NULL && used + bytes <= SMALL_BODY_MAX)
        return buf_add(&c->body, data, bytes);
    if (c->slab == NULL || used + bytes > c->slab->bytes) {
        rc = move_to_slab(r, c, used + bytes);
        if (rc < 0)
            return rc;
    }
    memcpy((char *)c->slab->data + used, data, bytes);
    c->slab_used = used + bytes;
    return 0;
}

static bool takes_values(const struct description *about)
{
    for (uint32_t i = 0; i < about->param_count; i++) {
        if (about->params[i].type == PRONG_VALUES)
            return true;
    }
    return false;
}

static bool is_raw_type(const char *media_type)
{
    return strcmp(media_type, "application/octet-stream") == 0 ||
           strncmp(media_type, "text/", 5) == 0 || strncmp(media_type, "image/", 6) == 0;
}

/* Sets where the body goes. False after having answered. */
static bool choose_body(struct request *r, struct compute *c)
{
    const struct description *about = c->kernel->about;
    uint64_t announced = request_content_length(r);
    size_t limit = api_of(r)->config.raw_bytes_max;
    char media_type[64];

    request_media_type(r, media_type, sizeof(media_type));
    if (r->method != HTTP_POST || (!request_has_body(r) && *media_type == '\0')) {
        c->body_kind = COMPUTE_NO_BODY;
        return true;
    }
    if (strcmp(media_type, "application/json") == 0)
        return compute_expect_json(r, c);
    if (!is_raw_type(media_type) || !(about->takes_raw || takes_values(about))) {
        respond_problem(r, PROBLEM_UNSUPPORTED_MEDIA_TYPE, NULL,
                        "Send parameters as application/json (curl --json)%s.",
                        about->takes_raw || takes_values(about)
                            ? ", or the input itself as application/octet-stream or text/plain"
                            : "");
        return false;
    }
    c->body_kind = COMPUTE_RAW;
    r->sink = (struct request_sink) {.write = take_raw, .arg = r};
    if (announced != UINT64_MAX && announced > limit)
        too_large(r, limit, "--raw-max");
    return !request_is_answered(r);
}

static bool accepts(struct request *r, const struct compute *c)
{
    const char *media_type = c->kernel->about->media_type;

    if (c->wants_events || c->durable.prefer.respond_async || request_accepts(r, media_type) ||
        (c->body_kind == COMPUTE_RAW && request_accepts(r, "application/octet-stream")))
        return true;
    respond_problem(r, PROBLEM_NOT_ACCEPTABLE, NULL,
                    "Kernel %s answers %s or text/event-stream: accept one of these.",
                    c->kernel->about->name, media_type);
    return false;
}

/* Held; NULL after having answered. */
static const struct kernel *find_kernel(struct request *r)
{
    const struct kernel *k = catalog_find(sched_catalog(api_of(r)->sched), r->parts[0]);

    if (k == NULL) {
        respond_problem(r, PROBLEM_NO_SUCH_KERNEL, NULL,
                        "There is no kernel of this name. GET /compute lists them.");
        return NULL;
    }
    if (r->method != HTTP_POST && (k->about->flags & PRONG_PURE) == 0) {
        respond_problem(r, PROBLEM_METHOD_NOT_ALLOWED, NULL,
                        "Kernel %s is not pure, so GET may not run it: use POST.", k->about->name);
        respond_header(r, "Allow", "POST, OPTIONS");
        return kernel_drop(k);
    }
    return k;
}

void api_compute_begin(struct request *r)
{
    const struct kernel *kernel = find_kernel(r);
    const char *accept = request_header(r, HEADER_ACCEPT);
    struct compute *c;

    if (kernel == NULL)
        return;
    c = compute_new(r);
    if (c == NULL) {
        (void)kernel_drop(kernel);
        return;
    }
    c->kernel = kernel;
    c->wants_events = accept != NULL && strstr(accept, "text/event-stream") != NULL;
    if (jobs_ask_durable(r, c) && choose_body(r, c))
        (void)accepts(r, c);
}

void compute_answer(struct request *r, struct job *job)
{
    struct ending ending;

    if (job->outcome == JOB_OK) {
        respond_blob(r, 200, job->media_type, take_ptr(job->result));
        if (job->missing != NULL)
            respond_header(r, "Prong-Missing", job->missing);
    } else {
        ending = ending_of_job(job);
        ending_respond(r, &ending);
    }
    receipt_add(r, job->id.text, &job->receipt);
    cached_tell(r, job);
}

static void wake(struct job *job)
{
    struct request *r = job->owner;

    cached_keep(api_of(r)->cache, job);
    request_unpark(r);
}

static void answer(struct request *r)
{
    struct compute *c = r->context;

    compute_answer(r, c->job);
}

void api_compute(struct request *r)
{
    struct compute *c = r->context;

    if (!compute_ask(r, c))
        return;
    if (c->durable.is_wanted) {
        jobs_submit(r, c);
        return;
    }
    if (c->wants_events) {
        compute_events(r, c);
        return;
    }
    if (cached_answer(r, c))
        return;
    c->job->owner = r;
    c->job->done = wake;
    c->job->socket = request_socket(r);
    /* Parked before it is submitted: the answer may come before this returns. */
    if (!request_park(r, answer)) {
        c->job->outcome = JOB_REFUSED;
        c->job->refusal = JOB_REFUSAL_DRAINING;
        compute_answer(r, c->job);
        return;
    }
    if (sched_submit(api_of(r)->sched, c->job) < 0)
        request_unpark(r);
}
