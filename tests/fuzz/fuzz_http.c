/*
 * Through the whole front: bytes on a connection of a real server, and all that comes back. The reference tells where
 * each request begins and ends; then
 *     - every answer is well-formed,
 *     - the n-th answer is to the n-th request: a handler was given its method, path and body, and no others,
 *     - what is not sound is refused, and that is the last answer,
 *     - every sound request is answered, or the connection closed,
 *     - and the server goes on.
 */
#include <arpa/inet.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "answer.h"
#include "api/api.h"
#include "base/clock.h"
#include "base/log.h"
#include "harness.h"
#include "http/serve.h"
#include "reference.h"

enum {
    REQUESTS_MAX = 128,
    ANSWERS_BYTES_MAX = 1 << 20,
    BODY_BYTES_MAX = 1000,
    ROUTES_MAX = 64,
    PATIENCE_MS = 60000,
    SENTINEL_EVERY = 32,
};

static struct server *server;

/* ---- the server: the route table's patterns, and one handler that tells what it was given ---------- */

static void tell(struct request *r)
{
    const char *method = http_method_names[r->method];
    uint64_t seen = reference_seen(REFERENCE_SEEN, method, strlen(method));

    seen = reference_seen(seen, r->target, strlen(r->target));
    if (r->body.size > 0)
        seen = reference_seen(seen, r->body.data, r->body.size);
    respond_text(r, 200, "seen\n");
    respond_header_printf(r, "Prong-Seen", "%016llx", (unsigned long long)seen);
}

static struct router router_that_tells(void)
{
    static struct route routes[ROUTES_MAX];
    struct router router = api_router();

    CHECK(router.count <= ROUTES_MAX);
    for (size_t i = 0; i < router.count; i++) {
        routes[i] = router.routes[i];
        routes[i].begin = NULL;
        routes[i].handle = tell;
        routes[i].body_max = MIN(routes[i].body_max, (size_t)BODY_BYTES_MAX);
    }
    router.routes = routes;
    return router;
}

static void stop(void)
{
    server = server_stop(server);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct server_config config = {
        .listen = "127.0.0.1:0",
        .threads = 1,
        .connections = 64,
        .slow = {.header_ns = PATIENCE_MS * CLOCK_NS_PER_MS,
                 .body_ns = PATIENCE_MS * CLOCK_NS_PER_MS,
                 .answer_ns = PATIENCE_MS * CLOCK_NS_PER_MS,
                 .idle_ns = PATIENCE_MS * CLOCK_NS_PER_MS,
                 .bytes_per_s = 1},
        .hosts = "*",
        .bodies_max = 1 << 20,
        .target_bytes_max = 8192,
        .header_bytes_max = 16384,
        .headers_max = 100,
        .www = "www",
        .router = router_that_tells(),
    };
    struct err err = {.text = ""};

    (void)argc;
    (void)argv;
    log_init("fuzz", LOG_ERROR);
    if (server_start(&server, &config, &err) < 0)
        (void)fprintf(stderr, "%s\n", err.text);
    CHECK(server != NULL);
    CHECK(atexit(stop) == 0);
    return 0;
}

/* ---- what is expected -------------------------------------------------------------------------------- */

struct expected {
    uint64_t seen[REQUESTS_MAX];
    bool is_head[REQUESTS_MAX];
    unsigned count;
    enum reference then; /* WHOLE: nothing more may be answered */
};

static void expect(struct expected *e, const char *data, size_t bytes)
{
    e->count = 0;
    e->then = REFERENCE_WHOLE;
    while (e->count < REQUESTS_MAX) {
        struct reference_head head;
        size_t blank = reference_blank(data, bytes), n;
        data += blank;
        bytes -= blank;
        if (bytes == 0)
            return;
        e->then = reference_request(data, bytes, &head, &n, &e->seen[e->count]);
        if (e->then != REFERENCE_WHOLE)
            return;
        e->is_head[e->count++] = head.method.bytes == 4 && memcmp(head.method.at, "HEAD", 4) == 0;
        if (head.is_last)
            return;
        data += n;
        bytes -= n;
    }
}

/* ---- what comes back --------------------------------------------------------------------------------- */

struct visit {
    const struct expected *expected;
    int fd;
    char *data;
    size_t bytes, read; /* what has come, and how much of it was understood */
    unsigned answers;
    bool is_over;  /* the server has closed */
    bool is_final; /* the last answer said that it is the last */
};

/* The other end of a connection that the server has been given. */
static int connect_to_server(void)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
                                        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int ends[2];

    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    CHECK(MHD_add_connection(server->daemon, ends[1], (const struct sockaddr *)&address,
                             sizeof(address)) == MHD_YES);
    return ends[0];
}

static void send_all(int fd, const char *data, size_t bytes)
{
    while (bytes > 0) {
        ssize_t n = send(fd, data, bytes, MSG_NOSIGNAL);
        if (n < 0)
            return; /* it has closed already */
        data += n;
        bytes -= (size_t)n;
    }
}

static bool hears(const struct visit *v, int ms)
{
    struct pollfd p = {.fd = v->fd, .events = POLLIN};

    return poll(&p, 1, ms) == 1;
}

static void receive(struct visit *v)
{
    ssize_t n;

    CHECK(hears(v, PATIENCE_MS));
    CHECK(v->bytes < ANSWERS_BYTES_MAX);
    n = recv(v->fd, v->data + v->bytes, ANSWERS_BYTES_MAX - v->bytes, 0);
    if (n <= 0)
        v->is_over = true;
    else
        v->bytes += (size_t)n;
}

/* Waits until the server has read all, or says something. libmicrohttpd misses an end that comes together with the last
 * bytes, and keeps the connection until its deadline. */
static void await_read(const struct visit *v)
{
    uint64_t deadline_ns = clock_now_ns() + PATIENCE_MS * CLOCK_NS_PER_MS;
    int unread = 0;

    while (ioctl(v->fd, SIOCOUTQ, &unread) == 0 && unread > 0 && !hears(v, 0)) {
        CHECK(clock_now_ns() < deadline_ns);
        (void)sched_yield();
    }
}

static void check_answer(struct visit *v, const struct answer *a)
{
    const struct expected *e = v->expected;
    unsigned i = v->answers++;

    CHECK(!v->is_final);
    v->is_final = a->closes;
    if (i < e->count) {
        CHECK(!a->has_seen || a->seen == e->seen[i]);
        return;
    }
    CHECK(i == e->count && e->then != REFERENCE_WHOLE);
    CHECK(a->closes);
    if (e->then != REFERENCE_UNCLEAR)
        CHECK(a->status >= 400 && !a->has_seen);
}

/* Whether there was an answer to understand. */
static bool take_answer(struct visit *v)
{
    bool is_expected = v->answers < v->expected->count;
    bool to_head = is_expected && v->expected->is_head[v->answers];
    const char *data = v->data + v->read;
    size_t bytes = v->bytes - v->read;
    struct answer a;
    ptrdiff_t n = answer_read(data, bytes, to_head, &a);

    /* What was not understood may have been a HEAD. */
    if (n == ANSWER_SHORT && v->is_over && !is_expected)
        n = answer_read(data, bytes, true, &a);
    CHECK(n != ANSWER_BAD);
    if (n == ANSWER_SHORT)
        return false;
    v->read += (size_t)n;
    if (a.status >= 200)
        check_answer(v, &a);
    return true;
}

static void visit(const char *data, size_t bytes, const struct expected *e)
{
    static char answers[ANSWERS_BYTES_MAX];
    struct visit v = {.expected = e, .fd = connect_to_server(), .data = answers};

    send_all(v.fd, data, bytes);
    while (!v.is_over && v.answers < e->count) {
        receive(&v);
        while (take_answer(&v))
            ;
    }
    CHECK(v.answers == e->count || v.is_final);
    /* Not before: libmicrohttpd answers only one more after it has seen the end. */
    await_read(&v);
    (void)shutdown(v.fd, SHUT_WR);
    while (!v.is_over)
        receive(&v);
    while (take_answer(&v))
        ;
    CHECK(v.read == v.bytes);
    (void)close(v.fd);
}

/* ---- the harness ------------------------------------------------------------------------------------- */

static void send_sentinel(void)
{
    static const char sentinel[] = "GET /livez HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
    struct expected e;

    expect(&e, sentinel, sizeof(sentinel) - 1);
    CHECK(e.count == 1);
    visit(sentinel, sizeof(sentinel) - 1, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t bytes)
{
    static unsigned visits;
    struct expected e;

    expect(&e, (const char *)input, bytes);
    visit((const char *)input, bytes, &e);
    if (visits++ % SENTINEL_EVERY == 0)
        send_sentinel();
    return 0;
}
