/*
 * F5. The HTTP contract: from requests to the scheduler and the shared state, and back. routes.c is the whole of
 * it on one screen; each other file is one part of the contract.
 *
 * May use everything below. Handlers run on pool threads and never wait: what takes time is parked.
 */
#ifndef API_API_H
#define API_API_H

#include "cache/cache.h"
#include "base/machine.h"
#include "durable/durable.h"
#include "fetch/fetch.h"
#include "http/response.h"
#include "http/server.h"
#include "lab/lab.h"
#include "live/live.h"
#include "sched/sched.h"
#include "state/kv.h"

struct api_config {
    uint64_t timeout_ns;     /* of a request for compute; Prong-Timeout may only shorten it */
    size_t json_bytes_max;   /* of a JSON body */
    size_t raw_bytes_max;    /* of a raw body */
    uint64_t job_timeout_ns; /* of one attempt of a durable job, which may only shorten it */
    unsigned job_attempts;   /* of an idempotent kernel, unless the job says otherwise */
    const char *sandbox, *sandbox_user;       /* the options, to be shown */
    uint64_t lab_timeout_ns;                  /* of a whole lab */
    const char *http_version, *store_version; /* of the libraries */
    bool wants_token;                         /* of whoever asks */
};

struct api {
    struct api_config config;
    struct sched *sched;
    struct cache *cache; /* NULL: nothing is kept, and nothing merged */
    struct kv *kv;
    struct store *store;
    struct durable *durable;
    struct lab *lab;
    struct fetch *fetch;
    struct live *live;
    struct machine_facts machine; /* as it was at the start */
    uint64_t started_ns;          /* monotonic */
    struct openapi *openapi;
};

/* The route table. */
struct router api_router(void);

static inline struct api *api_of(const struct request *r)
{
    return r->app;
}

/* One handler per endpoint; `begin`s are named so. */
void api_catalog(struct request *r);
void api_kernels_reload(struct request *r);
void api_compute_begin(struct request *r);
void api_compute(struct request *r);
void api_jobs_begin(struct request *r);
void api_jobs_post(struct request *r);
void api_jobs_list(struct request *r);
void api_jobs_get(struct request *r);
void api_jobs_result(struct request *r);
void api_jobs_events(struct request *r);
void api_jobs_delete(struct request *r);
void api_jobs_retry(struct request *r);
void api_fetch_begin(struct request *r);
void api_fetch(struct request *r);
void api_state_list(struct request *r);
void api_state_get(struct request *r);
void api_state_put(struct request *r);
void api_state_add(struct request *r);
void api_state_delete(struct request *r);
void api_lab(struct request *r);
void api_livez(struct request *r);
void api_readyz(struct request *r);
void api_events(struct request *r);
void api_history(struct request *r);
void api_status(struct request *r);
void api_metrics(struct request *r);
void api_openapi(struct request *r);
void api_worker_delete(struct request *r);

/* What keeps /openapi.json ready, between the starts of the server and its end. openapi_free(NULL) is fine, and returns
 * NULL. */
struct openapi *openapi_new(void);
struct openapi *openapi_free(struct openapi *openapi);

/* The body as JSON; NULL after having answered 400 or 415. An absent body is `absent` (may be NULL: 400). */
json_t *api_json_body(struct request *r, const char *absent);

#endif
