#include "http/doors.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "http/connection.h"
#include "http/head.h"
#include "http/listen.h"
#include "http/seat.h"
#include "http/serve.h"

enum { OPTIONS_MAX = 16, NO_DESCRIPTOR_MS = 50, SAY_AGAIN_S = 60 };

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
    (void)server_wait_changed(s, clock_now_ns() + NO_DESCRIPTOR_MS * CLOCK_NS_PER_MS);
    atomic_fetch_sub(&s->starved, 1);
}

/* What any client can cause by leaving or by sending rubbish is no news, and descriptors are told of above. */
static bool is_news(const char *text)
{
    static const char *const told_often[] = {
        "closing connection", "closed by remote side", "socket is closed", "handshake", "Failed to",
        "Error accepting connection",
        /* of 1.0 alone, where it judges heads */
        "request line", "empty lines", "character is in", "`Host' header"};

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

static int start_daemon(struct server *s, struct door *door, struct err *err)
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
    OPTION(LISTEN_SOCKET, door->fd, NULL);
    OPTION(CONNECTION_LIMIT, s->config.connections / s->config.threads, NULL);
    n += head_options(&s->rules, options + n);
    if (tls_is_on(&s->tls)) {
        OPTION(HTTPS_MEM_CERT, 0, s->tls.cert);
        OPTION(HTTPS_MEM_KEY, 0, s->tls.key);
        OPTION(HTTPS_PRIORITIES, 0, priorities);
    }
    OPTION(END, 0, NULL);
#undef OPTION
    CHECK(n <= OPTIONS_MAX);
    door->daemon = MHD_start_daemon(flags | (tls_is_on(&s->tls) ? MHD_USE_TLS : 0), 0,
                                    connection_admit, s, serve_call, s, MHD_OPTION_EXTERNAL_LOGGER,
                                    log_library, s, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
    if (door->daemon == NULL)
        return err_set(err, -EIO, "libmicrohttpd does not start on %s", s->url);
    return 0;
}

int doors_new(struct server *s, struct err *err)
{
    s->doors = calloc(s->config.threads, sizeof(*s->doors));
    if (s->doors == NULL)
        return err_set(err, -ENOMEM, "no memory for the HTTP server");
    for (unsigned i = 0; i < s->config.threads; i++)
        s->doors[i].fd = -1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, s->quiet_fds) < 0)
        return err_set(err, -errno, "no socket for the HTTP server: %s", strerror(errno));
    return 0;
}

/* An inherited socket has one queue for all. */
static int open_socket(const struct server *s)
{
    int fd;

    if (s->config.listen_fd <= 0)
        return listen_again(s->doors[0].fd);
    fd = fcntl(s->doors[0].fd, F_DUPFD_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

static int open_others(struct server *s, struct err *err)
{
    for (unsigned i = 1; i < s->config.threads; i++) {
        int fd = open_socket(s);
        if (fd < 0)
            return err_set(err, fd, "no socket for thread %u on %s: %s", i + 1, s->url,
                           strerror(-fd));
        s->doors[i].fd = fd;
    }
    return 0;
}

int doors_open(struct server *s, struct err *err)
{
    int rc = open_others(s, err);

    MHD_set_panic_func(panic, NULL);
    for (unsigned i = 0; i < s->config.threads && rc == 0; i++)
        rc = start_daemon(s, &s->doors[i], err);
    tls_wipe_key(&s->tls);
    if (rc < 0)
        doors_close(s);
    return rc;
}

/* MHD_quiesce_daemon races with the pool threads for the removal of the listening socket from their epoll
 * sets, and the loser aborts. So instead something that is never readable takes the place of the socket
 * under its number: the kernel then closes the socket and forgets it in the epoll sets. A thread would
 * only notice if it tried to remove the number itself, which it does when it has just reached its share of
 * the connections: so this waits until none can. While the lock is held nobody is let in (connection_admit), but each
 * thread may have let in one that is not counted yet, may be about to let in another, and to drop one that is not
 * counted any more. */
void doors_shut(struct server *s)
{
    size_t share = s->config.connections / s->config.threads;
    LOCKED(&s->idle_lock);

    if (seats_connections_max(s->seats) + 3 >= share || atomic_load(&s->seatless) > 0 ||
        atomic_exchange(&s->shut, true))
        return;
    for (unsigned i = 0; i < s->config.threads; i++) {
        if (dup3(s->quiet_fds[0], s->doors[i].fd, O_CLOEXEC) < 0)
            log_error("a listening socket could not be shut: %s", strerror(errno));
    }
}

void doors_close(struct server *s)
{
    for (unsigned i = 0; i < s->config.threads; i++) {
        if (s->doors[i].daemon == NULL)
            continue;
        MHD_stop_daemon(s->doors[i].daemon);
        s->doors[i] = (struct door) {.fd = -1}; /* closed by libmicrohttpd */
    }
}

void doors_free(struct server *s)
{
    for (unsigned i = 0; s->doors != NULL && i < s->config.threads; i++)
        check_close_fd(&s->doors[i].fd);
    free(s->doors);
    s->doors = NULL;
    check_close_fd(&s->quiet_fds[0]);
    check_close_fd(&s->quiet_fds[1]);
}
