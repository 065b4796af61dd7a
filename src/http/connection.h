/*
 * F3, http's own. Connections, as far as libmicrohttpd tells of them: who may come in, and who it is.
 */
#ifndef HTTP_CONNECTION_H
#define HTTP_CONNECTION_H

#include <microhttpd.h>
#include <stdint.h>

#include "http/deadline.h"

enum { CONNECTION_ADDRESS_BYTES = 64 };

struct client;
struct server;
struct request;

/* What we know of one connection, from its start to its end. */
struct connection {
    struct deadline deadline;
    struct client
        *client;  /* NULL: let in without being counted, for want of memory, or about to be shut */
    uint64_t key; /* of the address, for fairness */
    char address[CONNECTION_ADDRESS_BYTES]; /* as text, for logs */
    int fd;
    bool is_served; /* its first request has been handled */
    bool has_room;  /* see room.h */
};

/* The policy of accepting: nobody is let in while the server drains. */
enum MHD_Result connection_admit(void *server, const struct sockaddr *address, socklen_t bytes);

/* MHD_OPTION_NOTIFY_CONNECTION. */
void connection_changed(void *server, struct MHD_Connection *connection, void **context,
                        enum MHD_ConnectionNotificationCode what);

/* Its first request has been handled: what is left is to compute, or to send. */
void connection_served(struct connection *c, struct server *s);

/* Gives a large file room on its way, if there is any left and it is sent in clear text: with TLS the bytes would be copies. */
void connection_make_room(struct connection *c, struct server *s);

/* NULL when there was no memory for it at its start. */
struct connection *connection_of(struct MHD_Connection *connection);

/* Gives the request its id and its trace, if it has none yet; not done for static files, which need neither. */
void connection_identify(struct request *r);

#endif
