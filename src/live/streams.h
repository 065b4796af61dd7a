/*
 * F4b. Who listens. All of it is the thread "live"'s.
 */
#ifndef LIVE_STREAMS_H
#define LIVE_STREAMS_H

#include <sys/queue.h>

#include "http/stream.h"

struct listener {
    STAILQ_ENTRY(listener) link;
    struct stream *stream;
};
STAILQ_HEAD(listeners, listener);

void streams_post(struct listeners *all, const char *event, const char *text);

/* Lets go of those whose client has gone; how many. */
unsigned streams_sweep(struct listeners *all);

/* Tells all that the server ends, and lets go of them; how many. */
unsigned streams_end(struct listeners *all);

#endif
