/*
 * F3. One HTTP request, from its first header byte to its last answer byte.
 *
 * May use base, thread, state and libmicrohttpd. Knows no route, no kernel, no scheduler: what a request
 * means is decided by the handlers of the route table, which the floor above hands down (http/router.h).
 *
 * A request belongs to its pool thread: everything here is called there, and nowhere else. While it is
 * parked no thread touches it, except request_unpark. It dies after its answer has been sent or its
 * connection has gone, and `release` is called then, whatever happened before.
 */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/id.h"
#include "http/clients.h"
#include "http/park.h"
#include "http/target.h"
#include "http/trace.h"

struct connection;
struct MHD_Connection;
struct MHD_Response;
struct route;
struct server;
struct static_file;

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_DELETE,
    HTTP_OPTIONS,
    HTTP_METHOD_COUNT
};
extern const char *const http_method_names[HTTP_METHOD_COUNT + 1]; /* the last is for all others */

/* Every header that this server reads: see headers.def, which also says where each is judged. */
enum http_header {
#define HEADER(id, name, how_often, judged) HEADER_##id,
#include "http/headers.def"
#undef HEADER
    HEADER_COUNT
};
extern const char *const http_header_names[HEADER_COUNT];

/* Their values as they came (NULL: absent), NUL-terminated; a list of several lines has its first here. */
struct request_headers {
    const char *values[HEADER_COUNT];
    uint64_t in_lines; /* 1 << HEADER_x: a list that came in several lines */
};
static_assert(HEADER_COUNT <= 64, "a bit for each");

enum {
    REQUEST_PATH_PARTS_MAX = 4, /* {names} in one route */
    REQUEST_TEXT_BYTES = 640,   /* of its texts in the struct itself; longer ones are allocated */
};

/* Where the body goes, if not into `body`: the floor above may have better memory for it. `write` is given
 * each piece in order, and answers 0 or a negative errno, after which the request must have a response. */
struct request_sink {
    int (*write)(void *arg, const void *data, size_t bytes);
    void *arg;
};

struct request {
    struct id id; /* X-Request-Id: of this server, never the client's */
    enum http_method method;
    const char *path; /* decoded, without the query */
    const char *
        target; /* the same as it came, not decoded: the same text when there is nothing to decode */
    const struct route *route;                 /* NULL while unknown */
    const char *parts[REQUEST_PATH_PARTS_MAX]; /* the route's {names}, in order; never empty */
    struct buf body;                           /* complete when the route's `handle` is called */
    uint64_t body_bytes;                       /* of either body or sink */
    struct request_sink sink;                  /* set by `begin`, or write == NULL */
    uint64_t client;                           /* key of the client's address, for fairness */
    const char *address;                       /* the client's, for logs */
    uint64_t start_ns;                         /* monotonic, of the first header */
    void *app;                                 /* server_config.app */
    void *context;                             /* the handler's own */
    void (*release)(struct request *r);        /* frees context; may be NULL */
    void (*resumed)(struct request *r); /* what runs after request_unpark, on the pool thread */
    struct park park;
    /* what follows is http's own */
    uint64_t stream_ns; /* when an answer began that grows while it is sent; 0: it is none */
    struct server *server;
    struct connection *peer;
    struct MHD_Connection *connection;
    const char *raw; /* where the target stood; only for the gate */
    size_t raw_bytes;
    bool raw_is_sound;
    struct target parts_of_target; /* in `text` */
    const char *arguments; /* of the query, as target_arguments gives them; NULL until asked for */
    size_t argument_count;
    const char *method_text, *version_text; /* as they came, once the handler was called */
    const char *logged_target;     /* path and query for the access log; NULL without one */
    struct id job;                 /* Prong-Job of the answer, for the access log; "" without one */
    struct MHD_Response *response; /* NULL until answered, or when `file` is the answer */
    struct static_file *file;      /* the answer, kept for other requests */
    struct MHD_Response *kept;     /* … or this one, until it is queued */
    uint64_t answer_bytes;         /* of the body of the answer; UINT64_MAX: not known beforehand */
    uint64_t content_length;       /* UINT64_MAX when chunked or absent */
    uint64_t budgeted_bytes;       /* of its body, counted against all bodies in flight */
    uint64_t discarded_bytes;      /* of its body, read after it had its answer */
    struct client_quota quota;     /* what is left to its address; limit 0: as many as it likes */
    unsigned status;
    unsigned allowed; /* methods of this path, when no route fits */
    bool begun, queued, must_close;
    bool is_file; /* the path is one of www/, whatever the answer */
    bool is_chunked, expects_continue, is_http_1_0;
    bool has_joined;
    char trace[TRACE_BYTES]; /* traceparent for answers and logs; "" without one */
    struct request *next;    /* among the spare ones */
    char *text;              /* target, path, parts and arguments */
    size_t text_bytes, text_used;
    /* what follows is not emptied for the next request */
    struct request_headers headers; /* of the gate's making */
    char *joined[HEADER_COUNT];     /* lists of several lines, when has_joined */
    char own_text[REQUEST_TEXT_BYTES];
};

/* A header of the request; the lines of a list joined by ", ". NULL when absent. Valid while r is. */
const char *request_header(struct request *r, enum http_header header);

/* Content-Type without its parameters, lower case, into `out`; "" when absent or too long. */
void request_media_type(struct request *r, char *out, size_t capacity);

/* Calls `each` for every query argument in order, decoded; `value` is "" when there was no '='. Stops
 * and returns the first nonzero that `each` returns. Names and values live as long as r. */
int request_each_query(struct request *r,
                       int (*each)(void *arg, const char *name, const char *value), void *arg);

/* One query argument; NULL when absent. */
const char *request_query(struct request *r, const char *name);

/* Whether the client would take this media type, by Accept (absent: anything). */
bool request_accepts(struct request *r, const char *media_type);

/* The content length announced, or UINT64_MAX when chunked or absent. */
uint64_t request_content_length(const struct request *r);

/* Whether a body comes with it, by its head. */
static inline bool request_has_body(const struct request *r)
{
    return r->is_chunked || (r->content_length != UINT64_MAX && r->content_length > 0);
}

/* The socket, for watching whether the client leaves; only while parked or in a handler. */
int request_socket(const struct request *r);

/* http's own: frees what request_header has joined. */
void request_free_joined(struct request *r);

/* Suspends the request until somebody calls request_unpark; then `resumed` is called on the pool thread.
 * False when the server is draining: answer 503 instead. Publish r to other threads only after this. */
bool request_park(struct request *r, void (*resumed)(struct request *r));

/* From any thread, exactly once for each request_park: r must not be touched afterwards. */
void request_unpark(struct request *r);

#endif
