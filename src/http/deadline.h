/*
 * F3, http's own. Slow clients. libmicrohttpd's timeout begins anew with every byte, so a client that sends one now
 * and then keeps its connection for ever; here every connection has a deadline for what it is at:
 *
 *     headers   header_ns from the first of them (for a new connection: from its start) to the last
 *     body      body_ns, and then bytes_per_s on average
 *     answer    in every answer_ns the client takes bytes_per_s, as long as there is anything to take
 *     parked    as an answer: an event stream that nobody reads ends, one that has nothing to say does not
 *     idle      idle_ns from the last answer to the next request line
 *
 * Who is late is told 408 where an answer still can be told (plain connections that wait for headers or a body), and
 * then its socket is shut down; libmicrohttpd sees that as the client's leaving.
 *
 * One table for all connections: a wheel of slots, each a list of those that are looked at in that tick, and one
 * thread that sleeps until the next slot that is not empty. A connection's deadline is one word that only its pool
 * thread writes; the wheel looks at it when the slot comes, and moves those that have more time. So the pool threads
 * take the lock when a connection begins and ends, or when its deadline comes nearer than its slot; not for
 * each request.
 */
#ifndef HTTP_DEADLINE_H
#define HTTP_DEADLINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/err.h"

struct deadlines;

struct deadline_rules {
    uint64_t header_ns, body_ns, answer_ns, idle_ns;
    uint64_t bytes_per_s;
};

enum deadline_phase {
    DEADLINE_HEADERS,
    DEADLINE_BODY,
    DEADLINE_ANSWER,
    DEADLINE_PARKED,
    DEADLINE_IDLE,
};

/* Of one connection. Its members are deadline.c's. */
struct deadline {
    LIST_ENTRY(deadline) link;
    struct deadlines *all;
    int fd;
    bool may_tell;          /* a 408 in clear text */
    _Atomic uint64_t at_ns; /* monotonic */
    _Atomic int phase;
    uint64_t slot_ns; /* when the wheel looks next */
    uint64_t phase_began_ns;
    uint64_t taken_bytes; /* of the body */
    uint64_t acked_bytes; /* of the answer, when the wheel looked last */
};

/* Starts the thread. -ENOMEM and others, with a sentence. */
int deadlines_new(struct deadlines **ret, const struct deadline_rules *rules, struct err *err);

/* When no connection is left. */
struct deadlines *deadlines_free(struct deadlines *all);

/* From now on idle connections are shut down at once, and so is one that waits for headers; a body and an answer have
 * what their rules give them, but at most until `deadline_ns`. */
void deadlines_drain(struct deadlines *all, uint64_t deadline_ns);

/* A connection begins with its headers. The fd stays libmicrohttpd's, and must be open until deadline_end. */
void deadline_begin(struct deadlines *all, struct deadline *d, int fd, bool may_tell,
                    uint64_t now_ns);
void deadline_end(struct deadline *d);

/* The phases, each on the pool thread. */
void deadline_headers(struct deadline *d, uint64_t now_ns);
void deadline_body(struct deadline *d, uint64_t now_ns);
void deadline_body_took(struct deadline *d, uint64_t bytes);
void deadline_parked(struct deadline *d, uint64_t now_ns);
void deadline_answer(struct deadline *d, uint64_t now_ns);
void deadline_idle(struct deadline *d, uint64_t now_ns);

#endif
