/*
 * F4. Clients that leave while their request waits for workers. libmicrohttpd does not look at a suspended
 * connection, so the scheduler watches a duplicate of its socket in its own epoll set.
 *
 * A client that shuts down its sending side counts as gone: that is how curl's Ctrl-C looks. The caller
 * holds the scheduler's lock; the duplicate makes sure that no number is used again under our feet.
 */
#ifndef SCHED_WATCH_H
#define SCHED_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct job;

struct watch_entry {
    struct job *job; /* NULL: free */
    int fd;
    uint32_t serial;
};

struct watch {
    int epoll_fd;
    struct watch_entry *entries;
    size_t count, capacity, lowest_free;
};

void watch_init(struct watch *w, int epoll_fd);
void watch_release(struct watch *w);

/* Watches a duplicate of job->socket. Negative errno when that cannot be; the job goes on unwatched.
 * Sets job->watch, 1-based; 0: not watched. */
int watch_add(struct watch *w, struct job *job);
void watch_remove(struct watch *w, struct job *job);

bool watch_owns_tag(uint64_t tag);

/* Whose client it is that left; NULL when the job has ended meanwhile. */
struct job *watch_find(const struct watch *w, uint64_t tag);

#endif
