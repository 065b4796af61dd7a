#include "http/serve.h"

#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/parse.h"
#include "http/connection.h"
#include "http/response.h"
#include "http/seat.h"
#include "http/target.h"
#include "state/metrics.h"

enum {
    DISCARD_BYTES_MAX = 64 << 10, /* of a body read for nothing, to keep the connection */
    RESERVE_BYTES_MAX = 1 << 20,  /* allocated on a client's word alone */
};

/* Keeps the raw path; r->target stays NULL when it is too long. */
static void keep_target(struct request *r, const char *uri)
{
    size_t bytes;
    const char *path = target_path(uri, &bytes);
    char *text;

    if (bytes > TARGET_PATH_BYTES_MAX)
        return;
    /* Raw, decoded, and decoded once more in segments. */
    r->text_bytes = 3 * (bytes + 1) + 1;
    r->text = r->text_bytes <= sizeof(r->own_text) ? r->own_text : malloc(r->text_bytes);
    if (r->text == NULL)
        return;
    text = r->text;
    memcpy(text, path, bytes);
    text[bytes] = '\0';
    r->target = text;
}

void *serve_arrive(void *server, const char *uri, struct MHD_Connection *connection)
{
    struct server *s = server;
    struct request *r = seat_request_take(s);

    if (r == NULL)
        return NULL;
    r->server = s;
    r->app = s->config.app;
    r->connection = connection;
    r->park.lot = &s->lot;
    r->start_ns = clock_now_ns();
    r->content_length = UINT64_MAX;
    keep_target(r, uri == NULL ? "" : uri);
    return r;
}

struct framing {
    unsigned hosts, lengths, encodings;
    const char *length;
    bool expects;
};

static enum MHD_Result note_framing(void *arg, enum MHD_ValueKind kind, const char *name,
                                    size_t name_bytes, const char *value, size_t value_bytes)
{
    struct framing *f = arg;

    (void)kind;
    (void)value_bytes;
    if (name_bytes == 4 && strncasecmp(name, "Host", 4) == 0) {
        f->hosts++;
    } else if (name_bytes == 14 && strncasecmp(name, "Content-Length", 14) == 0) {
        f->lengths++;
        f->length = value;
    } else if (name_bytes == 17 && strncasecmp(name, "Transfer-Encoding", 17) == 0) {
        f->encodings++;
    } else if (name_bytes == 6 && strncasecmp(name, "Expect", 6) == 0) {
        f->expects = true;
    }
    return MHD_YES;
}

static bool refuse(struct request *r, enum problem_name name, const char *detail)
{
    r->must_close = true;
    respond_problem(r, name, NULL, "%s", detail);
    return false;
}

static bool judge_framing(struct request *r, const char *version)
{
    struct framing f = {.hosts = 0};

    (void)MHD_get_connection_values_n(r->connection, MHD_HEADER_KIND, note_framing, &f);
    r->is_chunked = f.encodings > 0;
    r->expects_continue = f.expects;
    if (f.hosts > 1 || (f.hosts == 0 && strcmp(version, "HTTP/1.1") == 0))
        return refuse(r, PROBLEM_BAD_REQUEST, "Send exactly one Host header.");
    if (f.lengths > 1 || f.encodings > 1 || (f.lengths > 0 && f.encodings > 0))
        return refuse(r, PROBLEM_BAD_REQUEST,
                      "Send either one Content-Length or one Transfer-Encoding.");
    if (f.lengths > 0 && parse_u64(f.length, &r->content_length) < 0)
        return refuse(r, PROBLEM_BAD_REQUEST, "Send a Content-Length of digits only.");
    return true;
}

static bool judge_target(struct request *r)
{
    size_t bytes = r->target == NULL ? 0 : strlen(r->target);
    char *path = r->text + bytes + 1;

    if (r->target == NULL)
        return refuse(r, PROBLEM_TARGET_TOO_LONG, "Send a path of at most 8192 bytes.");
    r->path = path;
    if (target_decode(r->target, bytes, path, bytes + 1) < 0) {
        r->path = "";
        return refuse(r, PROBLEM_BAD_REQUEST, "Send a path whose escapes are %xx, and not %00.");
    }
    if (path[0] != '/' && !(r->method == HTTP_OPTIONS && strcmp(path, "*") == 0))
        return refuse(r, PROBLEM_BAD_REQUEST, "Send a path that begins with '/'.");
    return true;
}

static bool judge_method(struct request *r, const char *method)
{
    for (int i = 0; i < HTTP_METHOD_COUNT; i++) {
        if (strcmp(method, http_method_names[i]) == 0) {
            r->method = (enum http_method)i;
            return true;
        }
    }
    return refuse(r, PROBLEM_NOT_IMPLEMENTED,
                  "Use one of the methods GET, HEAD, POST, PUT, DELETE, OPTIONS.");
}

/* Whether the headers are such that the request may be looked at; if not, it has its answer. */
static bool judge(struct request *r, const char *method, const char *version)
{
    return judge_framing(r, version) && judge_method(r, method) && judge_target(r);
}

static bool has_body(const struct request *r)
{
    return r->is_chunked || (r->content_length != UINT64_MAX && r->content_length > 0);
}

static size_t body_max(const struct request *r)
{
    return r->route == NULL ? 0 : r->route->body_max;
}

static void respond_too_large(struct request *r)
{
    r->must_close = true;
    respond_problem(r, PROBLEM_BODY_TOO_LARGE, json_pack("{s:I}", "limit", (json_int_t)body_max(r)),
                    body_max(r) == 0 ? "Send this request without a body."
                                     : "Send a body of at most %zu bytes.",
                    body_max(r));
}

static void respond_not_allowed(struct request *r, unsigned allowed)
{
    char allow[64];

    router_allow_text(allowed, allow, sizeof(allow));
    if (r->method == HTTP_OPTIONS)
        respond_empty(r, 204);
    else
        respond_problem(r, PROBLEM_METHOD_NOT_ALLOWED, NULL, "Use one of the methods %s.", allow);
    respond_header(r, "Allow", allow);
}

/* No route serves this path with this method: OPTIONS, a file, 405 or 404. */
static void answer_unrouted(struct request *r)
{
    const unsigned all = (1u << HTTP_METHOD_COUNT) - 1;
    const unsigned of_files = 1u << HTTP_GET | 1u << HTTP_HEAD | 1u << HTTP_OPTIONS;
    const struct static_files *files = r->server->files;
    struct static_cache *cache = seat_cache();
    bool reads = r->method == HTTP_GET || r->method == HTTP_HEAD;

    if (r->path[0] == '*')
        respond_not_allowed(r, all);
    else if (r->allowed != 0)
        respond_not_allowed(r, r->allowed);
    else if (files != NULL && reads && has_body(r) && static_exists(files, r))
        respond_too_large(r);
    else if (cache != NULL && reads && static_answer(cache, r))
        return;
    else if (files != NULL && !reads && static_exists(files, r))
        respond_not_allowed(r, of_files);
    else
        respond_problem(r, PROBLEM_NOT_FOUND, NULL,
                        "Nothing is at this path. GET / shows what there is.");
}

static void respond_draining(struct request *r)
{
    r->must_close = true;
    respond_problem(r, PROBLEM_DRAINING, json_pack("{s:i}", "retry_after", 1),
                    "The server is shutting down. Send the request again in a second.");
    respond_header(r, "Retry-After", "1");
}

/* What can be decided before the body: answers to refuse. */
static void admit(struct request *r)
{
    struct server *s = r->server;
    size_t used = 2 * (strlen(r->target) + 1);

    r->route = router_find(&s->config.router, r->method, r->target, r->parts, r->text + used,
                           r->text_bytes - used, &r->allowed);
    if (atomic_load(&s->draining) && (r->route == NULL || !r->route->even_when_draining)) {
        respond_draining(r);
        return;
    }
    if (r->route == NULL) {
        if (has_body(r))
            answer_unrouted(r);
        return;
    }
    connection_identify(r);
    buf_init(&r->body, r->route->body_max);
    if (r->content_length != UINT64_MAX && r->content_length > r->route->body_max)
        respond_too_large(r);
    else if (r->route->begin != NULL)
        r->route->begin(r);
}

static enum MHD_Result deliver(struct request *r)
{
    bool closing =
        r->must_close || atomic_load_explicit(&r->server->draining, memory_order_relaxed);
    enum MHD_Result rc;

    if (r->file != NULL) {
        rc = MHD_queue_response(r->connection, r->status, static_file_response(r->file, r->status));
    } else if (r->response == NULL) {
        r->status = 500;
        rc = MHD_queue_response(r->connection, r->status, r->server->failure);
    } else {
        response_complete(r, closing);
        rc = MHD_queue_response(r->connection, r->status, r->response);
        MHD_destroy_response(r->response);
        r->response = NULL;
    }
    r->queued = true;
    return rc;
}

/* Whether to refuse at once, at the price of the connection, and not when the body has been read. */
static bool is_due(const struct request *r)
{
    return has_body(r) && (r->must_close || r->is_chunked || r->expects_continue ||
                           r->content_length > DISCARD_BYTES_MAX);
}

static enum MHD_Result begin(struct request *r, const char *method, const char *version)
{
    r->begun = true;
    seat_enter_flight();
    if (judge(r, method, version))
        admit(r);
    if (request_is_answered(r) && is_due(r))
        return deliver(r);
    /* On the client's word no more than this: it may never send what it announced. */
    if (has_body(r) && !r->is_chunked && !request_is_answered(r) && r->sink.write == NULL)
        (void)buf_reserve(&r->body, (size_t)MIN(r->content_length, (uint64_t)RESERVE_BYTES_MAX));
    return MHD_YES;
}

static void keep_body(struct request *r, const char *data, size_t bytes)
{
    int rc = r->sink.write != NULL ? r->sink.write(r->sink.arg, data, bytes)
                                   : buf_add(&r->body, data, bytes);

    if (rc < 0 && !request_is_answered(r))
        respond_problem(r, PROBLEM_NO_ROOM, NULL,
                        "There is no memory for this body. Send it again later.");
    if (rc < 0)
        r->must_close = true;
}

/* libmicrohttpd can take no answer in the middle of a body: one that is too long is read on to its end, or
 * to where patience ends. */
static enum MHD_Result take_body(struct request *r, const char *data, size_t bytes)
{
    r->body_bytes += bytes;
    if (!request_is_answered(r) && r->body_bytes > body_max(r))
        respond_too_large(r);
    if (!request_is_answered(r))
        keep_body(r, data, bytes);
    else if (r->body_bytes > body_max(r) + DISCARD_BYTES_MAX)
        return MHD_NO;
    return MHD_YES;
}

static void run_handler(struct request *r)
{
    void (*resumed)(struct request * r) = r->resumed;

    if (resumed != NULL) {
        metrics_add(METRIC_HTTP_PARKED, 0, (uint64_t)-1);
        r->resumed = NULL;
        resumed(r);
    } else if (r->route != NULL) {
        r->route->handle(r);
    } else {
        answer_unrouted(r);
    }
}

static enum MHD_Result finish(struct request *r)
{
    if (!request_is_answered(r)) {
        run_handler(r);
        if (r->resumed != NULL) {
            CHECK(!request_is_answered(r));
            return MHD_YES;
        }
        if (!request_is_answered(r))
            log_error("%s %s was not answered: out of memory?", http_method_names[r->method],
                      r->target);
    }
    return deliver(r);
}

enum MHD_Result serve_call(void *server, struct MHD_Connection *connection, const char *url,
                           const char *method, const char *version, const char *data,
                           size_t *data_bytes, void **context)
{
    struct request *r = *context;
    size_t bytes = *data_bytes;

    (void)server;
    (void)connection;
    (void)url;
    if (r == NULL)
        return MHD_NO;
    if (!r->begun)
        return begin(r, method, version);
    if (bytes == 0)
        return finish(r);
    *data_bytes = 0;
    return take_body(r, data, bytes);
}

static void count(const struct request *r)
{
    const struct server *s = r->server;
    uint64_t ns = clock_now_ns() - r->start_ns;
    int label = s->unmatched_label;

    if (r->route != NULL)
        label = s->route_labels[r->route - s->config.router.routes];
    else if (r->file != NULL)
        label = s->static_label;
    if (r->queued)
        metrics_http(label, r->status, ns);
    log_debug("%s %s %s %u %llu us", r->address, http_method_names[r->method],
              r->target == NULL ? "" : r->target, r->status,
              (unsigned long long)(ns / CLOCK_NS_PER_US));
}

void serve_complete(void *server, struct MHD_Connection *connection, void **context,
                    enum MHD_RequestTerminationCode why)
{
    struct request *r = *context;

    (void)connection;
    (void)why; /* says "completed" of clients that had gone */
    if (r == NULL)
        return;
    *context = NULL;
    if (r->release != NULL)
        r->release(r);
    if (r->response != NULL)
        MHD_destroy_response(r->response);
    if (r->begun)
        count(r);
    if (r->begun)
        seat_leave_flight(server);
    seat_request_give(r);
}
