/*
 * F2b, behind the wall. What a worker and the zygote say to each other over the worker's spawn socket, a
 * SOCK_SEQPACKET pair, about copies of programs: processes that the zygote starts and lends. Frames are
 * structs that open with a proto_head, as in ipc/proto.h, and are judged alike: the zygote kills a worker
 * that breaks a rule.
 *
 * A worker has at most one wish at a time. It is granted at once, or later, when a copy comes free; the
 * worker may take it back, and is answered then too, so that both always know where they stand. A frame
 * about a copy that has died meanwhile is no mistake: its DIED was on the way.
 */
#ifndef PROGRAM_LEND_H
#define PROGRAM_LEND_H

#include <sys/types.h>

#include "ipc/proto.h"

enum lend_type {
    LEND_BORROW = 64, /* worker: a wish */
    LEND_FORGET,      /* worker: it is not wanted any more */
    LEND_RETURN,      /* worker: may be lent to others */
    LEND_DISMISS,     /* worker: not needed, end it in good order */
    LEND_KILL,        /* worker: end it now; DIED follows */
    LEND_LENT,        /* zygote, with enum lend_fd fds */
    LEND_REFUSED,     /* zygote: no process could be made */
    LEND_FORGOTTEN,   /* zygote: and none was lent */
    LEND_DIED,        /* zygote: it has been waited for */
};

struct lend_borrow {
    struct proto_head head;
    uint32_t program; /* its place in the registry */
    uint32_t reserved;
};

/* FORGET, FORGOTTEN */
struct lend_plain {
    struct proto_head head;
};

/* RETURN, DISMISS, KILL */
struct lend_copy {
    struct proto_head head;
    uint64_t id;
    uint32_t is_ready; /* RETURN: READY has come */
    uint32_t reserved;
};

enum lend_fd {
    LEND_SOCKET, /* for frames. Of one that runs once: a pipe for what program/values.h says, then for
                    its standard input */
    LEND_OUT,    /* its standard output; this and the next are non-blocking */
    LEND_ERR,
    LEND_FD_COUNT
};

struct lend_lent {
    struct proto_head head;
    uint64_t id;         /* never reused */
    uint64_t started_ns; /* monotonic */
    int32_t pid;
    uint8_t is_greeted; /* somebody has said HELLO to it */
    uint8_t is_ready;
    uint8_t may_keep; /* else RETURN it after the task */
    uint8_t reserved;
};

struct lend_refused {
    struct proto_head head;
    int32_t error; /* errno */
    uint32_t reserved;
};

struct lend_died {
    struct proto_head head;
    uint64_t id;
    uint64_t cpu_ns; /* user and system, of its whole life */
    int32_t status;  /* of wait4 */
    uint32_t reserved;
};

static_assert(sizeof(struct lend_borrow) == 16, "wire struct");
static_assert(sizeof(struct lend_copy) == 24, "wire struct");
static_assert(sizeof(struct lend_lent) == 32, "wire struct");
static_assert(sizeof(struct lend_refused) == 16, "wire struct");
static_assert(sizeof(struct lend_died) == 32, "wire struct");

#endif
