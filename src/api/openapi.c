#include <inttypes.h>

#include "api/api.h"
#include "api/docs/docs.h"
#include "api/gzip.h"
#include "base/hash.h"
#include "http/static_conditional.h"
#include "http/static_encoding.h"

/* The document, until other kernels are put in force. */
struct openapi {
    struct lock lock;
    struct blob *forms[STATIC_ENCODING_COUNT]; /* as text, and gzipped; NULL: not made */
    uint64_t tag;                              /* of the text */
    uint64_t edition;                          /* of the catalog that it was made of */
};

/* One form of it, for one answer. */
struct form {
    struct blob *bytes; /* held; NULL when there was no memory */
    enum static_encoding encoding;
    struct static_validators validators;
};

/* Equal text has the same tag in every run of the server, since clients keep it. */
static const struct hash_key tag_key = {0x6f70656e61706920, 0x646f63756d656e74};

static void drop_forms(struct blob *forms[STATIC_ENCODING_COUNT])
{
    for (int i = 0; i < STATIC_ENCODING_COUNT; i++)
        forms[i] = blob_drop(forms[i]);
}

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
    drop_forms(o->forms);
    lock_release(&o->lock);
    free(o);
    return NULL;
}

/* Held by the caller; NULL when out of memory. */
static struct blob *make_text(struct api *api)
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

/* Made without the lock, perhaps by several at the same time. False when out of memory. */
static bool make(struct openapi *o, struct api *api, uint64_t edition)
{
    struct blob *forms[STATIC_ENCODING_COUNT] = {[STATIC_IDENTITY] = make_text(api)}, *before;
    struct blob *text = forms[STATIC_IDENTITY];

    if (text == NULL)
        return false;
    forms[STATIC_GZIP] = gzip_bytes(text->data, text->bytes);
    lock_take(&o->lock);
    o->edition = edition;
    o->tag = hash_bytes(tag_key, text->data, text->bytes);
    for (int i = 0; i < STATIC_ENCODING_COUNT; i++) {
        before = o->forms[i];
        o->forms[i] = forms[i];
        forms[i] = before;
    }
    lock_drop(&o->lock);
    drop_forms(forms);
    return true;
}

/* False when nothing is made yet of what is in force. */
static bool find(struct openapi *o, uint64_t edition, const char *accept_encoding, struct form *ret)
{
    unsigned present = 0;
    LOCKED(&o->lock);

    if (o->forms[STATIC_IDENTITY] == NULL || o->edition != edition)
        return false;
    for (int i = 0; i < STATIC_ENCODING_COUNT; i++)
        present |= o->forms[i] == NULL ? 0 : 1u << i;
    ret->encoding = static_encoding_choose(accept_encoding, present);
    ret->bytes = blob_hold(o->forms[ret->encoding]);
    (void)snprintf(ret->validators.etag, sizeof(ret->validators.etag), "\"%016" PRIx64 "%s\"",
                   o->tag, static_encoding_endings[ret->encoding]);
    return true;
}

/* Its kernels may be others before it has been found: then it is made again, and that is as good as any. */
static void choose(struct request *r, struct form *ret)
{
    struct api *api = api_of(r);
    const char *accept = request_header(r, HEADER_ACCEPT_ENCODING);
    uint64_t edition;

    do {
        edition = catalog_edition(sched_catalog(api->sched));
    } while (!find(api->openapi, edition, accept, ret) && make(api->openapi, api, edition));
}

static enum static_verdict judge(struct request *r, const struct form *form)
{
    return static_judge(
        &(struct static_conditions) {.if_match = request_header(r, HEADER_IF_MATCH),
                                     .if_none_match = request_header(r, HEADER_IF_NONE_MATCH)},
        &form->validators);
}

static void respond_form(struct request *r, const struct form *form)
{
    respond_blob(r, 200, "application/json", blob_hold(form->bytes));
    if (static_encoding_names[form->encoding] != NULL)
        respond_header(r, "Content-Encoding", static_encoding_names[form->encoding]);
}

void api_openapi(struct request *r)
{
    struct form form = {.bytes = NULL};
    enum static_verdict verdict;

    choose(r, &form);
    if (form.bytes == NULL) {
        respond_problem(r, PROBLEM_NO_ROOM, NULL, "There is no memory for this. Ask again later.");
        return;
    }
    verdict = judge(r, &form);
    if (verdict == STATIC_FAILED)
        respond_problem(r, PROBLEM_PRECONDITION_FAILED, NULL,
                        "The description is another one than If-Match asks for. GET it without.");
    else if (verdict == STATIC_NOT_MODIFIED)
        respond_empty(r, 304);
    else
        respond_form(r, &form);
    (void)blob_drop(form.bytes);
    respond_header(r, "ETag", form.validators.etag);
    respond_header(r, "Vary", "Accept-Encoding");
    respond_header(r, "Cache-Control", "no-cache");
}
