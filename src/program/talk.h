/*
 * F2b, behind the wall. One conversation with one living program, over its socket: what we say, what it
 * answers, and whether it keeps to the protocol. Uses base and jansson; never waits, and knows nothing of
 * tasks, kernels or processes. Nothing that a program says is believed before it was looked at; one that
 * breaks a rule must be killed, for what it says next means nothing.
 *
 * Whoever has a talk polls its socket for POLLIN, and for POLLOUT while talk_flush says -EAGAIN, and takes
 * what was said with talk_next until it says TALK_NOTHING.
 */
#ifndef PROGRAM_TALK_H
#define PROGRAM_TALK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include <jansson.h>

#include "base/err.h"
#include "program/frame.h"

enum { TALK_PIECES_MAX = 4, TALK_MEDIA_MAX = 127, TALK_TRACE_MAX = 50 };

enum talk_state {
    TALK_STARTING, /* HELLO was said, or will be; READY has not come */
    TALK_IDLE,
    TALK_WORKING, /* a JOB is with it */
    TALK_OVER,    /* it ended, or broke the protocol */
};

struct talk {
    int fd; /* the caller's */
    struct frame_reader
        *in; /* the caller's; may serve one talk after another, when it is empty between them */
    enum talk_state state;
    uint64_t job; /* WORKING */
    bool pinged;  /* PONG is owed */
    /* The frame that is on its way. */
    struct frame_opening opening;
    struct iovec out[TALK_PIECES_MAX + 1];
    size_t out_count, out_at;
    json_t *said; /* the JSON of what was said last */
};

enum talk_kind {
    TALK_NOTHING, /* more must come first */
    TALK_READY,
    TALK_PONG,
    TALK_PROGRESS,
    TALK_PART,
    TALK_RESULT,    /* the JOB is done */
    TALK_ERROR,     /* … likewise */
    TALK_TOO_LARGE, /* a RESULT above the reader's result_max has begun: OVER */
    TALK_ENDED,     /* it closed its socket: OVER */
    TALK_BROKEN,    /* it broke the protocol: OVER */
};

enum talk_code { TALK_FAILED, TALK_CANCELLED, TALK_RETRY };

/* Pointers are valid until the next talk_next. */
struct talk_said {
    enum talk_kind kind;
    uint64_t done, total;   /* PROGRESS */
    const char *media_type; /* RESULT: "" when it said none; printable ASCII */
    bool has_units;         /* RESULT: it is a plan's */
    uint64_t units;
    double unit_cost;
    const char *raw; /* PART, RESULT */
    size_t raw_bytes;
    const char *message; /* ERROR; UTF-8 */
    enum talk_code code;
    const char *trace[TALK_TRACE_MAX];
    size_t trace_count;
    const char *about; /* READY: its JSON */
    size_t about_bytes;
    struct err how; /* BROKEN: "sent …", to go behind "program x " */
};

void talk_init(struct talk *t, int fd, struct frame_reader *in);

/* Frees what was said last; the socket and the reader stay the caller's. */
void talk_release(struct talk *t);

/* What we say. 0; -EAGAIN when talk_flush must go on with it, and nothing else may be said before;
 * -EPIPE when the program is gone; -ENOMEM. */
int talk_hello(struct talk *t, size_t result_bytes_max);
int talk_ping(struct talk *t);
int talk_quiet(struct talk *t);
int talk_cancel(struct talk *t);

/* IDLE → WORKING. `job` is not 0 and not guessable. `pieces`, the JSON first, must stay until all is
 * sent. */
int talk_job(struct talk *t, uint64_t job, const struct iovec *pieces, size_t piece_count);

/* Goes on sending. */
int talk_flush(struct talk *t);

static inline bool talk_is_sending(const struct talk *t)
{
    return t->out_at < t->out_count;
}

/* The next thing said. Reads the socket when what came before is used up. */
void talk_next(struct talk *t, struct talk_said *ret);

/* Whether it may be left alone until the next job: idle, with nothing sent that nobody asked for. */
bool talk_is_settled(const struct talk *t);

#endif
