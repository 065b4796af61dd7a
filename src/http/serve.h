/*
 * F3, http's own. The callbacks of libmicrohttpd: how one request goes from its first line to its end. All
 * run on the pool thread of its connection.
 *
 * libmicrohttpd calls the handler once when the headers are here, once for each piece of the body, and once
 * at the end; after a resume it calls as it did before. An answer in the first call closes the connection,
 * so it is given there only to refuse a body; all others wait for the last call.
 */
#ifndef HTTP_SERVE_H
#define HTTP_SERVE_H

#include <microhttpd.h>
#include <stdatomic.h>

#include "base/hash.h"
#include "http/gate.h"
#include "http/room.h"
#include "http/server.h"
#include "http/static.h"
#include "http/tls.h"

/* What of the metric is labelled with. */
enum refused { REFUSED_CONNECTIONS, REFUSED_REQUESTS, REFUSED_BODIES, REFUSED_COUNT };

struct server {
    struct server_config config;
    struct door *doors;           /* config.threads of them */
    struct MHD_Response *failure; /* for when there is no memory for another */
    struct static_files *files;   /* NULL without www */
    struct park_lot lot;
    struct room room;
    struct hash_key client_key;
    int *route_labels; /* of the metrics, in the order of the routes */
    int static_label, unmatched_label;
    _Atomic bool leaving,
        draining; /* leaving: served as usual, but each connection ends with its answer */
    _Atomic unsigned starved; /* threads that have no descriptor for a connection */
    _Atomic size_t unserved;  /* connections whose first request has not been handled */
    struct lock idle_lock;
    pthread_cond_t idle;
    struct seat *seats; /* under idle_lock */
    struct clients *clients;
    struct deadlines *deadlines;
    struct linger_room *linger;
    struct access *access;
    struct tls tls;
    struct gate_rules rules;
    int refused_labels[REFUSED_COUNT];
    _Atomic uint64_t body_bytes; /* of all bodies in flight */
    _Atomic size_t seatless;     /* connections that no seat counts, for want of memory */
    int quiet_fds[2];            /* a socket pair that nothing is ever sent through */
    _Atomic bool shut;
    char url[128];
};

/* The request line has come: MHD_OPTION_URI_LOG_CALLBACK. What it returns is the handler's *context. */
void *serve_arrive(void *server, const char *uri, struct MHD_Connection *connection);

/* The handler. */
enum MHD_Result serve_call(void *server, struct MHD_Connection *connection, const char *url,
                           const char *method, const char *version, const char *data,
                           size_t *data_bytes, void **context);

/* The answer is sent or the connection gone: MHD_OPTION_NOTIFY_COMPLETED. */
void serve_complete(void *server, struct MHD_Connection *connection, void **context,
                    enum MHD_RequestTerminationCode why);

/* Under idle_lock: waits until somebody calls server_wake; -ETIMEDOUT at the deadline. */
int server_wait_changed(struct server *s, uint64_t deadline_ns);

/* Wakes whoever waits in server_wait_idle or server_leave, or for a descriptor, to look again. */
void server_wake(struct server *s);

#endif
