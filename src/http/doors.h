/*
 * F3, http's own. The doors: for each thread that takes requests a daemon of libmicrohttpd and a listening socket of its
 * own on the same address (SO_REUSEPORT), so the system deals connections out evenly. Threads of one daemon share its
 * socket, wake each other for nothing, and one often ends up with nearly all of the connections.
 */
#ifndef HTTP_DOORS_H
#define HTTP_DOORS_H

#include "base/err.h"

struct MHD_Daemon;
struct server;

struct door {
    struct MHD_Daemon *daemon; /* NULL: not open */
    int fd;                    /* its listening socket; libmicrohttpd's once it is open */
};

/* s->doors, all closed. */
int doors_new(struct server *s, struct err *err);

/* Opens them all; the first has its socket already. */
int doors_open(struct server *s, struct err *err);

/* Puts the listening sockets out of libmicrohttpd's sight, as soon as that is safe: call again when a connection has
 * ended. Any thread. */
void doors_shut(struct server *s);

/* Ends the threads. */
void doors_close(struct server *s);
void doors_free(struct server *s);

#endif
