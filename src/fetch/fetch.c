#include "fetch/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "fetch/internal.h"
#include "state/metrics.h"

enum { WAIT_MS = 3600 * 1000 };

/* ---- made and freed ---- */

static void label_outcomes(void)
{
    (void)metrics_label(METRIC_FETCH_PAGES, "ok");
    for (int error = FETCH_FINE + 1; error < FETCH_ERROR_COUNT; error++)
        (void)metrics_label(METRIC_FETCH_PAGES, fetch_error_codes[error]);
}

static void init_settled(struct fetch *f)
{
    pthread_condattr_t attributes;

    CHECK(pthread_condattr_init(&attributes) == 0);
    CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&f->settled, &attributes) == 0);
    (void)pthread_condattr_destroy(&attributes);
}

int fetch_new(struct fetch **ret, const struct fetch_config *config, struct err *err)
{
    struct fetch *f = calloc(1, sizeof(*f));
    struct err why = {""};

    if (f == NULL)
        return err_set(err, -ENOMEM, "There is no memory for fetching.");
    f->config = *config;
    if (guard_parse_allow(&f->guard, config->allow, &why) < 0) {
        free(f);
        return err_set(err, -EINVAL, "--fetch-allow: %s.", why.text);
    }
    if (guard_parse_ports(&f->guard, config->ports, &why) < 0) {
        free(f);
        return err_set(err, -EINVAL, "--fetch-ports: %s.", why.text);
    }
    f->epoll_fd = f->wake_fd = -1;
    lock_init(&f->lock, LOCK_LIMITS);
    init_settled(f);
    STAILQ_INIT(&f->letters);
    TAILQ_INIT(&f->posted);
    TAILQ_INIT(&f->batches);
    TAILQ_INIT(&f->transfers);
    label_outcomes();
    *ret = f;
    return 0;
}

static void wake(struct fetch *f)
{
    uint64_t one = 1;

    (void)!write(f->wake_fd, &one, sizeof(one));
}

struct fetch *fetch_free(struct fetch *f)
{
    if (f == NULL)
        return NULL;
    lock_take(&f->lock);
    f->is_draining = f->must_end = true;
    lock_drop(&f->lock);
    if (f->has_thread) {
        wake(f);
        thread_join(&f->thread);
    }
    check_close_fd(&f->epoll_fd);
    check_close_fd(&f->wake_fd);
    CHECK(pthread_cond_destroy(&f->settled) == 0);
    lock_release(&f->lock);
    free(f);
    return NULL;
}

/* ---- what others have posted ---- */

void fetch_post(struct fetch *f, struct fetch_letter *letter)
{
    lock_take(&f->lock);
    STAILQ_INSERT_TAIL(&f->letters, &letter->mail, link);
    /* Within the lock: who takes the letter may end the last batch, and then all of this. */
    wake(f);
    lock_drop(&f->lock);
}

/* A client that has gone sends the end of its stream. Unwatched it is found out when it is answered. */
static void watch_client(struct fetch *f, struct fetch_batch *b)
{
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLONESHOT, .data.ptr = b};

    if (b->watch_fd >= 0)
        (void)epoll_ctl(f->epoll_fd, EPOLL_CTL_ADD, b->watch_fd, &event);
}

static void begin_batch(struct fetch *f, struct fetch_batch *b)
{
    struct err why = {""};

    if (!f->has_curl)
        f->has_curl = libcurl_load(&f->curl, &why) == 0;
    if (f->has_curl && f->multi == NULL)
        f->multi = f->curl.multi_init();
    turn_add(f, b);
    watch_client(f, b);
    if (f->multi == NULL)
        turn_stop(f, b, FETCH_NO_LIBRARY,
                  *why.text != '\0' ? why.text : "There is no memory for fetching. Try later.");
}

static void stop_all(struct fetch *f)
{
    struct fetch_batch *b, *next;

    for (b = TAILQ_FIRST(&f->batches); b != NULL; b = next) {
        next = TAILQ_NEXT(b, link);
        turn_stop(f, b, FETCH_ENDING, "The server is shutting down.");
    }
    lock_take(&f->lock);
    f->has_stopped = true;
    CHECK(pthread_cond_broadcast(&f->settled) == 0);
    lock_drop(&f->lock);
}

/* False when the thread is to end. */
static bool take_posts(struct fetch *f)
{
    struct batch_list posted = TAILQ_HEAD_INITIALIZER(posted);
    struct mail_list letters = STAILQ_HEAD_INITIALIZER(letters);
    bool must_stop, must_end;
    struct fetch_batch *b;
    struct mail *mail;

    lock_take(&f->lock);
    TAILQ_CONCAT(&posted, &f->posted, link);
    STAILQ_CONCAT(&letters, &f->letters);
    must_stop = f->must_stop;
    must_end = f->must_end && f->batch_count == 0;
    lock_drop(&f->lock);
    while ((b = TAILQ_FIRST(&posted)) != NULL) {
        TAILQ_REMOVE(&posted, b, link);
        begin_batch(f, b);
    }
    while ((mail = STAILQ_FIRST(&letters)) != NULL) {
        struct fetch_letter *letter = CONTAINER_OF(mail, struct fetch_letter, mail);
        STAILQ_REMOVE_HEAD(&letters, link);
        letter->run(letter);
    }
    if (must_stop)
        stop_all(f);
    return !must_end;
}

/* ---- the loop ---- */

static void wait_for_news(struct fetch *f)
{
    struct curl_waitfd ours = {.fd = f->epoll_fd, .events = CURL_WAIT_POLLIN};
    struct epoll_event event;
    uint64_t ignored;

    if (f->multi != NULL)
        (void)f->curl.multi_poll(f->multi, &ours, 1, WAIT_MS, NULL);
    /* One by one: what is done about one may end the batch of another. */
    while (epoll_wait(f->epoll_fd, &event, 1, f->multi == NULL ? WAIT_MS : 0) > 0) {
        if (event.data.ptr != NULL) {
            metrics_add(METRIC_HANGUPS, 0, 1);
            turn_stop(f, event.data.ptr, FETCH_CLIENT_GONE, "Its client has left.");
            continue;
        }
        (void)!read(f->wake_fd, &ignored, sizeof(ignored));
        return;
    }
}

static void turn(struct fetch *f)
{
    int running;

    if (f->multi == NULL)
        return;
    (void)f->curl.multi_perform(f->multi, &running);
    turn_collect(f);
    turn_begin(f);
    if (!TAILQ_EMPTY(&f->batches))
        return;
    /* Nobody fetches: no connection is kept, and no address. */
    (void)f->curl.multi_cleanup(f->multi);
    f->multi = NULL;
}

static void *run(void *arg)
{
    struct fetch *f = arg;

    while (take_posts(f)) {
        turn(f);
        wait_for_news(f);
    }
    return NULL;
}

/* ---- batches ---- */

/* Under the lock. */
static int start_thread(struct fetch *f)
{
    struct epoll_event event = {.events = EPOLLIN};
    CLEANUP_FD int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    CLEANUP_FD int wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (epoll_fd < 0 || wake_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, wake_fd, &event) < 0)
        return -EAGAIN;
    f->epoll_fd = epoll_fd;
    f->wake_fd = wake_fd;
    if (thread_start(&f->thread, "fetch", run, f) < 0) {
        f->epoll_fd = f->wake_fd = -1;
        return -EAGAIN;
    }
    (void)take_fd(&epoll_fd);
    (void)take_fd(&wake_fd);
    f->has_thread = true;
    return 0;
}

/* Under the lock: whether one more may be. */
static int check_room(struct fetch *f)
{
    if (f->is_draining)
        return -ESHUTDOWN;
    if (f->batch_count >= f->config.batches_max)
        return -EBUSY;
    return f->has_thread ? 0 : start_thread(f);
}

int fetch_admit(struct fetch *f, struct fetch_batch *b)
{
    struct fetch_target *targets = calloc(b->count, sizeof(*targets));
    int rc;

    if (targets == NULL)
        return -ENOMEM;
    lock_take(&f->lock);
    rc = check_room(f);
    if (rc == 0)
        f->batch_count++;
    lock_drop(&f->lock);
    if (rc < 0) {
        free(targets);
        return rc;
    }
    b->targets = targets;
    b->next = b->flying = b->landed_count = 0;
    b->watch_fd = -1;
    b->is_stopped = false;
    return 0;
}

static void leave(struct fetch *f)
{
    LOCKED(&f->lock);

    f->batch_count--;
    CHECK(pthread_cond_broadcast(&f->settled) == 0);
}

void fetch_withdraw(struct fetch *f, struct fetch_batch *b)
{
    free(take_ptr(b->targets));
    leave(f);
}

void fetch_start(struct fetch *f, struct fetch_batch *b, int socket)
{
    b->watch_fd = socket < 0 ? -1 : fcntl(socket, F_DUPFD_CLOEXEC, 3);
    metrics_add(METRIC_FETCH_REQUESTS, 0, 1);
    lock_take(&f->lock);
    TAILQ_INSERT_TAIL(&f->posted, b, link);
    wake(f);
    lock_drop(&f->lock);
}

void fetch_release(struct fetch *f, struct fetch_batch *b, size_t bytes)
{
    CHECK(b->landed_count > 0 && f->held_bytes >= bytes);
    b->landed_count--;
    f->held_bytes -= bytes;
}

void fetch_finish(struct fetch *f, struct fetch_batch *b)
{
    turn_remove(f, b);
    if (b->watch_fd >= 0) {
        /* The original is the same open file, so it would stay watched. */
        (void)epoll_ctl(f->epoll_fd, EPOLL_CTL_DEL, b->watch_fd, NULL);
        (void)close(b->watch_fd);
    }
    leave(f);
}

size_t fetch_drain(struct fetch *f, uint64_t deadline_ns)
{
    struct timespec until = {.tv_sec = (time_t)(deadline_ns / CLOCK_NS_PER_S),
                             .tv_nsec = (long)(deadline_ns % CLOCK_NS_PER_S)};
    size_t left;
    LOCKED(&f->lock);

    f->is_draining = true;
    while (f->batch_count > 0) {
        if (pthread_cond_timedwait(&f->settled, &f->lock.mutex, &until) == ETIMEDOUT)
            break;
    }
    left = f->batch_count;
    if (left > 0) {
        f->must_stop = true;
        wake(f);
    }
    while (f->batch_count > 0 && !f->has_stopped)
        CHECK(pthread_cond_wait(&f->settled, &f->lock.mutex) == 0);
    return left;
}
