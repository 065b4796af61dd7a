/*
 * F3, http's own. Slow clients. libmicrohttpd's timeout begins anew with every byte, so a client that sends one now
 * and then keeps its connection for ever; here every connection has a deadline for what it is at:
 *
 *     headers   header_ns from the request line (for a new connection: from its start) to the last of them
 *     body      body_ns, and then bytes_per_s on average
 *     answer    as long as there is anything to take, the client takes bytes_per_s, judged over answer_ns and the time
 *               that one segment has at that speed
 *     parked    as an answer: an event stream that nobody reads ends, one that has nothing to say does not
 *     idle      idle_ns from the last answer to the next request line
 *
 * Who is late is told 408 where an answer still can be told (plain connections that wait for headers or a body, but
 * not one that has never sent a byte, as browsers open them), and then its socket is shut down; libmicrohttpd sees
 * that as the client's leaving. A client too slow to take its answer is reset, so that the system does not keep what
 * it has not taken. All are counted in METRIC_HTTP_LATE.
 *
 * One table for all connections: a wheel of slots, each a list of those that are looked at in that tick, and one
 * thread that sleeps until the next slot that is not empty. A connection's deadline is one word that its pool thread
 * writes; the wheel looks at it when the slot comes, and moves those that have more time. It never moves anybody
 * further than the shortest of the rules (or 10 s), so no new deadline can come before its slot, and the pool threads
 * take the lock only when a connection begins and ends. A tick is 1/32 of that: so much later than its deadline a
 * connection may be shut.
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
    uint64_t bytes_per_s; /* 0 is taken as 1 */
};

/* Of one connection. Its members are deadline.c's. */
struct deadline {
    LIST_ENTRY(deadline) link; /* in the wheel; under its lock */
    struct deadlines *all;
    int fd;
    bool may_tell;                                /* a 408 in clear text */
    bool is_placed;                               /* in the wheel; under its lock */
    unsigned slot;                                /* under its lock */
    _Atomic uint64_t word;                        /* the phase and until when, if time ends it */
    uint64_t began_ns, taken_bytes;               /* of the body; the pool thread's */
    uint64_t looked_ns, ready_bytes, acked_bytes; /* of the answer; the wheel's */
};

/* Starts the thread. -ENOMEM and others, with a sentence. */
int deadlines_new(struct deadlines **ret, const struct deadline_rules *rules, struct err *err);

/* When no connection is left. Joins the thread. NULL is fine. */
struct deadlines *deadlines_free(struct deadlines *all);

/* From now on a body has what its rules give it, but at most until `deadline_ns`, and is then told 503. Everybody is
 * looked at once, so that those who have left are noticed. Idle connections stay: the next answer on them closes. */
void deadlines_drain(struct deadlines *all, uint64_t deadline_ns);

/* Whether the system still has something for a client that has not been given up. */
bool deadlines_have_unsent(struct deadlines *all);

/* Everybody who is still there is cut off, whatever has not been sent. */
void deadlines_cut(struct deadlines *all);

/* A connection begins with its headers. The fd stays libmicrohttpd's, and must be open until deadline_end: what
 * shuts it down does so under the wheel's lock. */
void deadline_begin(struct deadlines *all, struct deadline *d, int fd, bool may_tell,
                    uint64_t now_ns);
void deadline_end(struct deadline *d);

/* The phases, each on the pool thread. The coarse clock will do. */
void deadline_headers(struct deadline *d, uint64_t now_ns);
void deadline_body(struct deadline *d, uint64_t now_ns);
void deadline_body_took(struct deadline *d, uint64_t bytes);
void deadline_parked(struct deadline *d);
void deadline_answer(struct deadline *d);
void deadline_idle(struct deadline *d, uint64_t now_ns);

/* libmicrohttpd forgets that a socket is readable when it has read less than it asked for, and so overlooks an end
 * that came together with the last bytes. If the client has sent its end, this makes the system tell it again.
 * Any thread, while the fd is open. */
void deadline_retell_end(const struct deadline *d);

#endif
