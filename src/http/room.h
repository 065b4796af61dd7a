/*
 * F3, http's own. How much of a large file the system takes at once for one client.
 *
 * By itself it lets a socket hold 4 MiB at most (net.ipv4.tcp_wmem). With ROOM_BYTES a file of 10 MiB wakes its thread
 * once or twice and not five times; waking is a quarter of what such a file costs.
 *
 * The price is that so much of the file stays in memory for a client that does not take it, and counts against what the
 * system gives to all of TCP (net.ipv4.tcp_mem). So ROOM_CONNECTIONS_MAX have it at once, 128 MiB together, and others get
 * what the system gives by itself. Who has it keeps it to the end of the connection, since what was sent may stay with the
 * system as long. What a connection leaves behind at its end is not counted, with room or without.
 *
 * Where the system allows less (net.core.wmem_max), or gives as much by itself, nobody gets it: a socket that was told its
 * size does not grow any more.
 */
#ifndef HTTP_ROOM_H
#define HTTP_ROOM_H

#include <stdatomic.h>
#include <stdbool.h>

enum {
    ROOM_BYTES = 8 << 20, /* as the system counts them */
    ROOM_CONNECTIONS_MAX = 16,
    ROOM_ANSWER_BYTES_MIN = 4 << 20, /* smaller ones fit into what the system gives */
};

struct room {
    bool is_allowed;
    _Atomic unsigned taken;
};

/* Asks the system what it allows. */
void room_init(struct room *room);

/* Any thread. False when it is not allowed, or when as many have it as may; the socket is then as before. */
bool room_take(struct room *room, int fd);

/* Any thread, once for each that has taken it, when its socket is about to be closed. */
void room_leave(struct room *room);

#endif
