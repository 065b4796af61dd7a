#include <inttypes.h>

#include "api/api.h"
#include "api/docs/docs.h"
#include "base/hash.h"
#include "http/static_conditional.h"

/* The document as text, until other kernels are put in force. */
struct openapi {
    struct lock lock;
    struct blob *text; /* NULL: not made yet */
    uint64_t edition;  /* of the catalog that it was made of */
};

/* Equal text has the same tag in every run of the server, since clients keep it. */
static const struct hash_key tag_key = {0x6f70656e61706920, 0x646f63756d656e74};

struct openapi *openapi_new(void)
{
    struct openapi *o = calloc(1, sizeof(*o));

    if (o != NULL)
        lock_init(&o->lock, LOCK_LIMITS);
    return o;
}

struct openapi *openapi_free(struct openapi *o)
{
    if (o == NULL)
        return NULL;
    (void)blob_drop(o->text);
    lock_release(&o->lock);
    free(o);
    return NULL;
}

/* Held; NULL when out of memory. */
static struct blob *make(struct api *api)
{
    const struct kernel *served[PROTO_KERNELS_MAX];
    struct router router = api_router();
    struct docs docs = {.router = &router,
                        .kernels = served,
                        .kernel_count = catalog_list(sched_catalog(api->sched), served),
                        .wants_token = api->config.wants_token};
    json_t *json = docs_document(&docs);
    char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(15));

    json_decref(json);
    for (unsigned i = 0; i < docs.kernel_count; i++)
        (void)kernel_drop(served[i]);
    return text == NULL ? NULL : blob_new(text, strlen(text));
}

static struct blob *find(struct openapi *o, uint64_t edition)
{
    LOCKED(&o->lock);
    return o->text != NULL && o->edition == edition ? blob_hold(o->text) : NULL;
}

static void keep(struct openapi *o, struct blob *text, uint64_t edition)
{
    struct blob *before;

    lock_take(&o->lock);
    before = o->text;
    o->text = blob_hold(text);
    o->edition = edition;
    lock_drop(&o->lock);
    (void)blob_drop(before);
}

/* Held for the caller; NULL when out of memory. It is made without the lock, perhaps by several at the same time. */
static struct blob *document(struct api *api)
{
    uint64_t edition = catalog_edition(sched_catalog(api->sched));
    struct blob *text = find(api->openapi, edition);

    if (text != NULL)
        return text;
    text = make(api);
    if (text != NULL)
        keep(api->openapi, text, edition);
    return text;
}

static enum static_verdict judge(struct request *r, const struct blob *text,
                                 struct static_validators *v)
{
    struct static_conditions asked = {.if_match = request_header(r, HEADER_IF_MATCH),
                                      .if_none_match = request_header(r, HEADER_IF_NONE_MATCH)};

    (void)snprintf(v->etag, sizeof(v->etag), "\"%016" PRIx64 "\"",
                   hash_bytes(tag_key, text->data, text->bytes));
    return static_judge(&asked, v);
}

void api_openapi(struct request *r)
{
    struct static_validators v = {.modified = 0};
    struct blob *text = document(api_of(r));
    enum static_verdict verdict;

    if (text == NULL) {
        respond_problem(r, PROBLEM_NO_ROOM, NULL, "There is no memory for this. Ask again later.");
        return;
    }
    verdict = judge(r, text, &v);
    if (verdict == STATIC_FAILED)
        respond_problem(r, PROBLEM_PRECONDITION_FAILED, NULL,
                        "The description is another one than If-Match asks for. GET it without.");
    else if (verdict == STATIC_NOT_MODIFIED)
        respond_empty(r, 304);
    else
        respond_blob(r, 200, "application/json", blob_hold(text));
    (void)blob_drop(text);
    respond_header(r, "ETag", v.etag);
    respond_header(r, "Cache-Control", "no-cache");
}
