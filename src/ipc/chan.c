#include "ipc/chan.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "base/clock.h"

int chan_pair(int ret_fds[2])
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret_fds) < 0)
        return -errno;
    return 0;
}

int chan_send(int fd, const struct iovec *iov, size_t iov_count, const int *fds, size_t fd_count,
              int flags)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * PROTO_FDS_MAX)];
        struct cmsghdr align;
    } control;
    struct msghdr msg = {0};
    ssize_t n;

    CHECK(fd_count <= PROTO_FDS_MAX);
    msg.msg_iov = (struct iovec *)(uintptr_t)iov;
    msg.msg_iovlen = iov_count;
    if (fd_count > 0) {
        struct cmsghdr *cmsg;
        memset(&control, 0, sizeof(control));
        msg.msg_control = control.bytes;
        msg.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        cmsg = CMSG_FIRSTHDR(&msg);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * fd_count);
    }
    do
        n = sendmsg(fd, &msg, flags | MSG_NOSIGNAL);
    while (n < 0 && (errno == EINTR || errno == ECONNRESET)); /* see chan_recv */
    return n < 0 ? -errno : 0;
}

int chan_send_struct(int fd, const void *frame, size_t bytes, int flags)
{
    struct iovec iov = {.iov_base = (void *)(uintptr_t)frame, .iov_len = bytes};
    return chan_send(fd, &iov, 1, NULL, 0, flags);
}

/* Collects the descriptors of a message; all of them are closed when there are too many. */
static int take_fds(struct msghdr *msg, int ret_fds[PROTO_FDS_MAX], size_t *ret_count)
{
    size_t count = 0;
    bool too_many = (msg->msg_flags & MSG_CTRUNC) != 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
        size_t n;
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (count < PROTO_FDS_MAX) {
                ret_fds[count++] = fd;
            } else {
                (void)close(fd);
                too_many = true;
            }
        }
    }
    if (too_many) {
        chan_close_fds(ret_fds, count);
        return -EPROTO;
    }
    *ret_count = count;
    return 0;
}

static bool head_is_true(const void *frame, size_t bytes)
{
    struct proto_head head;

    if (bytes < sizeof(head))
        return false;
    memcpy(&head, frame, sizeof(head));
    return head.bytes == bytes;
}

ssize_t chan_recv(int fd, void *out, size_t capacity, int ret_fds[PROTO_FDS_MAX],
                  size_t *ret_fd_count, int flags)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int) * (PROTO_FDS_MAX + 1))];
        struct cmsghdr align;
    } control;
    struct iovec iov = {.iov_base = out, .iov_len = capacity};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    int fds[PROTO_FDS_MAX];
    size_t fd_count = 0;
    ssize_t n;

    msg.msg_control = control.bytes;
    msg.msg_controllen = sizeof(control.bytes);
    /* ECONNRESET is told once, in front of all that is still there to read, when the peer closed its
     * end without having read everything; an answer may follow, and then the end. */
    do
        n = recvmsg(fd, &msg, flags | MSG_CMSG_CLOEXEC);
    while (n < 0 && (errno == EINTR || errno == ECONNRESET));
    if (n < 0)
        return -errno;
    if (take_fds(&msg, fds, &fd_count) < 0)
        return -EPROTO;
    if (n == 0 && fd_count == 0)
        return 0;
    if ((msg.msg_flags & MSG_TRUNC) != 0 || !head_is_true(out, (size_t)n) ||
        (ret_fds == NULL && fd_count > 0)) {
        chan_close_fds(fds, fd_count);
        return -EPROTO;
    }
    if (ret_fds != NULL) {
        memcpy(ret_fds, fds, fd_count * sizeof(int));
        *ret_fd_count = fd_count;
    }
    return n;
}

ssize_t chan_recv_until(int fd, void *out, size_t capacity, uint64_t deadline_ns)
{
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int n = poll(&p, 1, clock_poll_ms(clock_now_ns(), deadline_ns));
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0) {
            ssize_t got = chan_recv(fd, out, capacity, NULL, NULL, MSG_DONTWAIT);
            if (got != -EAGAIN) /* another reader was quicker */
                return got;
        }
        if (clock_now_ns() >= deadline_ns)
            return -ETIMEDOUT;
    }
}

void chan_close_fds(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++)
        (void)close(fds[i]);
}
