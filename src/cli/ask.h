/*
 * The client's only way to a server: one request, one answer. The one file that knows libcurl. It asks the server that it
 * was given and nobody else: no proxy, no redirect, no cookie, no .netrc.
 */
#ifndef CLI_ASK_H
#define CLI_ASK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"

enum {
    ASK_ANSWER_BYTES_MAX = 64 << 20, /* of an answer that is kept in memory */
    ASK_TOKEN_BYTES_MAX = 4096,
    ASK_CONNECT_S = 10,
    ASK_PATIENCE_S = 60, /* without a byte */
};

struct ask_server {
    const char *url; /* http:// or https://, with the path that its own paths are under, if any */
    const char *token_file; /* or NULL */
    const char *cacert;     /* or NULL */
};

struct ask {
    const char *method;
    const char *target; /* path and query, escaped */
    const char *json;   /* the body, or NULL */
    uint64_t wait_s;    /* how long the server may take besides */
    FILE *result;       /* where the body of a 200 goes at once; NULL: into the answer */
};

struct answer {
    unsigned status;
    struct buf body;
};

/* -EINVAL: the URL, a file or an option of it is wrong. -ECONNREFUSED: there was no answer; -ENOMEM, -EFBIG, -EIO (`result` takes no
 * more). All with a sentence. Otherwise *ret is the caller's to answer_release. */
int ask(const struct ask_server *server, const struct ask *ask, struct answer *ret,
        struct err *err);
void answer_release(struct answer *a);

/* Appends a piece of a path or a query, all but letters, digits, -, _, . and ~ as %XX. */
void target_add(struct buf *target, const char *piece);

/* Appends "?name=value", or "&…" when there is a ? already; nothing when `value` is NULL. */
void target_add_query(struct buf *target, const char *name, const char *value);

#endif
