#include "http/response.h"

#include <microhttpd.h>
#include <stdarg.h>

#include "base/check.h"
#include "base/log.h"
#include "http/access.h"
#include "http/connection.h"
#include "http/kept.h"
#include "http/seat.h"
#include "http/serve.h"

enum { HEADER_BYTES_MAX = 1024 };

static const struct problem problems[PROBLEM_COUNT] = {
#define PROBLEM(name, status, fragment, title, advice)                                             \
    [PROBLEM_##name] = {status, fragment, title, advice},
#include "http/problems.def"
#undef PROBLEM
};

const struct problem *problem_about(enum problem_name name)
{
    CHECK(name < PROBLEM_COUNT);
    return &problems[name];
}

/* libmicrohttpd before 1.0 asks for writable bytes, and only reads them. */
static void *readable(const void *data)
{
    union {
        const void *in;
        void *out;
    } u = {.in = data};

    return u.out;
}

/* Takes the response, which is NULL when there was no memory: the server then sends its spare 500. */
static void answer(struct request *r, unsigned status, struct MHD_Response *response,
                   const char *media_type)
{
    CHECK(!request_is_answered(r));
    r->status = status;
    r->response = response;
    if (media_type != NULL)
        respond_header(r, "Content-Type", media_type);
}

bool request_is_answered(const struct request *r)
{
    return r->response != NULL || r->file != NULL || r->kept != NULL || r->queued;
}

void respond_bytes(struct request *r, unsigned status, const char *media_type, void *take_data,
                   size_t bytes)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(bytes, take_data, MHD_RESPMEM_MUST_FREE);

    if (response == NULL)
        free(take_data);
    r->answer_bytes = bytes;
    answer(r, status, response, media_type);
}

void respond_json(struct request *r, unsigned status, json_t *json)
{
    char *text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(15));

    json_decref(json);
    if (text == NULL)
        answer(r, 500, NULL, NULL);
    else
        respond_bytes(r, status, "application/json", text, strlen(text));
}

void respond_text(struct request *r, unsigned status, const char *text)
{
    r->answer_bytes = strlen(text);
    answer(r, status,
           MHD_create_response_from_buffer(strlen(text), readable(text), MHD_RESPMEM_MUST_COPY),
           "text/plain; charset=utf-8");
}

void respond_empty(struct request *r, unsigned status)
{
    r->answer_bytes = 0;
    answer(r, status, MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT), NULL);
}

void respond_borrowed(struct request *r, unsigned status, const char *media_type, const void *data,
                      size_t bytes, void (*release)(void *arg), void *arg)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer_with_free_callback_cls(bytes, readable(data), release, arg);

    if (response == NULL)
        release(arg);
    r->answer_bytes = bytes;
    answer(r, status, response, media_type);
}

static void drop_blob(void *arg)
{
    (void)blob_drop(arg);
}

void respond_blob(struct request *r, unsigned status, const char *media_type,
                  struct blob *take_blob)
{
    respond_borrowed(r, status, media_type, take_blob->data, take_blob->bytes, drop_blob,
                     take_blob);
}

void respond_fd(struct request *r, unsigned status, const char *media_type, int take_fd,
                size_t bytes)
{
    struct MHD_Response *response = MHD_create_response_from_fd64(bytes, take_fd);

    if (response == NULL)
        (void)close(take_fd);
    r->answer_bytes = bytes;
    answer(r, status, response, media_type);
}

void respond_header(struct request *r, const char *name, const char *value)
{
    if (r->response != NULL && MHD_add_response_header(r->response, name, value) == MHD_NO)
        log_error("the header %s could not be added", name);
}

void respond_header_printf(struct request *r, const char *name, const char *format, ...)
{
    char value[HEADER_BYTES_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(value, sizeof(value), format, args);
    va_end(args);
    respond_header(r, name, value);
}

void respond_default(struct request *r, const char *name, const char *value)
{
    if (MHD_get_response_header(r->response, name) == NULL)
        respond_header(r, name, value);
}

/* A JSON string of text that may hold a client's bytes: what is no UTF-8 becomes '?'. */
static json_t *json_text(const char *text)
{
    json_t *json = json_string(text);
    char *copy;

    if (json != NULL)
        return json;
    copy = strdup(text);
    for (char *p = copy; p != NULL && *p != '\0'; p++) {
        if ((*p & 0x80) != 0)
            *p = '?';
    }
    json = copy == NULL ? NULL : json_string(copy);
    free(copy);
    return json;
}

static bool wants_plain_text(struct request *r)
{
    return request_header(r, HEADER_ACCEPT) != NULL && request_accepts(r, "text/plain") &&
           !request_accepts(r, "application/problem+json") &&
           !request_accepts(r, "application/json");
}

json_t *problem_object(enum problem_name name, json_t *extra, const char *detail)
{
    const struct problem *p = problem_about(name);
    char type[64];
    json_t *json;

    (void)snprintf(type, sizeof(type), "/docs#%s", p->fragment);
    json = json_pack("{s:s, s:s, s:i, s:o}", "type", type, "title", p->title, "status",
                     (int)p->status, "detail", json_text(detail));
    if (json != NULL && extra != NULL)
        (void)json_object_update(json, extra);
    json_decref(extra);
    return json;
}

static json_t *problem_json(const struct request *r, enum problem_name name, json_t *extra,
                            const char *detail)
{
    json_t *json = problem_object(name, extra, detail);

    if (json == NULL)
        return NULL;
    (void)json_object_set_new(json, "instance", json_text(r->target == NULL ? "" : r->target));
    (void)json_object_set_new(json, "request_id", json_string(r->id.text));
    return json;
}

void respond_problem(struct request *r, enum problem_name name, json_t *extra, const char *detail,
                     ...)
{
    const struct problem *p = problem_about(name);
    char text[HEADER_BYTES_MAX];
    va_list args;
    char *body;
    json_t *json;

    va_start(args, detail);
    (void)vsnprintf(text, sizeof(text) - 1, detail, args);
    va_end(args);
    if (r->id.text[0] == '\0')
        r->id = id_new();
    if (wants_plain_text(r)) {
        json_decref(extra);
        text[strlen(text) + 1] = '\0';
        text[strlen(text)] = '\n';
        respond_text(r, p->status, text);
        return;
    }
    json = problem_json(r, name, extra, text);
    body = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
    json_decref(json);
    if (body == NULL)
        answer(r, 500, NULL, NULL);
    else
        respond_bytes(r, p->status, "application/problem+json", body, strlen(body));
}

/* Types that a browser does not run when a page of ours is made to open them. */
static bool is_inert(const char *media_type)
{
    static const char *const inert[] = {"application/json",  "application/problem+json",
                                        "text/plain",        "application/octet-stream",
                                        "text/event-stream", "image/png"};

    for (size_t i = 0; i < ARRAY_SIZE(inert); i++) {
        size_t n = strlen(inert[i]);
        if (strncmp(media_type, inert[i], n) == 0 &&
            (media_type[n] == '\0' || media_type[n] == ';'))
            return true;
    }
    return false;
}

/* What depends on the answer, and on where the request comes from. */
static void complete_for_all(struct request *r)
{
    const char *media_type = MHD_get_response_header(r->response, "Content-Type");

    access_complete(r->server->access, r);
    /* Files bring their own. */
    if (media_type != NULL &&
        MHD_get_response_header(r->response, "X-Content-Type-Options") == NULL) {
        respond_header(r, "X-Content-Type-Options", "nosniff");
        respond_default(r, "Referrer-Policy", "no-referrer");
        if (!is_inert(media_type))
            respond_default(r, "Content-Security-Policy", "default-src 'none'; sandbox");
    }
    respond_default(r, "Cache-Control", "no-store");
}

void response_complete(struct request *r, bool closing)
{
    connection_identify(r);
    respond_header(r, "X-Request-Id", r->id.text);
    if (r->trace[0] != '\0')
        respond_header(r, "traceparent", r->trace);
    complete_for_all(r);
    if (closing)
        respond_header(r, "Connection", "close");
}

/* ---- answers that are kept ready ---- */

/* Whether its answer has no more headers of its own than those of every request. */
static bool is_plain(const struct request *r)
{
    return r->headers.values[HEADER_ORIGIN] == NULL && r->trace[0] == '\0' && r->quota.limit == 0 &&
           !r->must_close && !atomic_load_explicit(&r->server->draining, memory_order_relaxed) &&
           !atomic_load_explicit(&r->server->leaving, memory_order_relaxed);
}

static void add_headers(struct request *r, const struct response_header *headers)
{
    for (; headers->name != NULL; headers++)
        respond_header(r, headers->name, headers->value);
}

void respond_again(struct request *r, const char *media_type, struct blob *take_blob,
                   const struct response_header *fixed, const struct response_header *varying)
{
    size_t bytes = take_blob->bytes;
    bool is_kept = bytes <= KEPT_BYTES_MAX && is_plain(r) && seat_kept() != NULL;

    CHECK(!request_is_answered(r));
    r->kept = is_kept ? kept_find(seat_kept(), r, take_blob, varying) : NULL;
    if (r->kept != NULL) {
        (void)blob_drop(take_blob);
    } else {
        respond_blob(r, 200, media_type, take_blob);
        add_headers(r, fixed);
        if (!is_kept || r->response == NULL) {
            add_headers(r, varying);
            return;
        }
        complete_for_all(r);
        r->kept = kept_add(seat_kept(), r, take_blob, take_ptr(r->response), varying);
    }
    r->status = 200;
    r->answer_bytes = bytes;
}
