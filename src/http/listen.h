/*
 * F3, http's own. The listening socket.
 */
#ifndef HTTP_LISTEN_H
#define HTTP_LISTEN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* Listens on "host:port" or "[v6]:port"; an address that is not loopback only if `may_face_others`.
 * The socket, the caller's, does not block. `url` gets "http://127.0.0.1:8080", with the true port. 0 or negative
 * errno. */
int listen_open(const char *where, bool may_face_others, int *ret_fd, char *url, size_t url_bytes,
                struct err *err);

#endif
