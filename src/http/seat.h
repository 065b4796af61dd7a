/*
 * F3, http's own. What one pool thread keeps for itself, so that answering needs no lock: its spare requests,
 * its files, its answers that are given again, its count of requests in flight. All but the three functions at the end are called on the pool
 * thread.
 */
#ifndef HTTP_SEAT_H
#define HTTP_SEAT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct kept_table;
struct request;
struct seat;
struct server;
struct static_cache;

/* A request with nothing in it; NULL without memory. The first takes the thread's seat. */
struct request *seat_request_take(struct server *s);
void seat_request_give(struct request *r);

/* NULL without www, or without memory. */
struct static_cache *seat_cache(void);

/* Made when first asked for; NULL without memory. */
struct kept_table *seat_kept(void);

/* Around each request that server_wait_idle waits for. */
void seat_enter_flight(void);
void seat_leave_flight(struct server *s);

/* A connection of this thread begins (1) or ends (-1). False without memory for the seat. */
bool seat_count_connection(struct server *s, int change);

/* Under the server's idle_lock: connections of the thread that has most. */
size_t seats_connections_max(const struct seat *first);

/* Under the server's idle_lock: requests in flight, of all seats. */
size_t seats_in_flight(const struct seat *first);

/* When the threads have ended. */
void seats_free(struct seat *first);

#endif
