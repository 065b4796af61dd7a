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
#include "http/doors.h"
#include "http/linger.h"
#include "http/listen.h"
#include "http/seat.h"
#include "http/selftest.h"
#include "http/serve.h"
#include "http/tls.h"
#include "state/metrics.h"

enum {
    FDS_RESERVED = 64, /* for all that is no connection and no file of www/ */
    LEAVE_MS_MIN = 100,
};

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
    router_prepare(&s->config.router);
    s->quiet_fds[0] = s->quiet_fds[1] = -1;
    s->client_key = hash_key_new();
    park_lot_init(&s->lot);
    room_init(&s->room);
    lock_init(&s->idle_lock, LOCK_LIMITS);
    CHECK(pthread_condattr_init(&attr) == 0);
    CHECK(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&s->idle, &attr) == 0);
    CHECK(pthread_condattr_destroy(&attr) == 0);
    return s;
}

static struct server *server_free(struct server *s)
{
    doors_free(s);
    seats_free(s->seats);
    (void)access_free(s->access);
    tls_release(&s->tls);
    (void)linger_free(s->linger);
    (void)deadlines_free(s->deadlines);
    (void)clients_free(s->clients);
    (void)static_files_free(s->files);
    if (s->failure != NULL)
        MHD_destroy_response(s->failure);
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
    rc = selftest_run(s->rules.knows_layout, err);
    if (rc == 0)
        rc = linger_new(&s->linger, err);
    return rc < 0 ? rc : deadlines_new(&s->deadlines, &c->slow, err);
}

/* The socket knows nothing of TLS. */
static void say_https(struct server *s)
{
    char url[sizeof(s->url)];

    (void)snprintf(url, sizeof(url), "https%s", s->url + strlen("http"));
    memcpy(s->url, url, sizeof(url));
}

static int take_address(struct server *s, struct err *err)
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
        s->doors[0].fd = c->listen_fd;
        rc = listen_adopt(c->listen_fd, may_face_others, s->url, sizeof(s->url), err);
    } else if (rc == 0) {
        rc = listen_open(c->listen, may_face_others, &s->doors[0].fd, s->url, sizeof(s->url), err);
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
    rc = doors_new(s, err);
    if (rc == 0)
        rc = take_address(s, err);
    if (rc < 0)
        return rc;
    (void)signal(SIGPIPE, SIG_IGN); /* a client that leaves is not worth a process */
    return doors_open(s, err);
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

int server_wait_changed(struct server *s, uint64_t deadline_ns)
{
    struct timespec until = {.tv_sec = (time_t)(deadline_ns / CLOCK_NS_PER_S),
                             .tv_nsec = (long)(deadline_ns % CLOCK_NS_PER_S)};

    return -pthread_cond_timedwait(&s->idle, &s->idle_lock.mutex, &until);
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
    doors_shut(s);
    LOCKED(&s->idle_lock);
    while (server_wait_changed(s, MIN(sure_ns, deadline_ns)) == 0)
        ;
    while (atomic_load(&s->unserved) > 0 && server_wait_changed(s, deadline_ns) == 0)
        ;
}

void server_drain(struct server *s, uint64_t deadline_ns)
{
    park_lot_drain(&s->lot);
    atomic_store(&s->draining, true);
    deadlines_drain(s->deadlines, deadline_ns);
    doors_shut(s);
}

void server_cut(struct server *s)
{
    deadlines_cut(s->deadlines);
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

void server_wait_taken(struct server *s, uint64_t deadline_ns)
{
    while (clock_now_ns() < deadline_ns && deadlines_have_unsent(s->deadlines)) {
        LOCKED(&s->idle_lock);
        (void)server_wait_changed(s, clock_now_ns() + LINGER_LOOK_MS * CLOCK_NS_PER_MS);
    }
}

void server_wait_idle(struct server *s, uint64_t deadline_ns)
{
    LOCKED(&s->idle_lock);

    while (seats_in_flight(s->seats) > 0 && server_wait_changed(s, deadline_ns) == 0)
        ;
}

struct server *server_stop(struct server *s)
{
    if (s == NULL)
        return NULL;
    doors_close(s);
    return server_free(s);
}
