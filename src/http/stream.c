#include "http/stream.h"

#include <microhttpd.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/check.h"
#include "http/response.h"
#include "thread/lock.h"

enum {
    READER_BYTES = 16 << 10,
    LAST_BYTES_EXTRA = 1024, /* of the last event: its name and framing */
};

/* The last event has memory of its own, so that it fits whatever waits. */
struct stream {
    struct lock lock;
    struct buf waiting, last;
    size_t waiting_sent, last_sent;
    bool ended, is_idle; /* is_idle: parked, and whoever clears it must resume */
    _Atomic bool gone;
    _Atomic int holders;
    struct park park;
};

/* The place in the lot is kept for both, so that whoever waits for an empty one knows that the poster has returned from
 * resuming the connection. */
static void let_go(struct stream *s)
{
    struct park_lot *lot;

    if (atomic_fetch_sub(&s->holders, 1) != 1)
        return;
    lot = s->park.lot; /* the last one alone looks: before that the reader may be parking */
    buf_release(&s->waiting);
    buf_release(&s->last);
    lock_release(&s->lock);
    free(s);
    park_lot_leave(lot);
}

/* Moves what is left of `from` behind *sent; the bytes. */
static size_t drain(struct buf *from, size_t *sent, char *out, size_t capacity)
{
    size_t n = MIN(from->size - *sent, capacity);

    if (n > 0)
        memcpy(out, from->data + *sent, n);
    *sent += n;
    if (*sent == from->size) {
        buf_clear(from);
        *sent = 0;
    }
    return n;
}

/* Under the lock: bytes for the client, or the end (-1), or nothing yet (0). */
static ssize_t take_some(struct stream *s, char *out, size_t capacity)
{
    size_t n = drain(&s->waiting, &s->waiting_sent, out, capacity);

    if (n == 0 && s->ended)
        n = drain(&s->last, &s->last_sent, out, capacity);
    return n == 0 && s->ended ? -1 : (ssize_t)n;
}

/* libmicrohttpd asks for more. To answer 0 without having suspended would make it ask again and again. */
static ssize_t read_stream(void *arg, uint64_t position, char *out, size_t capacity)
{
    struct stream *s = arg;
    bool resume;
    ssize_t n;

    (void)position;
    lock_take(&s->lock);
    n = take_some(s, out, capacity);
    lock_drop(&s->lock);
    if (n != 0)
        return n < 0 ? MHD_CONTENT_READER_END_OF_STREAM : n;
    CHECK(park_suspend(s->park.lot, &s->park, s->park.connection));
    lock_take(&s->lock);
    resume = s->waiting.size > 0 || s->ended; /* came while nobody could know that we wait */
    s->is_idle = !resume;
    lock_drop(&s->lock);
    if (resume)
        (void)park_resume(&s->park);
    return 0;
}

/* The answer is over, for whatever reason. */
static void forget(void *arg)
{
    struct stream *s = arg;

    atomic_store(&s->gone, true);
    let_go(s);
}

static struct stream *stream_new(struct request *r)
{
    struct stream *s = calloc(1, sizeof(*s));

    if (s == NULL)
        return NULL;
    lock_init(&s->lock, LOCK_LIMITS);
    buf_init(&s->waiting, STREAM_BYTES_MAX);
    atomic_init(&s->holders, 2);
    s->park.held = true;
    s->park.lot = r->park.lot;
    s->park.connection = r->connection;
    /* libmicrohttpd keeps the headers back until it has some of the body. */
    (void)buf_add_text(&s->waiting, ":\n\n");
    return s;
}

struct stream *stream_open(struct request *r)
{
    struct stream *s;

    if (!park_lot_enter(r->park.lot)) {
        respond_problem(r, PROBLEM_DRAINING, NULL,
                        "The server is shutting down. Send the request again in a second.");
        return NULL;
    }
    s = stream_new(r);
    if (s != NULL)
        r->response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, READER_BYTES, read_stream,
                                                        s, forget);
    if (r->response == NULL) {
        if (s != NULL)
            let_go(s);
        if (s != NULL)
            let_go(s);
        else
            park_lot_leave(r->park.lot);
        respond_problem(r, PROBLEM_NO_ROOM, NULL, "There is no memory for a stream. Try later.");
        return NULL;
    }
    r->status = 200;
    r->stream_ns = clock_now_ns();
    respond_header(r, "Content-Type", "text/event-stream");
    respond_header(r, "X-Accel-Buffering", "no");
    return s;
}

static void put_event(struct buf *b, const char *event, uint64_t id, const char *data, size_t bytes)
{
    const char *end = data + bytes;

    if (id != 0)
        (void)buf_printf(b, "id: %llu\n", (unsigned long long)id);
    (void)buf_printf(b, "event: %s\n", event);
    do {
        const char *line = data;
        while (data < end && *data != '\n' && *data != '\r')
            data++;
        (void)buf_add_text(b, "data: ");
        (void)buf_add(b, line, (size_t)(data - line));
        (void)buf_add_text(b, "\n");
        if (end - data > 1 && data[0] == '\r' && data[1] == '\n')
            data++;
    } while (data++ < end);
    (void)buf_add_text(b, "\n");
}

/* Drops what was sent, so that the room is for what waits. */
static void compact(struct stream *s)
{
    struct buf *b = &s->waiting;

    if (s->waiting_sent == 0)
        return;
    memmove(b->data, b->data + s->waiting_sent, b->size - s->waiting_sent);
    b->size -= s->waiting_sent;
    s->waiting_sent = 0;
}

/* Takes the lock; what is put into `waiting` then is sent, or not at all. How much was there before. */
static size_t begin_put(struct stream *s, size_t bytes)
{
    lock_take(&s->lock);
    CHECK(!s->ended);
    if (s->waiting.size + bytes > STREAM_BYTES_MAX / 2)
        compact(s);
    return s->waiting.size;
}

static bool end_put(struct stream *s, size_t before)
{
    bool fits = buf_failed(&s->waiting) == 0;
    bool resume;

    if (!fits) {
        s->waiting.size = before;
        s->waiting.failed = false;
    }
    resume = fits && s->is_idle;
    if (resume)
        s->is_idle = false;
    lock_drop(&s->lock);
    if (resume)
        (void)park_resume(&s->park);
    return fits;
}

bool stream_post(struct stream *s, const char *event, uint64_t id, const char *data, size_t bytes)
{
    size_t before;

    if (atomic_load(&s->gone))
        return false;
    before = begin_put(s, bytes);
    put_event(&s->waiting, event, id, data, bytes);
    return end_put(s, before);
}

void stream_touch(struct stream *s)
{
    size_t before;

    if (atomic_load(&s->gone))
        return;
    before = begin_put(s, 0);
    (void)buf_add_text(&s->waiting, ":\n\n");
    (void)end_put(s, before);
}

void stream_retry(struct stream *s, unsigned ms)
{
    size_t before = begin_put(s, 0);

    (void)buf_printf(&s->waiting, "retry: %u\n\n", ms);
    (void)end_put(s, before);
}

void stream_end(struct stream *s, const char *event, uint64_t id, const char *data, size_t bytes)
{
    bool resume;

    lock_take(&s->lock);
    CHECK(!s->ended);
    if (event != NULL) {
        /* Each byte may become a line of its own: "data: " and a newline. */
        buf_init(&s->last, strlen(event) + 8 * bytes + LAST_BYTES_EXTRA);
        put_event(&s->last, event, id, data, bytes);
        if (buf_failed(&s->last) < 0)
            buf_clear(&s->last);
    }
    s->ended = true;
    resume = s->is_idle;
    s->is_idle = false;
    lock_drop(&s->lock);
    if (resume)
        (void)park_resume(&s->park);
    let_go(s);
}

size_t stream_waiting(struct stream *s)
{
    LOCKED(&s->lock);
    return s->waiting.size - s->waiting_sent;
}

bool stream_is_gone(struct stream *s)
{
    return atomic_load(&s->gone);
}
