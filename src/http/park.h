/*
 * F3. Suspending and resuming connections; the only code that calls libmicrohttpd's functions for it.
 *
 * libmicrohttpd breaks in three ways here: a resume of what is not suspended makes the next suspend a no-op
 * and the thread spin; a resume after the end is a use after free; and stopping the daemon with anything
 * suspended aborts. So every park is resumed exactly once, by whoever wins the exchange of its state,
 * and the lot counts who is in it, so that shutdown can refuse newcomers and wait for the rest.
 */
#ifndef HTTP_PARK_H
#define HTTP_PARK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "thread/lock.h"

struct MHD_Connection;

/* All parks of one server. The count is an atomic and the lock is for the last one out only, because every
 * compute request passes here twice. */
struct park_lot {
    struct lock lock;
    pthread_cond_t emptied;
    _Atomic size_t parked;
    _Atomic bool draining;
};

struct park {
    _Atomic int state;
    bool held; /* its place in the lot was taken with park_lot_enter and outlives its parks */
    struct park_lot *lot;
    struct MHD_Connection *connection;
};

void park_lot_init(struct park_lot *lot);
void park_lot_release(struct park_lot *lot); /* must be empty */

/* On the connection's own thread, inside its handler or content reader. False when draining. */
bool park_suspend(struct park_lot *lot, struct park *p, struct MHD_Connection *connection);

/* From any thread. True for the one call that resumed it. */
bool park_resume(struct park *p);

/* A place in the lot for something that parks again and again, such as a stream, so that a drain which has
 * begun neither cuts it nor overlooks it between two parks: set `held` in its park. False when draining.
 * park_lot_leave from any thread, once, and not while it is parked. */
bool park_lot_enter(struct park_lot *lot);
void park_lot_leave(struct park_lot *lot);

/* From now on park_suspend and park_lot_enter refuse. */
void park_lot_drain(struct park_lot *lot);

/* Waits until nothing is parked, or the deadline. How many are left; when none is, no thread that has resumed one still touches
 * the lot. */
size_t park_lot_wait(struct park_lot *lot, uint64_t deadline_ns);
size_t park_lot_count(struct park_lot *lot);

#endif
