#include "program/frame.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/err.h"

struct frame_opening frame_opening(enum frame_type type, uint64_t job, size_t meta_bytes,
                                   size_t raw_bytes)
{
    CHECK(meta_bytes <= FRAME_META_MAX && raw_bytes <= FRAME_BODY_MAX);
    return (struct frame_opening) {
        .head = {.magic = FRAME_MAGIC,
                 .version = FRAME_VERSION,
                 .type = (uint8_t)type,
                 .bytes = (uint32_t)(sizeof(uint32_t) + meta_bytes + raw_bytes),
                 .job = job},
        .meta_bytes = (uint32_t)meta_bytes,
    };
}

int frame_reader_init(struct frame_reader *r, size_t result_max)
{
    void *map =
        mmap(NULL, FRAME_KEEP_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (map == MAP_FAILED)
        return -ENOMEM;
    *r = (struct frame_reader) {
        .data = map, .capacity = FRAME_KEEP_BYTES, .result_max = MIN(result_max, FRAME_BODY_MAX)};
    return 0;
}

void frame_reader_release(struct frame_reader *r)
{
    if (r->data != NULL)
        (void)munmap(r->data, r->capacity);
    *r = (struct frame_reader) {0};
}

static int resize(struct frame_reader *r, size_t capacity)
{
    void *map = mremap(r->data, r->capacity, capacity, MREMAP_MAYMOVE);

    if (map == MAP_FAILED)
        return -ENOMEM;
    r->data = map;
    r->capacity = capacity;
    return 0;
}

static size_t whole_pages(size_t bytes)
{
    return (bytes + FRAME_KEEP_BYTES - 1) / FRAME_KEEP_BYTES * FRAME_KEEP_BYTES;
}

static struct frame_head peek(const struct frame_reader *r)
{
    struct frame_head head = {0};

    if (r->end - r->start >= sizeof(head))
        memcpy(&head, r->data + r->start, sizeof(head));
    return head;
}

/* Room for the frame that has begun, which frame_reader_next has bounded, or for any small one. */
static int make_room(struct frame_reader *r)
{
    size_t needed = sizeof(struct frame_head) + peek(r).bytes;

    if (r->start > 0) {
        memmove(r->data, r->data + r->start, r->end - r->start);
        r->end -= r->start;
        r->start = 0;
    }
    if (needed <= r->capacity && r->end < r->capacity)
        return 0;
    return resize(r, whole_pages(MAX(needed, r->capacity + FRAME_KEEP_BYTES)));
}

int frame_reader_fill(struct frame_reader *r, int fd)
{
    struct iovec iov;
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n;
    int rc = make_room(r);

    if (rc < 0)
        return rc;
    iov = (struct iovec) {.iov_base = r->data + r->end, .iov_len = r->capacity - r->end};
    /* Not recv, which a worker may not call. Descriptors that come along are not taken. */
    do
        n = recvmsg(fd, &msg, MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n == 0 || (n < 0 && errno == ECONNRESET))
        return -EPIPE;
    if (n < 0)
        return -errno;
    r->end += (size_t)n;
    return 0;
}

static bool is_of_program(unsigned type)
{
    return type == FRAME_READY || (type >= FRAME_PROGRESS && type <= FRAME_ERROR) ||
           type == FRAME_PONG;
}

/* The most raw bytes that a frame of this type may have. */
static size_t raw_max(const struct frame_reader *r, unsigned type)
{
    return type == FRAME_RESULT ? r->result_max : type == FRAME_PART ? FRAME_PART_MAX : 0;
}

static int check_head(const struct frame_reader *r, const struct frame_head *h, struct err *err)
{
    if (h->magic != FRAME_MAGIC)
        return err_set(err, -EPROTO, "sent bytes that are no frame");
    if (h->version != FRAME_VERSION)
        return err_set(err, -EPROTO, "sent a frame of version %u, not %d", h->version,
                       FRAME_VERSION);
    if (!is_of_program(h->type))
        return err_set(err, -EPROTO, "sent a frame of type %u, which is none of a program's",
                       h->type);
    if (h->bytes > 0 && h->bytes < sizeof(uint32_t))
        return err_set(err, -EPROTO, "sent a frame whose body has %u bytes", h->bytes);
    if (h->bytes <= sizeof(uint32_t) + FRAME_SAID_MAX + raw_max(r, h->type))
        return 0;
    if (h->type == FRAME_RESULT)
        return -EMSGSIZE;
    return err_set(err, -EPROTO, "sent a frame of type %u with %u bytes, which is too long",
                   h->type, h->bytes);
}

static int split_body(const struct frame_reader *r, const struct frame_head *h, struct frame *ret,
                      struct err *err)
{
    const char *body = r->data + r->start + sizeof(*h);
    uint32_t meta_bytes;

    *ret = (struct frame) {.type = (enum frame_type)h->type, .job = h->job, .meta = "", .raw = ""};
    if (h->bytes == 0)
        return 1;
    memcpy(&meta_bytes, body, sizeof(meta_bytes));
    if (meta_bytes > h->bytes - sizeof(meta_bytes) || meta_bytes > FRAME_SAID_MAX)
        return err_set(err, -EPROTO, "sent a frame with %u bytes of JSON in a body of %u",
                       meta_bytes, h->bytes);
    ret->meta = body + sizeof(meta_bytes);
    ret->meta_bytes = meta_bytes;
    ret->raw = ret->meta + meta_bytes;
    ret->raw_bytes = h->bytes - sizeof(meta_bytes) - meta_bytes;
    if (ret->raw_bytes <= raw_max(r, h->type))
        return 1;
    if (h->type == FRAME_RESULT)
        return -EMSGSIZE;
    return err_set(err, -EPROTO, "sent a frame of type %u with %zu raw bytes; it may have %zu",
                   h->type, ret->raw_bytes, raw_max(r, h->type));
}

int frame_reader_next(struct frame_reader *r, struct frame *ret, struct err *err)
{
    struct frame_head head = peek(r);
    int rc;

    if (r->end - r->start < sizeof(head))
        return 0;
    rc = check_head(r, &head, err);
    if (rc < 0)
        return rc;
    if (r->end - r->start - sizeof(head) < head.bytes)
        return 0;
    rc = split_body(r, &head, ret, err);
    if (rc > 0)
        r->start += sizeof(head) + head.bytes;
    return rc;
}

void frame_reader_clear(struct frame_reader *r)
{
    r->start = r->end = 0;
    if (r->capacity > FRAME_KEEP_BYTES)
        (void)resize(r, FRAME_KEEP_BYTES);
}
