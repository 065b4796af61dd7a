/*
 * F3, http's own. Who is connected, by address, and how much of the server one address may take: connections at
 * once, and requests per second with a burst (a token bucket). IPv6 addresses count by their /64. Any thread.
 *
 * An address is known as long as it is connected, and after that as long as its bucket is not full again, so leaving
 * does not refill it. Who comes and goes takes a lock; a request takes none, one atomic exchange is enough. Without any
 * limit nobody is known and nothing is counted.
 */
#ifndef HTTP_CLIENTS_H
#define HTTP_CLIENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct clients;
struct client;

struct clients_limits {
    unsigned connections;           /* of one address at once; 0: no limit */
    unsigned requests_per_s, burst; /* of one address; 0: no limit */
};

/* What a client is told of its bucket. */
struct client_quota {
    bool is_refused;
    unsigned limit; /* the burst */
    unsigned remaining;
    uint64_t refill_ns; /* until it is full */
    uint64_t wait_ns;   /* refused: until one request is allowed again */
};

/* NULL without memory. A burst of 0 is taken as 1. */
struct clients *clients_new(struct clients_limits limits);
/* When all have left. NULL is fine. */
struct clients *clients_free(struct clients *clients);

/* A connection from this address. NULL when it has as many as it may (*ret_is_full), or there is no memory. */
struct client *clients_enter(struct clients *clients, const struct sockaddr *address,
                             bool *ret_is_full);
void client_leave(struct client *client);

/* One request. Without a limit nothing is counted, and *ret_quota is zero. */
bool client_may_ask(struct client *client, uint64_t now_ns, struct client_quota *ret_quota);

#endif
