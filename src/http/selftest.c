#include "http/selftest.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "http/head.h"

enum {
    TARGET_BYTES_MAX = 256,
    HEADER_BYTES_MAX = 1024,
    HEADERS_MAX = 8,
    TURNS_MAX = 16, /* of a daemon that has all it needs: a few are enough */
    OPTIONS_MAX = 8,
};

struct sample {
    const char *what;
    const char *head;
    size_t bytes;
    bool is_good;
};

#define GOOD(what, head)                                                                           \
    {                                                                                              \
        what, head, sizeof(head) - 1, true                                                         \
    }
#define BAD(what, head)                                                                            \
    {                                                                                              \
        what, head, sizeof(head) - 1, false                                                        \
    }
#define HOST "Host: localhost\r\n"

static const struct sample samples[] = {
    GOOD("a plain request", "GET / HTTP/1.1\r\n" HOST "\r\n"),
    GOOD("a request without headers", "GET /a%20b HTTP/1.0\r\n\r\n"),
    GOOD("values that are empty or stand between blanks",
         "POST /a?b=c&d HTTP/1.1\r\nHost:\t localhost \r\nEmpty:\r\nCookie: a=b; c\r\n"
         "Content-Length: 0\r\n\r\n"),
    BAD("a line that ends with LF", "GET / HTTP/1.1\r\nHost: localhost\nA: b\r\n\r\n"),
    BAD("a request line that ends with LF", "GET / HTTP/1.1\nHost: localhost\r\n\r\n"),
    BAD("a head that ends with LF", "GET / HTTP/1.1\r\nHost: localhost\r\n\n"),
    BAD("a blank before the colon", "POST / HTTP/1.1\r\n" HOST "Content-Length : 5\r\n\r\n"),
    BAD("a folded line", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding:\r\n chunked\r\n\r\n"),
    BAD("a NUL in a value", "GET / HTTP/1.1\r\n" HOST "Content-Length: 5\0 0\r\n\r\n"),
    BAD("a line that begins with a NUL", "GET / HTTP/1.1\r\n" HOST "\0A: b\r\n\r\n"),
    BAD("a NUL in the target", "GET /\0a HTTP/1.1\r\n" HOST "\r\n"),
    BAD("a CR in a value", "GET / HTTP/1.1\r\n" HOST "A: b\rc\r\n\r\n"),
    BAD("two blanks in the request line", "GET  / HTTP/1.1\r\n" HOST "\r\n"),
};

/* What the callbacks know of the request that is being read. */
struct reading {
    struct gate_rules rules;
    struct gate_line line;
    char target[TARGET_BYTES_MAX];
    bool has_come, is_good;
};

static void *arrive(void *arg, const char *uri, struct MHD_Connection *connection)
{
    struct reading *reading = arg;
    size_t bytes = uri == NULL ? 0 : strlen(uri);

    if (bytes == 0 || bytes >= sizeof(reading->target))
        return NULL;
    memcpy(reading->target, uri, bytes + 1);
    reading->line = (struct gate_line) {.target = uri,
                                        .target_bytes = bytes,
                                        .target_is_sound = target_is_sound(uri, bytes),
                                        .parts = target_split(reading->target)};
    reading->has_come = true;
    head_hide(uri, connection);
    return reading;
}

static enum MHD_Result judge(void *arg, struct MHD_Connection *connection, const char *url,
                             const char *method, const char *version, const char *data,
                             size_t *data_bytes, void **context)
{
    struct reading *reading = arg;
    struct request_headers headers;
    struct gate gate;

    (void)url;
    (void)data;
    (void)data_bytes;
    (void)context;
    if (reading->has_come) {
        reading->line.method = method;
        reading->line.version = version;
        head_judge(&gate, &reading->rules, &reading->line, &headers, connection);
        reading->is_good = gate.fault.detail == NULL;
    }
    return MHD_NO;
}

/* On libmicrohttpd's varargs a pointer to a function travels as void *. */
static void *as_pointer(void *(*function)(void *, const char *, struct MHD_Connection *))
{
    union {
        void *(*in)(void *, const char *, struct MHD_Connection *);
        void *out;
    } u = {.in = function};

    return u.out;
}

static struct MHD_Daemon *start(struct reading *reading)
{
    struct MHD_OptionItem options[OPTIONS_MAX];
    size_t n = 0;

    options[n++] = (struct MHD_OptionItem) {MHD_OPTION_URI_LOG_CALLBACK,
                                            (intptr_t)as_pointer(arrive), reading};
    n += head_options(&reading->rules, options + n);
    options[n++] = (struct MHD_OptionItem) {MHD_OPTION_END, 0, NULL};
    CHECK(n <= OPTIONS_MAX);
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET, 0, NULL, NULL, judge, reading,
                            MHD_OPTION_ARRAY, options, MHD_OPTION_END);
}

/* Its head is in the socket, and its end behind it, before the daemon looks; so no turn has to wait. */
static int read_one(struct MHD_Daemon *daemon, const struct sample *sample)
{
    static const struct sockaddr_un nobody = {.sun_family = AF_UNIX};
    CLEANUP_FD int ours = -1;
    int pair[2];

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    ours = pair[0];
    if (send(ours, sample->head, sample->bytes, MSG_NOSIGNAL) != (ssize_t)sample->bytes) {
        (void)close(pair[1]);
        return -EIO;
    }
    (void)shutdown(ours, SHUT_WR);
    if (MHD_add_connection(daemon, pair[1], (const struct sockaddr *)&nobody,
                           sizeof(nobody.sun_family)) == MHD_NO)
        return -EIO; /* and has closed it */
    for (int i = 0; i < TURNS_MAX; i++)
        (void)MHD_run(daemon);
    return 0;
}

static int read_all(struct MHD_Daemon *daemon, struct reading *reading, struct err *err)
{
    for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
        int rc;
        reading->has_come = reading->is_good = false;
        rc = read_one(daemon, &samples[i]);
        if (rc < 0)
            return err_set(err, rc, "The HTTP server could not test itself: %s.", strerror(-rc));
        if (reading->is_good != samples[i].is_good)
            return err_set(err, -EPROTO,
                           "libmicrohttpd %s does not read requests as expected: with it, %s would "
                           "be %s. Use 0.9.75 to 0.9.77, or 1.0 or later.",
                           MHD_get_version(), samples[i].what,
                           reading->is_good ? "taken" : "refused");
    }
    return 0;
}

int selftest_run(struct err *err)
{
    struct reading reading = {.has_come = false};
    struct MHD_Daemon *daemon;
    int rc;

    gate_rules_init(&reading.rules, gate_knows_layout(MHD_get_version()), TARGET_BYTES_MAX,
                    HEADER_BYTES_MAX, HEADERS_MAX);
    daemon = start(&reading);
    if (daemon == NULL)
        return err_set(err, -EIO,
                       "The HTTP server could not test itself: no libmicrohttpd daemon.");
    rc = read_all(daemon, &reading, err);
    MHD_stop_daemon(daemon);
    return rc;
}
