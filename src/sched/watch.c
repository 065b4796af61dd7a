#include "sched/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>

#include "base/check.h"
#include "jobs/job.h"

enum { TAG_WATCH = 3 };

void watch_init(struct watch *w, int epoll_fd)
{
    *w = (struct watch) {.epoll_fd = epoll_fd};
}

void watch_release(struct watch *w)
{
    CHECK(w->count == 0);
    free(w->entries);
}

static int find_free(struct watch *w)
{
    size_t i = w->lowest_free;

    while (i < w->capacity && w->entries[i].job != NULL)
        i++;
    if (i == w->capacity) {
        size_t capacity = MAX(w->capacity * 2, (size_t)64);
        struct watch_entry *entries = reallocarray(w->entries, capacity, sizeof(*entries));
        if (entries == NULL)
            return -ENOMEM;
        memset(entries + w->capacity, 0, (capacity - w->capacity) * sizeof(*entries));
        w->entries = entries;
        w->capacity = capacity;
    }
    w->lowest_free = i + 1;
    return (int)i;
}

int watch_add(struct watch *w, struct job *job)
{
    struct epoll_event event = {.events = EPOLLRDHUP | EPOLLONESHOT};
    CLEANUP_FD int fd = fcntl(job->socket, F_DUPFD_CLOEXEC, 3);
    struct watch_entry *entry;
    int place;

    if (fd < 0)
        return -errno;
    place = find_free(w);
    if (place < 0)
        return place;
    entry = &w->entries[place];
    event.data.u64 = (uint64_t)TAG_WATCH << 56 | (uint64_t)place << 32 | ++entry->serial;
    if (epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
        return -errno;
    entry->job = job;
    entry->fd = take_fd(&fd);
    job->watch = (unsigned)place + 1;
    w->count++;
    return 0;
}

void watch_remove(struct watch *w, struct job *job)
{
    struct watch_entry *entry;

    if (job->watch == 0)
        return;
    entry = &w->entries[job->watch - 1];
    /* Closing the duplicate is not enough: the original is the same open file, so it would stay. */
    (void)epoll_ctl(w->epoll_fd, EPOLL_CTL_DEL, entry->fd, NULL);
    (void)close(entry->fd);
    entry->job = NULL;
    w->lowest_free = MIN(w->lowest_free, (size_t)job->watch - 1);
    w->count--;
    job->watch = 0;
}

bool watch_owns_tag(uint64_t tag)
{
    return tag >> 56 == TAG_WATCH;
}

struct job *watch_find(const struct watch *w, uint64_t tag)
{
    size_t place = (tag >> 32) & 0xffffff;
    const struct watch_entry *entry = &w->entries[place];

    if (place >= w->capacity || entry->serial != (uint32_t)tag)
        return NULL;
    return entry->job;
}
