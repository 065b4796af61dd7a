#include "http/serve.h"

#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "http/access.h"
#include "http/access_log.h"
#include "http/clients.h"
#include "http/connection.h"
#include "http/head.h"
#include "http/response.h"
#include "http/seat.h"
#include "http/target.h"
#include "state/metrics.h"

enum {
    DISCARD_BYTES_MAX = 64 << 10, /* of a body read for nothing, to keep the connection */
    RESERVE_BYTES_MAX = 1 << 20,  /* allocated on a client's word alone */
};

static const char *keep_text(char *to, const char *text, size_t bytes)
{
    memcpy(to, text, bytes);
    to[bytes] = '\0';
    return to;
}

/* The target as it came; what is decoded of it follows. */
static void take_apart(struct request *r, const char *uri)
{
    (void)keep_text(r->text, uri, r->raw_bytes);
    r->text_used = r->raw_bytes + 1;
    r->raw_is_sound = target_is_sound(r->text, r->raw_bytes);
    r->parts_of_target = target_split(r->text);
    if (r->parts_of_target.query != NULL)
        r->text[r->parts_of_target.query - r->text - 1] = '\0';
    r->target = r->parts_of_target.path;
}

/* Copies the target, since libmicrohttpd decodes it in its place when it comes back from here: for us, where r->target
 * stays NULL when it is too long, and for the access log path and query. False without memory. */
static bool keep_target(struct request *r, const char *uri)
{
    const char *path = target_split(uri).path;
    size_t logged = 0, room;

    r->raw = uri;
    r->raw_bytes = strlen(uri);
    if (r->server->config.access_log != NULL)
        logged = strnlen(path, ACCESS_LOG_TARGET_BYTES_MAX) + 1;
    /* As it came, decoded, and decoded once more in segments and arguments. */
    if (r->raw_bytes <= r->server->rules.target_bytes_max)
        r->text_bytes = 3 * (r->raw_bytes + 1) + target_arguments_bytes(0) + 1;
    room = r->text_bytes + logged;
    r->text = room <= sizeof(r->own_text) ? r->own_text : malloc(room);
    if (r->text == NULL)
        return false;
    if (r->text_bytes > 0)
        take_apart(r, uri);
    if (logged > 0)
        r->logged_target = keep_text(r->text + r->text_bytes, path, logged - 1);
    return true;
}

void *serve_arrive(void *server, const char *uri, struct MHD_Connection *connection)
{
    struct server *s = server;
    struct request *r = seat_request_take(s);

    if (r == NULL)
        return NULL;
    r->peer = connection_of(connection);
    if (r->peer == NULL) {
        seat_request_give(r);
        return NULL;
    }
    r->server = s;
    r->app = s->config.app;
    r->connection = connection;
    r->park.lot = &s->lot;
    r->start_ns = clock_now_ns();
    r->client = r->peer->key;
    r->address = r->peer->address;
    r->content_length = r->answer_bytes = UINT64_MAX;
    deadline_headers(&r->peer->deadline, r->start_ns);
    if (!keep_target(r, uri == NULL ? "" : uri)) {
        seat_request_give(r);
        return NULL;
    }
    if (uri != NULL)
        head_hide(uri, connection);
    return r;
}

static bool refuse(struct request *r, const struct gate_fault *fault)
{
    json_t *extra =
        fault->option == NULL
            ? NULL
            : json_pack("{s:I, s:s}", "limit", (json_int_t)fault->limit, "option", fault->option);
    char allow[64];

    r->must_close = true;
    if (fault->option == NULL)
        respond_problem(r, fault->name, extra, "%s", fault->detail);
    else
        respond_problem(r, fault->name, extra, "%s At most %u are taken (%s).", fault->detail,
                        fault->limit, fault->option);
    if (r->method == HTTP_METHOD_COUNT) {
        router_allow_text((1u << HTTP_METHOD_COUNT) - 1, allow, sizeof(allow));
        respond_header(r, "Allow", allow);
    }
    return false;
}

/* Whether the head is what it seems to be; if not, it has its answer. */
static bool judge_head(struct request *r, const char *method, const char *version)
{
    struct gate_line line = {
        .method = method,
        .version = version,
        .target = r->raw,
        .target_bytes = r->raw_bytes,
        .target_is_sound = r->raw_is_sound,
        .parts = r->parts_of_target,
    };
    struct gate gate;

    head_judge(&gate, &r->server->rules, &line, &r->headers, r->connection);
    r->raw = NULL;
    r->method = gate.method;
    r->is_chunked = gate.is_chunked;
    /* libmicrohttpd takes chunks and trailers that end in bare line feeds or NUL, and nobody else can see them: so
     * others may think that they end elsewhere, and what comes behind them must not be believed. */
    r->must_close = gate.is_chunked;
    r->is_http_1_0 = gate.is_http_1_0;
    r->expects_continue = gate.expects_continue;
    r->content_length = gate.content_length;
    return gate.fault.detail == NULL || refuse(r, &gate.fault);
}

/* One without escapes is what it says. */
static void decode_path(struct request *r)
{
    char *path = r->text + r->text_used;
    ssize_t n;

    if (memchr(r->target, '%', r->parts_of_target.path_bytes) == NULL) {
        r->path = r->target;
        return;
    }
    n = target_decode(r->target, r->parts_of_target.path_bytes, path, r->text_bytes - r->text_used);
    CHECK(n >= 0); /* the gate has let nothing else pass */
    r->path = path;
    r->text_used += (size_t)n + 1;
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
    if (r->method == HTTP_OPTIONS)
        access_preflight(r->server->access, r, allow);
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
    else if (files != NULL && reads && request_has_body(r) && static_exists(files, r))
        respond_too_large(r);
    else if (cache != NULL && reads && !request_has_body(r) && static_answer(cache, r))
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

/* Pages are open, or nobody could come to where the token is asked for. */
static bool is_open(const struct request *r)
{
    return r->route == NULL ? r->allowed == 0 : (r->route->flags & ROUTE_OPEN) != 0;
}

static uint64_t whole_seconds(uint64_t ns)
{
    return (ns + CLOCK_NS_PER_S - 1) / CLOCK_NS_PER_S;
}

/* As in draft-ietf-httpapi-ratelimit-headers. */
static void tell_quota(struct request *r)
{
    const struct client_quota *q = &r->quota;
    unsigned per_s = r->server->config.clients.requests_per_s;

    respond_header_printf(r, "RateLimit-Policy", "\"requests\";q=%u;w=%u", q->limit,
                          (q->limit + per_s - 1) / per_s);
    respond_header_printf(r, "RateLimit", "\"requests\";r=%u;t=%llu", q->remaining,
                          (unsigned long long)whole_seconds(q->refill_ns));
}

/* Probes are not counted: who watches us must not be refused because somebody else asks much. */
static bool is_within_quota(struct request *r)
{
    uint64_t wait_s;

    if (r->peer->client == NULL || (r->route != NULL && (r->route->flags & ROUTE_OPEN) != 0) ||
        client_may_ask(r->peer->client, r->start_ns, &r->quota))
        return true;
    wait_s = whole_seconds(r->quota.wait_ns);
    metrics_add(METRIC_HTTP_REFUSED, r->server->refused_labels[REFUSED_REQUESTS], 1);
    respond_problem(r, PROBLEM_TOO_MANY_REQUESTS,
                    json_pack("{s:I, s:s}", "retry_after", (json_int_t)wait_s, "option",
                              "--requests-per-address"),
                    "This address has sent more than its share. Send the request again in %llu s.",
                    (unsigned long long)wait_s);
    respond_header_printf(r, "Retry-After", "%llu", (unsigned long long)wait_s);
    return false;
}

/* Nobody has said that he sends what we could decode. */
static bool is_encoded(struct request *r)
{
    const char *encoding = request_header(r, HEADER_CONTENT_ENCODING);

    return encoding != NULL && strcasecmp(encoding, "identity") != 0;
}

/* All bodies in flight share one budget, so that many large ones at once cannot take all memory. */
static bool take_from_budget(struct request *r, uint64_t bytes)
{
    struct server *s = r->server;

    if (atomic_fetch_add(&s->body_bytes, bytes) + bytes <= s->config.bodies_max) {
        r->budgeted_bytes += bytes;
        metrics_add(METRIC_HTTP_BODY_BYTES, 0, bytes);
        return true;
    }
    atomic_fetch_sub(&s->body_bytes, bytes);
    metrics_add(METRIC_HTTP_REFUSED, s->refused_labels[REFUSED_BODIES], 1);
    r->must_close = true;
    respond_problem(r, PROBLEM_BODIES_FULL,
                    json_pack("{s:i, s:s}", "retry_after", 1, "option", "--bodies-max"),
                    "Too many large bodies are on their way. Send this one again in a second.");
    respond_header(r, "Retry-After", "1");
    return false;
}

static void give_back_budget(struct request *r)
{
    if (r->budgeted_bytes == 0)
        return;
    atomic_fetch_sub(&r->server->body_bytes, r->budgeted_bytes);
    metrics_add(METRIC_HTTP_BODY_BYTES, 0, -r->budgeted_bytes);
}

/* What can be decided before the body: answers to refuse. */
static void admit(struct request *r)
{
    struct server *s = r->server;
    size_t parts_bytes = r->parts_of_target.path_bytes + 1;

    r->route = router_find(&s->config.router, r->method, r->target, r->parts,
                           r->text + r->text_used, parts_bytes, &r->allowed);
    r->text_used += parts_bytes;
    if (atomic_load(&s->draining) &&
        (r->route == NULL || (r->route->flags & ROUTE_WHEN_DRAINING) == 0)) {
        respond_draining(r);
        return;
    }
    if (!is_within_quota(r) || !access_judge(s->access, r, is_open(r)))
        return;
    if (r->route == NULL) {
        if (request_has_body(r))
            answer_unrouted(r);
        return;
    }
    connection_identify(r);
    buf_init(&r->body, r->route->body_max);
    if (r->content_length != UINT64_MAX && r->content_length > r->route->body_max)
        respond_too_large(r);
    else if (request_has_body(r) && is_encoded(r))
        respond_problem(r, PROBLEM_UNSUPPORTED_MEDIA_TYPE, NULL,
                        "Send the body without Content-Encoding: none is known here.");
    else if (r->route->begin != NULL)
        r->route->begin(r);
    if (request_has_body(r) && !r->is_chunked && !request_is_answered(r))
        (void)take_from_budget(r, r->content_length);
}

/* The answer may be gone when the line is written. */
static void note_job(struct request *r, struct MHD_Response *response)
{
    const char *job = r->server->config.access_log == NULL
                          ? NULL
                          : MHD_get_response_header(response, "Prong-Job");

    if (job != NULL)
        (void)snprintf(r->job.text, sizeof(r->job.text), "%s", job);
}

/* Errors about a file are small. */
static bool is_large_file(const struct request *r)
{
    return r->is_file && r->answer_bytes != UINT64_MAX && r->answer_bytes >= ROOM_ANSWER_BYTES_MIN;
}

static enum MHD_Result deliver(struct request *r)
{
    bool closing = r->must_close ||
                   atomic_load_explicit(&r->server->draining, memory_order_relaxed) ||
                   atomic_load_explicit(&r->server->leaving, memory_order_relaxed);
    enum MHD_Result rc;

    if (is_large_file(r))
        connection_make_room(r->peer, r->server);
    if (r->file != NULL) {
        rc = MHD_queue_response(r->connection, r->status, static_file_response(r->file, r->status));
    } else if (r->kept != NULL) {
        note_job(r, r->kept);
        rc = MHD_queue_response(r->connection, r->status, take_ptr(r->kept));
    } else if (r->response == NULL) {
        r->status = 500;
        rc = MHD_queue_response(r->connection, r->status, r->server->failure);
    } else {
        if (r->quota.limit > 0)
            tell_quota(r);
        response_complete(r, closing);
        note_job(r, r->response);
        rc = MHD_queue_response(r->connection, r->status, r->response);
        MHD_destroy_response(r->response);
        r->response = NULL;
    }
    r->queued = true;
    connection_served(r->peer, r->server);
    deadline_answer(&r->peer->deadline);
    return rc;
}

/* Whether to refuse at once, at the price of the connection, and not when the body has been read. */
static bool is_due(const struct request *r)
{
    return request_has_body(r) && (r->must_close || r->is_chunked || r->expects_continue ||
                                   r->content_length > DISCARD_BYTES_MAX);
}

static enum MHD_Result begin(struct request *r, const char *method, const char *version)
{
    r->begun = true;
    r->method_text = method;
    r->version_text = version;
    seat_enter_flight();
    if (!judge_head(r, method, version))
        return deliver(r);
    decode_path(r);
    admit(r);
    if (request_is_answered(r) && is_due(r))
        return deliver(r);
    /* On the client's word no more than this: it may never send what it announced. */
    if (request_has_body(r) && !r->is_chunked && !request_is_answered(r) && r->sink.write == NULL)
        (void)buf_reserve(&r->body, (size_t)MIN(r->content_length, (uint64_t)RESERVE_BYTES_MAX));
    if (request_has_body(r))
        deadline_body(&r->peer->deadline, clock_coarse_ns());
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
    deadline_body_took(&r->peer->deadline, bytes);
    if (r->body_bytes < r->content_length)
        deadline_retell_end(&r->peer->deadline);
    if (r->is_chunked && !request_is_answered(r))
        (void)take_from_budget(r, bytes);
    if (!request_is_answered(r) && r->body_bytes > body_max(r))
        respond_too_large(r);
    if (!request_is_answered(r)) {
        keep_body(r, data, bytes);
        return MHD_YES;
    }
    if (r->is_chunked) /* who knows how long it is */
        r->discarded_bytes += bytes;
    return r->discarded_bytes <= DISCARD_BYTES_MAX ? MHD_YES : MHD_NO;
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
            connection_served(r->peer, r->server);
            return MHD_YES; /* and belongs to whoever will unpark it */
        }
        if (!request_is_answered(r))
            log_error("%s %s was not answered: out of memory?", http_method_names[r->method],
                      r->target);
    }
    return deliver(r);
}

static enum MHD_Result go_on(struct request *r, const char *method, const char *version,
                             const char *data, size_t *data_bytes)
{
    size_t bytes = *data_bytes;

    if (!r->begun)
        return begin(r, method, version);
    /* After 100 Continue to a request without a body, what follows it on the connection is taken for one of no bytes;
     * an answer would be refused here, and the connection shut. */
    if (bytes == 0)
        return data == NULL ? finish(r) : MHD_YES;
    *data_bytes = 0;
    return take_body(r, data, bytes);
}

/* Until log_about(NULL), what this thread logs is about this request; its id may come later. */
static void log_about(const struct request *r)
{
    log_context(r == NULL ? NULL : r->id.text, r == NULL ? NULL : r->trace + TRACE_ID_AT);
}

enum MHD_Result serve_call(void *server, struct MHD_Connection *connection, const char *url,
                           const char *method, const char *version, const char *data,
                           size_t *data_bytes, void **context)
{
    struct request *r = *context;
    enum MHD_Result rc;

    (void)server;
    (void)connection;
    (void)url;
    if (r == NULL)
        return MHD_NO;
    log_about(r);
    rc = go_on(r, method, version, data, data_bytes);
    log_about(NULL);
    return rc;
}

static void count(const struct request *r, uint64_t now_ns)
{
    const struct server *s = r->server;
    uint64_t ns = now_ns - r->start_ns;
    int label = s->unmatched_label;

    if (r->route != NULL)
        label = s->route_labels[r->route - s->config.router.routes];
    else if (r->is_file)
        label = s->static_label;
    if (r->queued)
        metrics_http(label, r->status, r->stream_ns == 0 ? ns : r->stream_ns - r->start_ns);
    if (r->server->config.access_log != NULL)
        access_log_add(r->server->config.access_log, r, ns);
    log_debug("%s %s %s %u %llu us", r->address, http_method_names[r->method],
              r->target == NULL ? "" : r->target, r->status,
              (unsigned long long)(ns / CLOCK_NS_PER_US));
}

void serve_complete(void *server, struct MHD_Connection *connection, void **context,
                    enum MHD_RequestTerminationCode why)
{
    struct request *r = *context;
    uint64_t now_ns = clock_now_ns();

    (void)connection;
    (void)why; /* says "completed" of clients that had gone */
    if (r == NULL)
        return;
    *context = NULL;
    log_about(r);
    if (r->release != NULL)
        r->release(r);
    if (r->response != NULL)
        MHD_destroy_response(r->response);
    if (r->begun)
        count(r, now_ns);
    give_back_budget(r);
    request_free_joined(r);
    deadline_idle(&r->peer->deadline, now_ns);
    if (r->begun)
        seat_leave_flight(server);
    log_about(NULL);
    seat_request_give(r);
}
