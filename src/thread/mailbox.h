/*
 * F1. A thread's mail: any thread posts, one takes. What is posted embeds its link, so posting never fails and never
 * allocates; how much may wait is the business of who posts.
 */
#ifndef THREAD_MAILBOX_H
#define THREAD_MAILBOX_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "thread/lock.h"

struct mail {
    STAILQ_ENTRY(mail) link;
};
STAILQ_HEAD(mail_list, mail);

struct mailbox {
    struct lock lock; /* LOCK_LIMITS: nothing is taken while it is held */
    pthread_cond_t filled;
    struct mail_list waiting;
    bool taker_sleeps; /* and nobody has woken it yet */
};

void mailbox_init(struct mailbox *m);

/* It must be empty, and every call of mailbox_post must have returned: the taker can have a letter before that. */
void mailbox_release(struct mailbox *m);

/* From any thread, in any order of locks. The letter is the taker's from now on. */
void mailbox_post(struct mailbox *m, struct mail *letter);

/* Waits for mail until `deadline_ns` (monotonic; CLOCK_NEVER: for ever), and moves at most `max` letters, in the order
 * in which they were posted, to the end of `ret`. How many; 0 only when the deadline has passed. */
size_t mailbox_take(struct mailbox *m, struct mail_list *ret, size_t max, uint64_t deadline_ns);

#endif
