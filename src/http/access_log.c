#include "http/access_log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/escape.h"
#include "base/log.h"
#include "http/serve.h"
#include "thread/thread.h"

enum {
    BUFFER_BYTES = 4 << 20, /* two of these, of which only what is used is memory */
    HASTE_BYTES = 64 << 10, /* from here on it is written at once */
    STUCK_MS = 1000,
    SAY_AGAIN_S = 60,
    REFERER_BYTES_MAX = 768, /* these two once they are escaped */
    AGENT_BYTES_MAX = 512,
    WORD_BYTES_MAX = 64, /* of a method or a version */
    STATUS_CLIENT_GONE = 499,
};

static_assert(ACCESS_LOG_LINE_BYTES_MAX >= ACCESS_LOG_TARGET_BYTES_MAX + REFERER_BYTES_MAX +
                                               AGENT_BYTES_MAX + 2 * WORD_BYTES_MAX + 512,
              "what has a fixed length fits too");
static_assert(ACCESS_LOG_LINE_BYTES_MAX <= PIPE_BUF, "a line in a pipe is whole");

struct access_log {
    enum access_log_format format;
    char *path; /* NULL: standard output */
    struct thread writer;
    struct lock lock;
    pthread_cond_t changed;
    /* under the lock */
    char *filling;
    size_t filled;
    uint64_t unfit; /* lines for which there was no room */
    bool must_reopen, is_ending;
    /* the writer's alone */
    char *writing;
    int fd;
    bool is_file, is_torn; /* torn: what was written last does not end with a line */
    uint64_t lost, said_ns;
};

/* ---- a line ---- */

struct line {
    size_t n;
    char text[ACCESS_LOG_LINE_BYTES_MAX];
};

static void put(struct line *l, const char *text)
{
    size_t n = strlen(text);

    CHECK(n <= sizeof(l->text) - l->n);
    memcpy(l->text + l->n, text, n);
    l->n += n;
}

static void put_number(struct line *l, uint64_t value)
{
    char digits[21];
    size_t at = sizeof(digits) - 1;

    digits[at] = '\0';
    do
        digits[--at] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    put(l, digits + at);
}

static void put_combined(struct line *l, const char *text, size_t bytes_max)
{
    l->n += escape_bytes(text == NULL || *text == '\0' ? "-" : text, l->text + l->n,
                         MIN(bytes_max, sizeof(l->text) - l->n));
}

/* With the key, and with a comma behind it. */
static void put_json(struct line *l, const char *key, const char *text, size_t bytes_max)
{
    put(l, key);
    if (text == NULL || *text == '\0') {
        put(l, "null,");
        return;
    }
    put(l, "\"");
    l->n += escape_json(text, l->text + l->n, MIN(bytes_max, sizeof(l->text) - l->n));
    put(l, "\",");
}

/* To the second; made once in each by each thread. */
static const char *time_text(time_t now, enum access_log_format format)
{
    static _Thread_local struct {
        time_t of;
        char text[40];
    } made[2];
    __typeof__(made[0]) *m = &made[format];
    struct tm tm;

    if (now == m->of)
        return m->text;
    (void)gmtime_r(&now, &tm);
    if (format == ACCESS_LOG_JSON)
        (void)strftime(m->text, sizeof(m->text), "%Y-%m-%dT%H:%M:%S", &tm);
    else
        (void)strftime(m->text, sizeof(m->text), "%d/%b/%Y:%H:%M:%S +0000", &tm);
    m->of = now;
    return m->text;
}

static unsigned status_of(const struct request *r)
{
    return r->queued || r->status != 0 ? r->status : STATUS_CLIENT_GONE;
}

/* UINT64_MAX: not known. */
static uint64_t bytes_of(const struct request *r)
{
    return r->method == HTTP_HEAD || r->status == 204 || r->status == 304 || !r->queued
               ? 0
               : r->answer_bytes;
}

static void write_combined(struct line *l, const struct request *r)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
    put(l, r->address);
    put(l, " - - [");
    put(l, time_text(now.tv_sec, ACCESS_LOG_COMBINED));
    put(l, "] \"");
    put_combined(l, r->method_text, WORD_BYTES_MAX);
    put(l, " ");
    put_combined(l, r->logged_target, ACCESS_LOG_TARGET_BYTES_MAX);
    put(l, " ");
    put_combined(l, r->version_text, WORD_BYTES_MAX);
    put(l, "\" ");
    put_number(l, status_of(r));
    put(l, " ");
    if (bytes_of(r) == UINT64_MAX)
        put(l, "-");
    else
        put_number(l, bytes_of(r));
    put(l, " \"");
    put_combined(l, r->headers.values[HEADER_REFERER], REFERER_BYTES_MAX);
    put(l, "\" \"");
    put_combined(l, r->headers.values[HEADER_USER_AGENT], AGENT_BYTES_MAX);
    put(l, "\"\n");
}

/* Three digits behind the point. */
static void put_thousandths(struct line *l, uint64_t value)
{
    const char digits[] = {'.', (char)('0' + value / 100 % 10), (char)('0' + value / 10 % 10),
                           (char)('0' + value % 10), '\0'};

    put(l, digits);
}

static void put_answer(struct line *l, const struct request *r, uint64_t ns)
{
    put(l, "\"status\":");
    put_number(l, status_of(r));
    put(l, ",\"bytes\":");
    if (bytes_of(r) == UINT64_MAX)
        put(l, "null");
    else
        put_number(l, bytes_of(r));
    put(l, ",\"duration_ms\":");
    put_number(l, ns / CLOCK_NS_PER_MS);
    put_thousandths(l, ns / CLOCK_NS_PER_US % 1000);
    put(l, ",");
}

static void write_json(struct line *l, const struct request *r, uint64_t ns)
{
    const struct request_headers *h = &r->headers;
    char trace_id[33] = "";
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (r->trace[0] != '\0')
        memcpy(trace_id, r->trace + TRACE_ID_AT, sizeof(trace_id) - 1);
    put(l, "{\"time\":\"");
    put(l, time_text(now.tv_sec, ACCESS_LOG_JSON));
    put_thousandths(l, (uint64_t)now.tv_nsec / CLOCK_NS_PER_MS);
    put(l, "Z\",");
    put_json(l, "\"address\":", r->address, WORD_BYTES_MAX);
    put_json(l, "\"method\":", r->method_text, WORD_BYTES_MAX);
    put_json(l, "\"target\":", r->logged_target, ACCESS_LOG_TARGET_BYTES_MAX);
    put_json(l, "\"version\":", r->version_text, WORD_BYTES_MAX);
    put_answer(l, r, ns);
    put_json(l, "\"request_id\":", r->id.text, ID_TEXT_BYTES);
    put_json(l, "\"trace_id\":", trace_id, sizeof(trace_id));
    put_json(l, "\"job\":", r->job.text, ID_TEXT_BYTES);
    put_json(l, "\"referer\":", h->values[HEADER_REFERER], REFERER_BYTES_MAX);
    put_json(l, "\"user_agent\":", h->values[HEADER_USER_AGENT], AGENT_BYTES_MAX);
    put(l, r->server->config.tls_cert != NULL ? "\"tls\":true}\n" : "\"tls\":false}\n");
}

void access_log_add(struct access_log *log, const struct request *r, uint64_t ns)
{
    struct line line;
    bool is_first, is_much;

    line.n = 0;
    if (log->format == ACCESS_LOG_JSON)
        write_json(&line, r, ns);
    else
        write_combined(&line, r);
    LOCKED(&log->lock);
    if (line.n > BUFFER_BYTES - log->filled) {
        log->unfit++;
        return;
    }
    memcpy(log->filling + log->filled, line.text, line.n);
    is_first = log->filled == 0;
    is_much = log->filled < HASTE_BYTES && log->filled + line.n >= HASTE_BYTES;
    log->filled += line.n;
    if (is_first || is_much)
        CHECK(pthread_cond_signal(&log->changed) == 0);
}

/* ---- the file ---- */

/* The mode is for those who may read logs, whatever the umask is for other files. */
static int make_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_NOCTTY | O_CLOEXEC, 0600);

    if (fd < 0)
        return -errno;
    (void)fchmod(fd, 0640);
    return fd;
}

/* Without O_NONBLOCK, opening a pipe that nobody reads would hang. */
static int open_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

    if (fd >= 0)
        return fd;
    return errno == ENOENT ? make_file(path) : -errno;
}

/* Takes the fd. */
static void use_file(struct access_log *log, int fd)
{
    struct stat st;

    check_close_fd(&log->fd);
    log->fd = fd;
    log->is_file = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    log->is_torn = false;
}

/* Once a minute at most. `why` is a negative errno. */
static void complain(struct access_log *log, int why)
{
    uint64_t now_ns = clock_now_ns();

    if (log->said_ns != 0 && now_ns - log->said_ns < SAY_AGAIN_S * CLOCK_NS_PER_S)
        return;
    log_warning("the access log %s: %s; %llu lines are lost so far",
                log->path == NULL ? "-" : log->path,
                why == -ENOBUFS  ? "it is written slower than requests come"
                : why == -EAGAIN ? "nobody reads it"
                                 : strerror(-why),
                (unsigned long long)log->lost);
    log->said_ns = now_ns;
}

static void reopen(struct access_log *log)
{
    int fd;

    if (log->path == NULL)
        return;
    fd = open_file(log->path);
    if (fd < 0)
        complain(log, fd);
    else
        use_file(log, fd);
}

static bool was_removed(const struct access_log *log)
{
    struct stat st;

    return log->is_file && log->path != NULL && fstat(log->fd, &st) == 0 && st.st_nlink == 0;
}

/* As much as goes without waiting for long; a file takes it all. */
static ssize_t write_some(struct access_log *log, const char *data, size_t bytes)
{
    struct pollfd p = {.fd = log->fd, .events = POLLOUT};
    ssize_t n;

    if (!log->is_file && poll(&p, 1, STUCK_MS) == 0)
        return -EAGAIN;
    do
        n = write(log->fd, data, log->is_file ? bytes : MIN(bytes, (size_t)PIPE_BUF));
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n;
}

static uint64_t count_lines(const char *data, size_t bytes)
{
    uint64_t n = 0;

    for (const char *end = data + bytes; (data = memchr(data, '\n', (size_t)(end - data))) != NULL;
         data++)
        n++;
    return n;
}

static void write_all(struct access_log *log, const char *data, size_t bytes)
{
    ssize_t n = log->is_torn ? write_some(log, "\n", 1) : 0;

    log->is_torn = log->is_torn && n < 0;
    while (n >= 0 && bytes > 0) {
        n = write_some(log, data, bytes);
        if (n < 0)
            break;
        data += n;
        bytes -= (size_t)n;
        log->is_torn = n > 0 ? data[-1] != '\n' : log->is_torn;
    }
    if (n >= 0)
        return;
    log->lost += count_lines(data, bytes);
    complain(log, (int)n);
}

/* ---- the thread ---- */

struct work {
    size_t bytes;
    bool must_reopen, is_ending;
    uint64_t unfit;
};

/* Until something came, and then a little, for more to come. */
static void wait_for_work(struct access_log *log)
{
    uint64_t until_ns;
    struct timespec until;

    while (log->filled == 0 && !log->must_reopen && !log->is_ending)
        CHECK(pthread_cond_wait(&log->changed, &log->lock.mutex) == 0);
    until_ns = clock_now_ns() + ACCESS_LOG_FLUSH_MS * CLOCK_NS_PER_MS;
    until = (struct timespec) {.tv_sec = (time_t)(until_ns / CLOCK_NS_PER_S),
                               .tv_nsec = (long)(until_ns % CLOCK_NS_PER_S)};
    while (log->filled < HASTE_BYTES && !log->must_reopen && !log->is_ending) {
        if (pthread_cond_timedwait(&log->changed, &log->lock.mutex, &until) == ETIMEDOUT)
            return;
    }
}

static struct work take_work(struct access_log *log)
{
    struct work work;
    char *filled;
    LOCKED(&log->lock);

    wait_for_work(log);
    work = (struct work) {log->filled, log->must_reopen, log->is_ending, log->unfit};
    filled = log->filling;
    log->filling = log->writing;
    log->writing = filled;
    log->filled = 0;
    log->must_reopen = false;
    log->unfit = 0;
    return work;
}

static void *write_on(void *arg)
{
    struct access_log *log = arg;
    struct work work;

    thread_be_prompt();
    do {
        work = take_work(log);
        if (was_removed(log))
            reopen(log);
        write_all(log, log->writing, work.bytes);
        log->lost += work.unfit;
        if (work.unfit > 0)
            complain(log, -ENOBUFS);
        if (work.must_reopen)
            reopen(log);
    } while (!work.is_ending);
    return NULL;
}

/* ---- its life ---- */

int access_log_format_parse(const char *word, enum access_log_format *ret_format)
{
    if (strcmp(word, "combined") == 0)
        *ret_format = ACCESS_LOG_COMBINED;
    else if (strcmp(word, "json") == 0)
        *ret_format = ACCESS_LOG_JSON;
    else
        return -EINVAL;
    return 0;
}

static void init_lock(struct access_log *log)
{
    pthread_condattr_t attr;

    lock_init(&log->lock, LOCK_LIMITS);
    CHECK(pthread_condattr_init(&attr) == 0);
    CHECK(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&log->changed, &attr) == 0);
    CHECK(pthread_condattr_destroy(&attr) == 0);
}

static struct access_log *release(struct access_log *log)
{
    CHECK(pthread_cond_destroy(&log->changed) == 0);
    lock_release(&log->lock);
    check_close_fd(&log->fd);
    free(log->filling);
    free(log->writing);
    free(log->path);
    free(log);
    return NULL;
}

static int prepare(struct access_log *log, const char *path, struct err *err)
{
    bool is_output = strcmp(path, "-") == 0;
    int rc = is_output ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0) : open_file(path);

    if (rc < 0)
        return err_set(err, is_output ? -errno : rc, "cannot write the access log %s: %s", path,
                       strerror(is_output ? errno : -rc));
    use_file(log, rc);
    log->path = is_output ? NULL : strdup(path);
    log->filling = malloc(BUFFER_BYTES);
    log->writing = malloc(BUFFER_BYTES);
    if (log->filling == NULL || log->writing == NULL || (log->path == NULL && !is_output))
        return err_set(err, -ENOMEM, "no memory for the access log");
    rc = thread_start(&log->writer, "access-log", write_on, log);
    return rc == 0 ? 0 : err_set(err, rc, "no thread for the access log: %s", strerror(-rc));
}

int access_log_new(struct access_log **ret, const char *path, enum access_log_format format,
                   struct err *err)
{
    struct access_log *log = calloc(1, sizeof(*log));
    int rc;

    if (log == NULL)
        return err_set(err, -ENOMEM, "no memory for the access log");
    log->format = format;
    log->fd = -1;
    init_lock(log);
    rc = prepare(log, path, err);
    if (rc < 0) {
        (void)release(log);
        return rc;
    }
    *ret = log;
    return 0;
}

struct access_log *access_log_free(struct access_log *log)
{
    if (log == NULL)
        return NULL;
    lock_take(&log->lock);
    log->is_ending = true;
    CHECK(pthread_cond_signal(&log->changed) == 0);
    lock_drop(&log->lock);
    thread_join(&log->writer);
    return release(log);
}

void access_log_reopen(struct access_log *log)
{
    LOCKED(&log->lock);

    log->must_reopen = true;
    CHECK(pthread_cond_signal(&log->changed) == 0);
}
