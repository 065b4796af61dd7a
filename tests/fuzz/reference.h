/*
 * For fuzzing: what a strict reader of RFC 9112 makes of a connection's bytes. It shares no code with src/, so that
 * both would have to be wrong in the same way. A proxy in front of us may read less than this, never otherwise.
 *
 * Three habits of libmicrohttpd 0.9.75 show nowhere in what it hands out, so no gate can judge them. They are
 * followed here, and are all the ways in which this is not strict:
 *     - lines before a request line are skipped that are empty, end in a bare line feed, or begin with NUL;
 *     - where a line of the head ends, NUL LF is as good as CR LF; and the head may end in other four bytes than
 *       CR LF CR LF, such as CR LF colon LF, since NUL is written over all of them before anybody looks;
 *     - the framing of chunks and trailers: REFERENCE_UNCLEAR below.
 */
#ifndef FUZZ_REFERENCE_H
#define FUZZ_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum reference {
    REFERENCE_WHOLE,
    REFERENCE_SHORT, /* nothing wrong yet, but not all is here */
    REFERENCE_UNCLEAR, /* the head is sound and the chunks are not: one answer of any kind, and the end */
    REFERENCE_BAD, /* must be refused, and the connection closed */
};

struct reference_text {
    const char *at;
    size_t bytes;
};

struct reference_head {
    struct reference_text method, target;
    bool is_http_1_0, is_chunked;
    bool is_last;            /* the connection ends after this request */
    uint64_t content_length; /* UINT64_MAX: absent */
    unsigned hosts, headers;
    size_t bytes; /* from the method to the empty line */
};

/* Empty lines before a request line: how many bytes. */
size_t reference_blank(const char *data, size_t bytes);

/* `data` begins with the method. */
enum reference reference_head(const char *data, size_t bytes, struct reference_head *ret);

/* A fingerprint of what a request was: started with REFERENCE_SEEN, and all its parts added in their order. */
#define REFERENCE_SEEN 0xcbf29ce484222325ull
uint64_t reference_seen(uint64_t seen, const void *data, size_t bytes);

/* Head and body: *ret_bytes of them, and the fingerprint of method, path and body. */
enum reference reference_request(const char *data, size_t bytes, struct reference_head *ret,
                                 size_t *ret_bytes, uint64_t *ret_seen);

#endif
