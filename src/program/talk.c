#include "program/talk.h"

#include <errno.h>
#include <sys/socket.h>

#include "program/said.h"

void talk_init(struct talk *t, int fd, struct frame_reader *in)
{
    *t = (struct talk) {.fd = fd, .in = in, .state = TALK_STARTING};
}

void talk_release(struct talk *t)
{
    json_decref(t->said);
    t->said = NULL;
}

/* ---- saying ---- */

int talk_flush(struct talk *t)
{
    while (talk_is_sending(t)) {
        struct msghdr msg = {.msg_iov = t->out + t->out_at, .msg_iovlen = t->out_count - t->out_at};
        ssize_t n = sendmsg(t->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == ECONNRESET ? -EPIPE : -errno;
        while (talk_is_sending(t) && (size_t)n >= t->out[t->out_at].iov_len)
            n -= (ssize_t)t->out[t->out_at++].iov_len;
        if (talk_is_sending(t)) {
            t->out[t->out_at].iov_base = (char *)t->out[t->out_at].iov_base + n;
            t->out[t->out_at].iov_len -= (size_t)n;
        }
    }
    return 0;
}

static int say(struct talk *t, enum frame_type type, uint64_t job, const struct iovec *pieces,
               size_t piece_count)
{
    size_t raw_bytes = 0;

    CHECK(piece_count <= TALK_PIECES_MAX && !talk_is_sending(t));
    for (size_t i = 1; i < piece_count; i++)
        raw_bytes += pieces[i].iov_len;
    t->opening = frame_opening(type, job, piece_count == 0 ? 0 : pieces[0].iov_len, raw_bytes);
    t->out[0] = (struct iovec) {.iov_base = &t->opening, .iov_len = FRAME_OPENING_BYTES};
    for (size_t i = 0; i < piece_count; i++)
        t->out[i + 1] = pieces[i];
    t->out_at = 0;
    t->out_count = piece_count + 1;
    return talk_flush(t);
}

int talk_hello(struct talk *t, size_t result_bytes_max)
{
    char meta[160];
    int n = snprintf(meta, sizeof(meta),
                     "{\"protocol\":1,\"version\":\"%s\",\"result_bytes_max\":%zu,"
                     "\"part_bytes_max\":%d}",
                     PRONG_VERSION, result_bytes_max, FRAME_PART_MAX);
    struct iovec piece = {.iov_base = meta, .iov_len = (size_t)n};
    int rc = say(t, FRAME_HELLO, 0, &piece, 1);

    /* The first bytes on a fresh socket always fit; so what is on the stack need not stay. */
    return rc == -EAGAIN ? -EPIPE : rc;
}

int talk_ping(struct talk *t)
{
    CHECK(t->state == TALK_IDLE && !t->pinged);
    t->pinged = true;
    return say(t, FRAME_PING, 0, NULL, 0);
}

int talk_quiet(struct talk *t)
{
    return say(t, FRAME_QUIET, 0, NULL, 0);
}

int talk_cancel(struct talk *t)
{
    CHECK(t->state == TALK_WORKING);
    return say(t, FRAME_CANCEL, t->job, NULL, 0);
}

int talk_job(struct talk *t, uint64_t job, const struct iovec *pieces, size_t piece_count)
{
    CHECK(t->state == TALK_IDLE && job != 0);
    t->state = TALK_WORKING;
    t->job = job;
    return say(t, FRAME_JOB, job, pieces, piece_count);
}

/* ---- listening ---- */

static const char *name_of(enum frame_type type)
{
    static const char *const names[FRAME_TYPE_COUNT] = {
        [FRAME_READY] = "READY",   [FRAME_PROGRESS] = "PROGRESS", [FRAME_PART] = "PART",
        [FRAME_RESULT] = "RESULT", [FRAME_ERROR] = "ERROR",       [FRAME_PONG] = "PONG",
    };

    return names[type];
}

/* What this frame is, if this is its moment; TALK_BROKEN if nobody asked for it. */
static enum talk_kind kind_of(struct talk *t, const struct frame *f, struct err *how)
{
    static const enum talk_kind kinds[FRAME_TYPE_COUNT] = {
        [FRAME_PROGRESS] = TALK_PROGRESS,
        [FRAME_PART] = TALK_PART,
        [FRAME_RESULT] = TALK_RESULT,
        [FRAME_ERROR] = TALK_ERROR,
    };
    bool is_of_job = kinds[f->type] != TALK_NOTHING;

    if (f->type == FRAME_READY && t->state == TALK_STARTING && f->job == 0)
        return TALK_READY;
    if (f->type == FRAME_PONG && t->pinged && f->job == 0)
        return TALK_PONG;
    if (is_of_job && t->state == TALK_WORKING && f->job == t->job)
        return kinds[f->type];
    if (is_of_job && t->state == TALK_WORKING)
        (void)err_set(how, 0, "sent a %s frame about another job than the one it has",
                      name_of(f->type));
    else
        (void)err_set(how, 0, "sent a %s frame that nobody asked for", name_of(f->type));
    return TALK_BROKEN;
}

static void move_on(struct talk *t, enum talk_kind kind)
{
    if (kind == TALK_READY || kind == TALK_RESULT || kind == TALK_ERROR)
        t->state = TALK_IDLE;
    if (kind == TALK_PONG)
        t->pinged = false;
    if (kind >= TALK_TOO_LARGE)
        t->state = TALK_OVER;
}

static void understand(struct talk *t, const struct frame *f, struct talk_said *ret)
{
    ret->kind = kind_of(t, f, &ret->how);
    /* One that answers a job that it has not been given whole cannot have read it. */
    if (ret->kind != TALK_BROKEN && t->state == TALK_WORKING && talk_is_sending(t)) {
        (void)err_set(&ret->how, 0, "answered before it had read all of its job");
        ret->kind = TALK_BROKEN;
    }
    if (ret->kind != TALK_BROKEN && said_read(f, ret, &t->said, &ret->how) < 0)
        ret->kind = TALK_BROKEN;
}

/* 1 when there is a frame, else as frame_reader_next and frame_reader_fill say. */
static int take_frame(struct talk *t, struct frame *f, struct err *how)
{
    int rc = frame_reader_next(t->in, f, how);

    while (rc == 0) {
        rc = frame_reader_fill(t->in, t->fd);
        if (rc == 0)
            rc = frame_reader_next(t->in, f, how);
        if (rc == -EAGAIN)
            return 0;
    }
    return rc;
}

void talk_next(struct talk *t, struct talk_said *ret)
{
    struct frame f;
    int rc;

    CHECK(t->state != TALK_OVER);
    talk_release(t);
    ret->kind = TALK_NOTHING;
    ret->trace_count = 0;
    ret->code = TALK_FAILED;
    rc = take_frame(t, &f, &ret->how);
    if (rc == 0)
        return;
    if (rc > 0) {
        understand(t, &f, ret);
    } else if (rc == -EMSGSIZE) {
        ret->kind = TALK_TOO_LARGE;
    } else if (rc == -EPIPE) {
        ret->kind = TALK_ENDED;
    } else {
        ret->kind = TALK_BROKEN;
        if (rc != -EPROTO)
            (void)err_set(&ret->how, 0, "could not be read: %s", strerror(-rc));
    }
    move_on(t, ret->kind);
}

bool talk_is_settled(const struct talk *t)
{
    return t->state == TALK_IDLE && !t->pinged && !talk_is_sending(t) &&
           frame_reader_is_empty(t->in);
}
