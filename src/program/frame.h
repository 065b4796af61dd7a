/*
 * F2b, behind the wall. The frames that a program and its host exchange over one stream socket: how they
 * are laid out, and a reader that collects them. Uses base; knows nothing of what they mean.
 *
 * Little-endian. A head of 16 bytes, then a body of `bytes` bytes: nothing, or a uint32_t `meta_bytes`,
 * that many bytes of JSON, and raw bytes to the end. What a program sends is bounded before a byte of it
 * is kept; a stream that breaks a rule is never read any further.
 */
#ifndef PROGRAM_FRAME_H
#define PROGRAM_FRAME_H

#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

struct err;

enum {
    FRAME_MAGIC = 0x4b50, /* "PK" */
    FRAME_VERSION = 1,
    FRAME_META_MAX = 16 << 20, /* bytes of the JSON of any frame … */
    FRAME_SAID_MAX = 1 << 20,  /* … and of one that a program sends */
    FRAME_BODY_MAX = 128 << 20,
    FRAME_PART_MAX = 49152,      /* raw bytes of a PART */
    FRAME_KEEP_BYTES = 64 << 10, /* what an idle reader holds */
};

enum frame_type {
    FRAME_HELLO = 1,
    FRAME_READY, /* the program's */
    FRAME_JOB,
    FRAME_PROGRESS, /* … from here … */
    FRAME_PART,
    FRAME_RESULT,
    FRAME_ERROR, /* … to here too */
    FRAME_CANCEL,
    FRAME_PING,
    FRAME_PONG, /* the program's */
    FRAME_QUIET,
    FRAME_TYPE_COUNT
};

struct frame_head {
    uint16_t magic;
    uint8_t version;
    uint8_t type;
    uint32_t bytes; /* of the body */
    uint64_t job;   /* which call it is about; 0: none */
};
static_assert(sizeof(struct frame_head) == 16, "wire struct");
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
              "frames are written as they lie in memory");

/* What every frame with a body begins with. */
struct frame_opening {
    struct frame_head head;
    uint32_t meta_bytes;
};
enum { FRAME_OPENING_BYTES = 20 }; /* without the padding */
static_assert(offsetof(struct frame_opening, meta_bytes) == 16, "wire struct");

/* The opening of a frame with these sizes, for the caller to send FRAME_OPENING_BYTES of, then the JSON,
 * then the raw bytes. */
struct frame_opening frame_opening(enum frame_type type, uint64_t job, size_t meta_bytes,
                                   size_t raw_bytes);

/* One that came. */
struct frame {
    enum frame_type type;
    uint64_t job;
    const char *meta; /* not NUL-terminated */
    size_t meta_bytes;
    const char *raw;
    size_t raw_bytes;
};

/* What has come and not been taken. */
struct frame_reader {
    char *data; /* mapped; owned */
    size_t capacity;
    size_t start, end; /* of the bytes in use */
    size_t result_max; /* raw bytes of a RESULT */
};

/* `result_max`: the most raw bytes that a RESULT may have. -ENOMEM. */
int frame_reader_init(struct frame_reader *r, size_t result_max);
void frame_reader_release(struct frame_reader *r);

/* Takes what has come on the socket, as far as there is room, without waiting. 0 when it was something;
 * -EAGAIN; -EPIPE at the end of the stream; -ENOMEM. Frames taken before are gone. */
int frame_reader_fill(struct frame_reader *r, int fd);

/* The next whole frame: 1, valid until the next fill. 0 when it has not all come. -EPROTO, with a
 * sentence that says what the program did ("sent …"), for what is no frame of a program's; -EMSGSIZE for
 * a RESULT above result_max. */
int frame_reader_next(struct frame_reader *r, struct frame *ret, struct err *err);

/* Whether nothing is left over. */
static inline int frame_reader_is_empty(const struct frame_reader *r)
{
    return r->start == r->end;
}

/* Forgets what is left, and gives back memory above FRAME_KEEP_BYTES. */
void frame_reader_clear(struct frame_reader *r);

#endif
