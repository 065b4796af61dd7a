/*
 * For tests only: prong's end of a program's socket, in plain blocking reads and writes.
 */
#ifndef TESTS_PRONG_END_H
#define TESTS_PRONG_END_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "program/frame.h"

struct prong_end {
    int fd;    /* ours */
    int other; /* the program's */
};

struct prong_end_frame {
    struct frame_head head;
    char *meta; /* NUL-terminated; owned, as is raw */
    char *raw;
    size_t raw_bytes;
};

static inline struct prong_end prong_end_open(void)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    return (struct prong_end) {.fd = fds[0], .other = fds[1]};
}

static inline void prong_end_close(struct prong_end *e)
{
    if (e->fd >= 0)
        (void)close(e->fd);
    if (e->other >= 0)
        (void)close(e->other);
}

static inline void prong_end_write(const struct prong_end *e, const void *data, size_t bytes)
{
    if (bytes > 0) /* the program may be gone after the last byte */
        assert_int_equal(send(e->fd, data, bytes, MSG_NOSIGNAL), (ssize_t)bytes);
}

static inline void prong_end_send(const struct prong_end *e, enum frame_type type, uint64_t job,
                                  const char *meta, const void *raw, size_t raw_bytes)
{
    struct frame_opening opening = frame_opening(type, job, strlen(meta), raw_bytes);

    prong_end_write(e, &opening, FRAME_OPENING_BYTES);
    prong_end_write(e, meta, strlen(meta));
    prong_end_write(e, raw, raw_bytes);
}

/* Waits for all of it; 0 at the end of the stream. */
static inline int prong_end_read(const struct prong_end *e, void *to, size_t bytes)
{
    for (char *at = to; bytes > 0;) {
        ssize_t n = recv(e->fd, at, bytes, 0);

        if (n == 0 || (n < 0 && errno == ECONNRESET)) /* it left something unread */
            return 0;
        assert_true(n > 0);
        at += n;
        bytes -= (size_t)n;
    }
    return 1;
}

/* The next frame, to be released; type 0 at the end of the stream. */
static inline struct prong_end_frame prong_end_receive(const struct prong_end *e)
{
    struct prong_end_frame f = {.meta = calloc(1, 1), .raw = calloc(1, 1)};
    uint32_t meta_bytes = 0;

    if (!prong_end_read(e, &f.head, sizeof(f.head)) || f.head.bytes == 0)
        return f;
    assert_int_equal(f.head.magic, FRAME_MAGIC);
    assert_int_equal(f.head.version, FRAME_VERSION);
    assert_true(prong_end_read(e, &meta_bytes, sizeof(meta_bytes)));
    assert_true(meta_bytes <= f.head.bytes - sizeof(meta_bytes));
    f.raw_bytes = f.head.bytes - sizeof(meta_bytes) - meta_bytes;
    f.meta = realloc(f.meta, meta_bytes + 1);
    f.raw = realloc(f.raw, f.raw_bytes + 1);
    f.meta[meta_bytes] = f.raw[f.raw_bytes] = '\0';
    assert_true(prong_end_read(e, f.meta, meta_bytes));
    assert_true(prong_end_read(e, f.raw, f.raw_bytes));
    return f;
}

static inline void prong_end_release(struct prong_end_frame *f)
{
    free(f->meta);
    free(f->raw);
}

#endif
