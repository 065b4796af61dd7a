#include "http/linger.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "thread/lock.h"
#include "thread/thread.h"

enum { DISCARD_BYTES = 64 << 10, DISCARDS_MAX = 16 };

struct place {
    int fd;
    uint64_t until_ns;
};

struct linger_room {
    struct lock lock;
    pthread_cond_t changed;
    struct place places[LINGER_MAX];
    size_t count;
    bool is_ending;
    struct thread thread;
};

/* TCP throws away what is received so, without copying it. False when the connection is over. */
static bool discard(int fd)
{
    ssize_t n = 1;

    for (int i = 0; i < DISCARDS_MAX && n > 0; i++)
        n = recv(fd, NULL, DISCARD_BYTES, MSG_TRUNC | MSG_DONTWAIT);
    return n >= 0 || errno == EAGAIN || errno == EINTR;
}

static bool has_taken_all(int fd)
{
    int bytes;

    return ioctl(fd, SIOCOUTQ, &bytes) < 0 || bytes == 0;
}

/* Under the lock. */
static void look(struct linger_room *l)
{
    uint64_t now_ns = clock_now_ns();
    size_t kept = 0;

    for (size_t i = 0; i < l->count; i++) {
        struct place p = l->places[i];
        if (discard(p.fd) && !has_taken_all(p.fd) && now_ns < p.until_ns)
            l->places[kept++] = p;
        else
            (void)close(p.fd);
    }
    l->count = kept;
}

static void pause_until(struct linger_room *l, uint64_t ns)
{
    struct timespec until = {.tv_sec = (time_t)(ns / CLOCK_NS_PER_S),
                             .tv_nsec = (long)(ns % CLOCK_NS_PER_S)};

    (void)pthread_cond_timedwait(&l->changed, &l->lock.mutex, &until);
}

static void *run(void *arg)
{
    struct linger_room *l = arg;
    LOCKED(&l->lock);

    while (!l->is_ending || l->count > 0) {
        if (l->count == 0)
            CHECK(pthread_cond_wait(&l->changed, &l->lock.mutex) == 0);
        else
            pause_until(l, clock_now_ns() + LINGER_LOOK_MS * CLOCK_NS_PER_MS);
        look(l);
    }
    return NULL;
}

static struct linger_room *release(struct linger_room *l)
{
    (void)pthread_cond_destroy(&l->changed);
    lock_release(&l->lock);
    free(l);
    return NULL;
}

int linger_new(struct linger_room **ret, struct err *err)
{
    struct linger_room *l = calloc(1, sizeof(*l));
    pthread_condattr_t attributes;
    int rc;

    if (l == NULL)
        return err_set(err, -ENOMEM, "There is no memory for the HTTP server.");
    lock_init(&l->lock, LOCK_LIMITS);
    CHECK(pthread_condattr_init(&attributes) == 0);
    CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&l->changed, &attributes) == 0);
    (void)pthread_condattr_destroy(&attributes);
    rc = thread_start(&l->thread, "linger", run, l);
    if (rc < 0) {
        (void)release(l);
        return err_set(err, rc, "A thread of the HTTP server cannot be started.");
    }
    *ret = l;
    return 0;
}

struct linger_room *linger_free(struct linger_room *l)
{
    if (l == NULL)
        return NULL;
    lock_take(&l->lock);
    l->is_ending = true;
    CHECK(pthread_cond_signal(&l->changed) == 0);
    lock_drop(&l->lock);
    thread_join(&l->thread);
    return release(l);
}

static bool is_to_be_reset(int fd)
{
    struct linger option = {.l_onoff = 0};
    socklen_t bytes = sizeof(option);

    return getsockopt(fd, SOL_SOCKET, SO_LINGER, &option, &bytes) < 0 || option.l_onoff != 0;
}

static bool has_unread(int fd)
{
    int bytes;

    return ioctl(fd, SIOCINQ, &bytes) == 0 && bytes > 0;
}

void linger_take(struct linger_room *l, int fd, bool may_send_more)
{
    int copy;

    if (has_taken_all(fd) || (!may_send_more && !has_unread(fd)) || is_to_be_reset(fd))
        return;
    LOCKED(&l->lock);
    if (l->count == LINGER_MAX)
        return;
    copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0)
        return;
    (void)shutdown(fd, SHUT_WR);
    l->places[l->count++] =
        (struct place) {.fd = copy, .until_ns = clock_now_ns() + LINGER_MS * CLOCK_NS_PER_MS};
    CHECK(pthread_cond_signal(&l->changed) == 0);
}
