/*
 * F3. Event streams (text/event-stream): an answer that grows while it is sent. Any thread posts events,
 * the pool thread sends them; in between the connection is suspended through http/park.
 *
 * A stream has two holders, the request and the poster, and lives until both have let go. A client too
 * slow to take STREAM_BYTES_MAX loses the events that do not fit, never the last one: stream_end always
 * fits.
 */
#ifndef HTTP_STREAM_H
#define HTTP_STREAM_H

#include "http/request.h"

enum { STREAM_BYTES_MAX = 1 << 20 };

struct stream;

/* Answers r with 200 and an empty stream. The poster's hold is the caller's. NULL (and a problem as the
 * answer) when the server is draining or out of memory. */
struct stream *stream_open(struct request *r);

/* From any thread. `data` is one or more lines of text; `id` is what the client comes back with as Last-Event-ID, 0:
 * none. False when the client has gone or the event did not fit. */
bool stream_post(struct stream *s, const char *event, uint64_t id, const char *data, size_t bytes);

/* From any thread: a comment, so that a client that has gone is found out. */
void stream_touch(struct stream *s);

/* From any thread: how long the client should wait before it comes back after a broken connection. */
void stream_retry(struct stream *s, unsigned ms);

/* The last event, if `event` is not NULL, and the end; lets go of the poster's hold. */
void stream_end(struct stream *s, const char *event, uint64_t id, const char *data, size_t bytes);

/* Bytes that the client has not taken yet. */
size_t stream_waiting(struct stream *s);

/* Whether the client has gone; the poster should stop its work then and call stream_end. */
bool stream_is_gone(struct stream *s);

#endif
