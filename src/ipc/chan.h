/*
 * F1, the wall. Whole frames over a SOCK_SEQPACKET pair, with file descriptors beside them.
 */
#ifndef IPC_CHAN_H
#define IPC_CHAN_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "ipc/proto.h"

/* A connected pair, both ends close-on-exec and blocking (pass MSG_DONTWAIT where waiting is wrong).
 * The caller owns both. 0 or negative errno. */
int chan_pair(int ret_fds[2]);

/* Sends one frame gathered from `iov`, with `fd_count` descriptors, which stay the caller's. Fills in
 * nothing. 0; -EAGAIN with MSG_DONTWAIT when the peer is slow; -EPIPE when it is gone. No SIGPIPE. */
int chan_send(int fd, const struct iovec *iov, size_t iov_count, const int *fds, size_t fd_count,
              int flags);

/* A frame that is one struct, without descriptors. */
int chan_send_struct(int fd, const void *frame, size_t bytes, int flags);

/* Receives one frame into `out`. Returns its length, 0 at the end of the stream, -EAGAIN with
 * MSG_DONTWAIT, and -EPROTO for what breaks the rules: truncated, a head whose length is not the
 * message's, more than PROTO_FDS_MAX descriptors. Received descriptors are the caller's, close-on-exec;
 * on failure none are kept. */
ssize_t chan_recv(int fd, void *out, size_t capacity, int ret_fds[PROTO_FDS_MAX],
                  size_t *ret_fd_count, int flags);

/* chan_recv without descriptors that waits until `deadline_ns`; -ETIMEDOUT then. */
ssize_t chan_recv_until(int fd, void *out, size_t capacity, uint64_t deadline_ns);

void chan_close_fds(const int *fds, size_t count);

/* The frame if it is of `type` and at least (or exactly) `bytes` long, else NULL. */
static inline const void *chan_frame(const void *frame, size_t got, uint32_t type, size_t bytes)
{
    const struct proto_head *head = frame;
    return head->type == type && got >= bytes ? frame : NULL;
}

static inline const void *chan_frame_exact(const void *frame, size_t got, uint32_t type,
                                           size_t bytes)
{
    return got == bytes ? chan_frame(frame, got, type, bytes) : NULL;
}

static inline struct proto_head chan_head(enum proto_type type, size_t bytes)
{
    return (struct proto_head) {.type = (uint32_t)type, .bytes = (uint32_t)bytes};
}

#endif
