/*
 * F3, http's own. What one pool thread keeps for itself, so that answering needs no lock: its spare requests,
 * its files, its count of requests in flight. All but the two functions at the end are called on the pool
 * thread.
 */
#ifndef HTTP_SEAT_H
#define HTTP_SEAT_H

#include <stdatomic.h>
#include <stddef.h>

struct request;
struct seat;
struct server;
struct static_cache;

/* A request with nothing in it; NULL without memory. The first takes the thread's seat. */
struct request *seat_request_take(struct server *s);
void seat_request_give(struct request *r);

/* NULL without www, or without memory. */
struct static_cache *seat_cache(void);

/* Around each request that server_wait_idle waits for. */
void seat_enter_flight(void);
void seat_leave_flight(struct server *s);

/* Under the server's idle_lock: requests in flight, of all seats. */
size_t seats_in_flight(const struct seat *first);

/* When the threads have ended. */
void seats_free(struct seat *first);

#endif
