/*
 * F3. Answers. Each function gives the request its one response; headers are added after it. What leaves
 * here is complete: security headers, X-Request-Id and Cache-Control are put on by the server.
 */
#ifndef HTTP_RESPONSE_H
#define HTTP_RESPONSE_H

#include <jansson.h>

#include "base/blob.h"
#include "http/request.h"

/* Every error of ours has a name, which is the fragment of its type: "/docs#queue-full". */
enum problem_name {
#define PROBLEM(name, status, fragment, title, advice) PROBLEM_##name,
#include "http/problems.def"
#undef PROBLEM
    PROBLEM_COUNT
};

/* What every occurrence of it has in common; `advice` says what to do. All static. */
struct problem {
    unsigned status;
    const char *fragment, *title, *advice;
};
const struct problem *problem_about(enum problem_name name);

/* `json` is stolen. */
void respond_json(struct request *r, unsigned status, json_t *json);

void respond_text(struct request *r, unsigned status, const char *text);

/* Without a body: 204, 304. */
void respond_empty(struct request *r, unsigned status);

/* `data` is malloc'd and taken, also when this fails (the request is then answered 500). */
void respond_bytes(struct request *r, unsigned status, const char *media_type, void *take_data,
                   size_t bytes);

/* `take_blob`: the caller's hold is taken, also when this fails. */
void respond_blob(struct request *r, unsigned status, const char *media_type,
                  struct blob *take_blob);

/* A header without the bytes of a client; a list of them ends with one without a name. */
struct response_header {
    const char *name, *value;
};

/* 200, with bytes that are asked for again and again: the thread keeps the answer ready if it is small (http/kept.h).
 * `fixed` are headers that this blob always has, which stay; `varying` those that have another value each time, of the
 * same names. `take_blob` is taken, also when this fails. No other header may be added. */
void respond_again(struct request *r, const char *media_type, struct blob *take_blob,
                   const struct response_header *fixed, const struct response_header *varying);

/* An answer whose bytes live elsewhere until `release(arg)` is called, on any thread. */
void respond_borrowed(struct request *r, unsigned status, const char *media_type, const void *data,
                      size_t bytes, void (*release)(void *arg), void *arg);

/* An answer from the start of a regular file; `take_fd` is taken, also when this fails. The system copies the bytes, if
 * it can. */
void respond_fd(struct request *r, unsigned status, const char *media_type, int take_fd,
                size_t bytes);

/* application/problem+json, or one plain line when the client accepts only text. `detail` is a sentence
 * that says what to do. `extra` (stolen, may be NULL) holds members that help a program. */
void respond_problem(struct request *r, enum problem_name name, json_t *extra, const char *detail,
                     ...) PRINTF_LIKE(4, 5);

/* The same as an object, for places that are no answer, such as an event: {"type","title","status",
 * "detail", …extra}. `extra` is stolen. NULL when out of memory. */
json_t *problem_object(enum problem_name name, json_t *extra, const char *detail);

/* Adds a header to the response that r has. The value must be ours, never the client's bytes. */
void respond_header(struct request *r, const char *name, const char *value);
void respond_header_printf(struct request *r, const char *name, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* The same unless the response has this header. */
void respond_default(struct request *r, const char *name, const char *value);

/* Adds what every answer carries. The server calls it, once, before the answer leaves. */
void response_complete(struct request *r, bool closing);

bool request_is_answered(const struct request *r);

#endif
