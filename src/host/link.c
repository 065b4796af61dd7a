#include "host/link.h"

#include <errno.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/err.h"

enum { KEEP_BYTES = 1 << 20 };

void link_init(struct link *l, int fd)
{
    *l = (struct link) {.fd = fd};
}

static void forget_raw(struct link *l)
{
    if (l->raw != NULL)
        (void)munmap(l->raw, l->raw_room);
    l->raw = NULL;
    l->raw_room = 0;
}

void link_release(struct link *l)
{
    free(l->meta);
    forget_raw(l);
    *l = (struct link) {.fd = l->fd};
}

void link_trim(struct link *l)
{
    if (l->raw_room > KEEP_BYTES)
        forget_raw(l);
    if (l->meta_room <= KEEP_BYTES)
        return;
    free(l->meta);
    l->meta = NULL;
    l->meta_room = 0;
}

/* Whoever made the socket may have made it non-blocking. */
static void wait_for(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};
    (void)poll(&p, 1, -1);
}

static int receive_all(int fd, void *to, size_t bytes)
{
    for (char *at = to; bytes > 0;) {
        ssize_t n = recv(fd, at, bytes, 0);

        if (n == 0 || (n < 0 && errno == ECONNRESET))
            return -EPIPE;
        if (n < 0 && errno == EAGAIN)
            wait_for(fd, POLLIN);
        else if (n < 0 && errno != EINTR)
            return -errno;
        at += MAX(n, 0);
        bytes -= (size_t)MAX(n, 0);
    }
    return 0;
}

/* Room for so many bytes and a NUL. What is there is not kept. */
static int need_meta(struct link *l, size_t bytes)
{
    if (bytes < l->meta_room)
        return 0;
    free(l->meta);
    l->meta_room = 0;
    l->meta = malloc(bytes + 1);
    if (l->meta == NULL)
        return -ENOMEM;
    l->meta_room = bytes + 1;
    return 0;
}

static int need_raw(struct link *l, size_t bytes)
{
    void *map;

    if (bytes < l->raw_room)
        return 0;
    forget_raw(l);
    map = mmap(NULL, bytes + 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        return -ENOMEM;
    l->raw = map;
    l->raw_room = bytes + 1;
    return 0;
}

static bool is_of_prong(unsigned type)
{
    return type == FRAME_HELLO || type == FRAME_JOB || type == FRAME_CANCEL || type == FRAME_PING ||
           type == FRAME_QUIET;
}

static int check_head(const struct frame_head *h, struct err *err)
{
    if (h->magic != FRAME_MAGIC || h->version != FRAME_VERSION)
        return err_set(err, -EPROTO, "What came on descriptor %d is no frame of version %d.", 3,
                       FRAME_VERSION);
    if (!is_of_prong(h->type))
        return err_set(err, -EPROTO, "A frame of type %u came, which prong does not send.",
                       h->type);
    if (h->bytes > FRAME_BODY_MAX || (h->bytes > 0 && h->bytes < sizeof(uint32_t)))
        return err_set(err, -EPROTO, "A frame with a body of %u bytes came.", h->bytes);
    return 0;
}

static int receive_body(struct link *l, uint32_t bytes, struct frame *ret, struct err *err)
{
    uint32_t meta_bytes = 0;
    int rc = bytes == 0 ? 0 : receive_all(l->fd, &meta_bytes, sizeof(meta_bytes));

    bytes -= bytes == 0 ? 0 : (uint32_t)sizeof(meta_bytes);
    if (rc < 0)
        return rc;
    if (meta_bytes > bytes || meta_bytes > FRAME_META_MAX)
        return err_set(err, -EPROTO, "A frame with %u bytes of JSON in %u came.", meta_bytes,
                       bytes);
    if (need_meta(l, meta_bytes) < 0 || need_raw(l, bytes - meta_bytes) < 0)
        return err_set(err, -ENOMEM, "There is no memory for a frame of %u bytes.", bytes);
    ret->meta = l->meta;
    ret->meta_bytes = meta_bytes;
    ret->raw = l->raw;
    ret->raw_bytes = bytes - meta_bytes;
    l->meta[meta_bytes] = '\0';
    l->raw[bytes - meta_bytes] = '\0';
    rc = receive_all(l->fd, l->meta, meta_bytes);
    return rc < 0 ? rc : receive_all(l->fd, l->raw, bytes - meta_bytes);
}

int link_receive(struct link *l, struct frame *ret, struct err *err)
{
    struct frame_head head;
    int rc = receive_all(l->fd, &head, sizeof(head));

    if (rc == 0)
        rc = check_head(&head, err);
    if (rc < 0)
        return rc;
    *ret = (struct frame) {.type = (enum frame_type)head.type, .job = head.job};
    return receive_body(l, head.bytes, ret, err);
}

bool link_is_cancelled(struct link *l, uint64_t job)
{
    struct frame_head head;
    struct frame cancel;
    struct link side = {.fd = l->fd}; /* the job's own frame must stay */
    ssize_t n = recv(l->fd, &head, sizeof(head), MSG_PEEK | MSG_DONTWAIT);
    bool is_cancel;

    if (n == 0)
        return true;
    if (n < (ssize_t)sizeof(head) || head.type != FRAME_CANCEL)
        return false;
    is_cancel = link_receive(&side, &cancel, NULL) < 0 || cancel.job == job;
    link_release(&side);
    return is_cancel;
}

/* Cuts what has been sent off the front. */
static void advance(struct msghdr *m, size_t sent)
{
    while (m->msg_iovlen > 0 && sent >= m->msg_iov->iov_len) {
        sent -= m->msg_iov->iov_len;
        m->msg_iov++;
        m->msg_iovlen--;
    }
    if (m->msg_iovlen == 0)
        return;
    m->msg_iov->iov_base = (char *)m->msg_iov->iov_base + sent;
    m->msg_iov->iov_len -= sent;
}

int link_send(struct link *l, enum frame_type type, uint64_t job, const char *meta, const void *raw,
              size_t raw_bytes)
{
    struct frame_opening opening = frame_opening(type, job, strlen(meta), raw_bytes);
    struct iovec iov[] = {
        {.iov_base = &opening, .iov_len = FRAME_OPENING_BYTES},
        {.iov_base = (void *)(uintptr_t)meta, .iov_len = strlen(meta)},
        {.iov_base = (void *)(uintptr_t)raw, .iov_len = raw_bytes},
    };
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = ARRAY_SIZE(iov)};

    while (m.msg_iovlen > 0) {
        ssize_t n = sendmsg(l->fd, &m, MSG_NOSIGNAL);

        if (n < 0 && errno == EAGAIN)
            wait_for(l->fd, POLLOUT);
        else if (n < 0 && errno != EINTR)
            return errno == ECONNRESET ? -EPIPE : -errno;
        if (n >= 0)
            advance(&m, (size_t)n);
    }
    return 0;
}
