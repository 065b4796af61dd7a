/*
 * F3. The HTTP server: libmicrohttpd's epoll thread pool in front of the route table and www/.
 */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include "base/err.h"
#include "http/clients.h"
#include "http/deadline.h"
#include "http/router.h"

struct access_log;

struct server;

struct server_config {
    const char *listen;         /* "127.0.0.1:8080", "[::1]:0", "localhost:8080" */
    int listen_fd;              /* of listen_inherit, in place of `listen`; 0 or -1: none */
    bool insecure;              /* other than loopback is refused without this or a token */
    unsigned threads;           /* of the pool */
    unsigned connections;       /* at most at once */
    const char *www;            /* directory of static files; NULL: none */
    struct deadline_rules slow; /* how slow a client may be */
    struct clients_limits clients;
    uint64_t bodies_max; /* bytes of all bodies in flight */
    unsigned target_bytes_max, header_bytes_max, headers_max;
    const char *hosts, *origins, *token_file; /* see access.h */
    const char *tls_cert, *tls_key;           /* files (PEM); both or none */
    struct access_log *access_log;            /* NULL: none; the caller's */
    struct router router;
    void *app; /* of the floor above: every request has it */
};

/* Opens the socket and serves. The config's strings must live as long as the server. */
int server_start(struct server **ret, const struct server_config *config, struct err *err);

/* "http://127.0.0.1:8080", the true port; https with TLS. */
const char *server_url(const struct server *s);

/* When the socket was inherited, it is left to whoever serves it next: nobody is let in any more, and who was let in and
 * has not had an answer yet is served as usual, at most until the deadline. Does nothing with a socket of our own. Before
 * server_drain, and before anything that makes handlers refuse. */
void server_leave(struct server *s, uint64_t deadline_ns);

/* From now on new requests are refused with 503, connections are closed after their answer, and the
 * listening socket is shut. Bodies may come until the deadline. */
void server_drain(struct server *s, uint64_t deadline_ns);

/* Requests that are parked now. */
size_t server_parked(struct server *s);

/* Waits until no request is parked or the deadline. How many are left; they must be unparked before
 * server_stop. */
size_t server_wait_parked(struct server *s, uint64_t deadline_ns);

/* Cuts off every connection, so that no client can hold up the end any longer. What is parked for another reason stays. */
void server_cut(struct server *s);

/* Waits until every answer has been sent or the deadline. */
void server_wait_idle(struct server *s, uint64_t deadline_ns);

/* Waits until clients have taken what was sent, or the deadline: who still sends when its socket is closed would lose it. */
void server_wait_taken(struct server *s, uint64_t deadline_ns);

/* Ends the threads and frees all. Nothing may be parked, and no thread may call request_unpark. */
struct server *server_stop(struct server *s);

bool server_is_draining(const struct server *s);

#endif
