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

/* The listening socket that whoever started this process has opened for it, as systemd does (LISTEN_PID and LISTEN_FDS,
 * sd_listen_fds(3)): *ret_fd, or -1 when there is none. It stays open elsewhere, so connections wait there while nobody
 * serves. The variables are forgotten, so that no child takes them for its own: call once, before threads and children.
 * -EINVAL and others, with a sentence: more than one socket, or one that is no listening TCP socket. */
int listen_inherit(int *ret_fd, struct err *err);

/* What listen_open says of its socket and its address, of an inherited one. */
int listen_adopt(int fd, bool may_face_others, char *url, size_t url_bytes, struct err *err);

#endif
