#include "http/server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "http/access.h"
#include "http/connection.h"
#include "http/head.h"
#include "http/listen.h"
#include "http/seat.h"
#include "http/selftest.h"
#include "http/serve.h"
#include "http/tls.h"
#include "state/metrics.h"

enum {
    FDS_RESERVED = 64, /* for all that is no connection and no file of www/ */
    OPTIONS_MAX = 16,
    LEAVE_MS_MIN = 100,
    NO_DESCRIPTOR_MS = 50,
    SAY_AGAIN_S = 60,
};

/* What must never happen has happened inside libmicrohttpd. Its code goes on as if this did not return
 * (compiled with __builtin_unreachable behind the call), so it must not. */
static void panic(void *arg, const char *file, unsigned line, const char *reason)
{
    (void)arg;
    log_error("libmicrohttpd: %s (%s:%u)", reason == NULL ? "no reason" : reason, file, line);
    abort();
}

/* True once a minute. */
static bool may_say_again(void)
{
    static _Atomic uint64_t said_ns;
    uint64_t now_ns = clock_now_ns(), last_ns = atomic_load(&said_ns);

    return (last_ns == 0 || now_ns - last_ns > SAY_AGAIN_S * CLOCK_NS_PER_S) &&
           atomic_compare_exchange_strong(&said_ns, &last_ns, now_ns);
}

/* Until somebody wakes us; -ETIMEDOUT at the deadline. */
static int wait_idle_lock(struct server *s, uint64_t deadline_ns)
{
    struct timespec until = {.tv_sec = (time_t)(deadline_ns / CLOCK_NS_PER_S),
                             .tv_nsec = (long)(deadline_ns % CLOCK_NS_PER_S)};

    return -pthread_cond_timedwait(&s->idle, &s->idle_lock.mutex, &until);
}

/* Of a thread that has no connection, and no descriptor for its first one. It would ask for one again at once and for
 * ever; since it has nobody to keep waiting, it may wait for another thread's connection to end. Descriptors may also
 * come free elsewhere, so it does not wait for long. The clients wait to be accepted. */
static void wait_for_descriptors(struct server *s)
{
    if (may_say_again())
        log_warning("no file descriptor is left for connections: clients wait. Raise ulimit -n, or "
                    "lower --connections");
    LOCKED(&s->idle_lock);
    atomic_fetch_add(&s->starved, 1);
    (void)wait_idle_lock(s, clock_now_ns() + NO_DESCRIPTOR_MS * CLOCK_NS_PER_MS);
    atomic_fetch_sub(&s->starved, 1);
}

/* What any client can cause by leaving or by sending rubbish is no news, and descriptors are told of above. */
static bool is_news(const char *text)
{
    static const char *const told_often[] = {"closing connection", "socket is closed", "handshake",
                                             "Failed to", "Error accepting connection"};

    for (size_t i = 0; i < ARRAY_SIZE(told_often); i++) {
        if (strcasestr(text, told_often[i]) != NULL)
            return false;
    }
    return true;
}

static void log_library(void *arg, const char *format, va_list args) PRINTF_LIKE(2, 0);
static void log_library(void *arg, const char *format, va_list args)
{
    char text[512];
    size_t n;

    (void)vsnprintf(text, sizeof(text), format, args);
    n = strcspn(text, "\n");
    text[n] = '\0';
    if (strstr(text, "resource limit at FIRST connection") != NULL) {
        wait_for_descriptors(arg);
        return;
    }
    log_write(is_news(text) ? LOG_WARNING : LOG_DEBUG, "libmicrohttpd: %s", text);
}

/* On libmicrohttpd's varargs a pointer to a function travels as void *. */
static void *as_pointer(void (*function)(void))
{
    union {
        void (*in)(void);
        void *out;
    } u = {.in = function};

    return u.out;
}

#define FUNCTION(f) as_pointer((void (*)(void))(f))

static int start_daemon(struct server *s, struct err *err)
{
    const unsigned flags =
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC | MHD_USE_ERROR_LOG;
    static char priorities[] = TLS_PRIORITIES; /* not const, as libmicrohttpd's options are */
    struct MHD_OptionItem options[OPTIONS_MAX];
    size_t n = 0;

#define OPTION(name, number, pointer)                                                              \
    options[n++] = (struct MHD_OptionItem) {MHD_OPTION_##name, (intptr_t)(number), (pointer)}
    OPTION(URI_LOG_CALLBACK, FUNCTION(serve_arrive), s);
    OPTION(NOTIFY_COMPLETED, FUNCTION(serve_complete), s);
    OPTION(NOTIFY_CONNECTION, FUNCTION(connection_changed), s);
    OPTION(LISTEN_SOCKET, s->listen_fd, NULL);
    OPTION(CONNECTION_LIMIT, s->config.connections, NULL);
    n += head_options(&s->rules, options + n);
    if (s->config.threads > 1)
        OPTION(THREAD_POOL_SIZE, s->config.threads, NULL);
    if (tls_is_on(&s->tls)) {
        OPTION(HTTPS_MEM_CERT, 0, s->tls.cert);
        OPTION(HTTPS_MEM_KEY, 0, s->tls.key);
        OPTION(HTTPS_PRIORITIES, 0, priorities);
    }
    OPTION(END, 0, NULL);
#undef OPTION
    CHECK(n <= OPTIONS_MAX);
    MHD_set_panic_func(panic, NULL);
    s->daemon = MHD_start_daemon(flags | (tls_is_on(&s->tls) ? MHD_USE_TLS : 0), 0,
                                 connection_admit, s, serve_call, s, MHD_OPTION_EXTERNAL_LOGGER,
                                 log_library, s, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
    tls_wipe_key(&s->tls);
    if (s->daemon == NULL)
        return err_set(err, -EIO, "libmicrohttpd does not start on %s", s->url);
    return 0;
}

/* A thread that has all its connections stops to accept, and one without a file descriptor spins: so there
 * are always more of these. */
static int check_limits(struct server *s, struct err *err)
{
    struct server_config *c = &s->config;
    size_t reserved = FDS_RESERVED + (size_t)c->threads * STATIC_KEPT_FDS;
    /* A connection may have a file on its way, and does without when there are no more. */
    size_t fds = fd_limit_raise(2 * (size_t)c->connections + reserved);

    if (c->threads < 1 || c->connections < 4 * c->threads)
        return err_set(err, -EINVAL,
                       "%u connections are too few for %u threads: give at least 4 to each",
                       c->connections, c->threads);
    if (fds < reserved + 4 * (size_t)c->threads)
        return err_set(err, -EMFILE, "only %zu files may be open: raise ulimit -n", fds);
    if (fds < c->connections + reserved) {
        c->connections = (unsigned)(fds - reserved);
        log_warning("at most %u connections, since only %zu files may be open", c->connections,
                    fds);
    }
    return 0;
}

static const char *const refused_names[REFUSED_COUNT] = {
    [REFUSED_CONNECTIONS] = "connections",
    [REFUSED_REQUESTS] = "requests",
    [REFUSED_BODIES] = "bodies",
};

static int label_routes(struct server *s)
{
    const struct router *router = &s->config.router;

    s->route_labels = calloc(MAX(router->count, (size_t)1), sizeof(*s->route_labels));
    if (s->route_labels == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < router->count; i++) {
        s->route_labels[i] = metrics_label(METRIC_HTTP_REQUESTS, router->routes[i].pattern);
        if (s->route_labels[i] < 0)
            return s->route_labels[i];
    }
    s->static_label = metrics_label(METRIC_HTTP_REQUESTS, "static");
    for (int i = 0; i < REFUSED_COUNT; i++)
        s->refused_labels[i] = metrics_label(METRIC_HTTP_REFUSED, refused_names[i]);
    s->unmatched_label = metrics_label(METRIC_HTTP_REQUESTS, "unmatched");
    return MIN(MIN(s->static_label, s->unmatched_label), 0);
}

static struct server *server_new(const struct server_config *config)
{
    struct server *s = calloc(1, sizeof(*s));
    pthread_condattr_t attr;

    if (s == NULL)
        return NULL;
    s->config = *config;
    s->listen_fd = s->quiet_fds[0] = s->quiet_fds[1] = -1;
    s->client_key = hash_key_new();
    park_lot_init(&s->lot);
    lock_init(&s->idle_lock, LOCK_LIMITS);
    CHECK(pthread_condattr_init(&attr) == 0);
    CHECK(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&s->idle, &attr) == 0);
    CHECK(pthread_condattr_destroy(&attr) == 0);
    return s;
}

static struct server *server_free(struct server *s)
{
    seats_free(s->seats);
    (void)access_free(s->access);
    tls_release(&s->tls);
    (void)deadlines_free(s->deadlines);
    (void)clients_free(s->clients);
    (void)static_files_free(s->files);
    if (s->failure != NULL)
        MHD_destroy_response(s->failure);
    check_close_fd(&s->listen_fd);
    check_close_fd(&s->quiet_fds[0]);
    check_close_fd(&s->quiet_fds[1]);
    CHECK(pthread_cond_destroy(&s->idle) == 0);
    lock_release(&s->idle_lock);
    park_lot_release(&s->lot);
    free(s->route_labels);
    free(s);
    return NULL;
}

static int prepare_guards(struct server *s, struct err *err)
{
    const struct server_config *c = &s->config;
    int rc;

    gate_rules_init(&s->rules, gate_knows_layout(MHD_get_version()), c->target_bytes_max,
                    c->header_bytes_max, c->headers_max);
    s->clients = clients_new(c->clients);
    if (s->clients == NULL)
        return err_set(err, -ENOMEM, "no memory for the HTTP server");
    rc = selftest_run(err);
    return rc < 0 ? rc : deadlines_new(&s->deadlines, &c->slow, err);
}

/* The socket knows nothing of TLS. */
static void say_https(struct server *s)
{
    char url[sizeof(s->url)];

    (void)snprintf(url, sizeof(url), "https%s", s->url + strlen("http"));
    memcpy(s->url, url, sizeof(url));
}

static int open_door(struct server *s, struct err *err)
{
    const struct server_config *c = &s->config;
    struct access_config access = {.url = s->url,
                                   .listen = c->listen,
                                   .hosts = c->hosts,
                                   .origins = c->origins,
                                   .token_file = c->token_file};
    bool may_face_others = c->insecure || c->token_file != NULL;
    int rc = tls_read(&s->tls, c->tls_cert, c->tls_key, err);

    if (rc == 0 && c->listen_fd > 0) {
        s->listen_fd = c->listen_fd;
        rc = listen_adopt(s->listen_fd, may_face_others, s->url, sizeof(s->url), err);
    } else if (rc == 0) {
        rc = listen_open(c->listen, may_face_others, &s->listen_fd, s->url, sizeof(s->url), err);
    }
    if (rc < 0)
        return rc;
    if (tls_is_on(&s->tls))
        say_https(s);
    return access_new(&s->access, &access, err);
}

static int prepare(struct server *s, struct err *err)
{
    int rc = check_limits(s, err);

    if (rc == 0 && s->config.www != NULL)
        rc = static_files_new(&s->files, s->config.www, err);
    if (rc == 0)
        rc = prepare_guards(s, err);
    if (rc < 0)
        return rc;
    s->failure = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    if (s->failure == NULL || label_routes(s) < 0)
        return err_set(err, -ENOMEM, "no memory for the HTTP server");
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, s->quiet_fds) < 0)
        return err_set(err, -errno, "no socket for the HTTP server: %s", strerror(errno));
    rc = open_door(s, err);
    if (rc < 0)
        return rc;
    (void)signal(SIGPIPE, SIG_IGN); /* a client that leaves is not worth a process */
    return start_daemon(s, err);
}

int server_start(struct server **ret, const struct server_config *config, struct err *err)
{
    struct server *s = server_new(config);
    int rc;

    if (s == NULL)
        return err_set(err, -ENOMEM, "no memory for the HTTP server");
    rc = prepare(s, err);
    if (rc < 0) {
        (void)server_free(s);
        return rc;
    }
    *ret = s;
    return 0;
}

const char *server_url(const struct server *s)
{
    return s->url;
}

/* MHD_quiesce_daemon races with the pool threads for the removal of the listening socket from their epoll
 * sets, and the loser aborts. So instead something that is never readable takes the place of the socket
 * under its number: the kernel then closes the socket and forgets it in the epoll sets. A thread would
 * only notice if it tried to remove the number itself, which it does when it has just reached its share of
 * the connections: so this waits until none can. While the lock is held nobody is let in (connection_admit), but each
 * thread may have let in one that is not counted yet, may be about to let in another, and to drop one that is not
 * counted any more. */
void server_shut_listener(struct server *s)
{
    size_t share = s->config.connections / s->config.threads;
    LOCKED(&s->idle_lock);

    if (seats_connections_max(s->seats) + 3 >= share || atomic_load(&s->seatless) > 0 ||
        atomic_exchange(&s->shut, true))
        return;
    if (dup3(s->quiet_fds[0], s->listen_fd, O_CLOEXEC) < 0)
        log_error("the listening socket could not be shut: %s", strerror(errno));
}

void server_wake(struct server *s)
{
    LOCKED(&s->idle_lock);

    CHECK(pthread_cond_broadcast(&s->idle) == 0);
}

/* A thread may have accepted one that is not counted yet, so that none are unserved means something only after a
 * while. */
void server_leave(struct server *s, uint64_t deadline_ns)
{
    uint64_t sure_ns = clock_now_ns() + LEAVE_MS_MIN * CLOCK_NS_PER_MS;

    if (s->config.listen_fd <= 0)
        return;
    atomic_store(&s->leaving, true);
    server_shut_listener(s);
    LOCKED(&s->idle_lock);
    while (wait_idle_lock(s, MIN(sure_ns, deadline_ns)) == 0)
        ;
    while (atomic_load(&s->unserved) > 0 && wait_idle_lock(s, deadline_ns) == 0)
        ;
}

void server_drain(struct server *s, uint64_t deadline_ns)
{
    park_lot_drain(&s->lot);
    atomic_store(&s->draining, true);
    deadlines_drain(s->deadlines, deadline_ns);
    server_shut_listener(s);
}

bool server_is_draining(const struct server *s)
{
    return atomic_load(&s->draining);
}

size_t server_parked(struct server *s)
{
    return park_lot_count(&s->lot);
}

size_t server_wait_parked(struct server *s, uint64_t deadline_ns)
{
    return park_lot_wait(&s->lot, deadline_ns);
}

void server_wait_idle(struct server *s, uint64_t deadline_ns)
{
    LOCKED(&s->idle_lock);

    while (seats_in_flight(s->seats) > 0 && wait_idle_lock(s, deadline_ns) == 0)
        ;
}

struct server *server_stop(struct server *s)
{
    if (s == NULL)
        return NULL;
    MHD_stop_daemon(s->daemon);
    s->listen_fd = -1; /* closed by libmicrohttpd */
    return server_free(s);
}
