/*
 * F3, http's own. Who may: is this request meant for us (Host), may it come from that page (Origin,
 * Sec-Fetch-Site), and has who sends it the token. Made at start, read by all threads.
 */
#ifndef HTTP_ACCESS_H
#define HTTP_ACCESS_H

#include "base/err.h"
#include "http/request.h"

struct access;

struct access_config {
    const char *listen;     /* its host and loopback's names are ours */
    const char *hosts;      /* further names: "prong.example,10.0.0.7", or "*" for any; may be NULL */
    const char *origins;    /* pages of others that may ask: "https://lab.example"; may be NULL */
    const char *token_file; /* the bearer token is its first line; NULL: nobody has to log in */
};

/* -EINVAL, -EACCES and others with a sentence: the file is not there, is readable by others, has no token of at least
 * 16 visible bytes. */
int access_new(struct access **ret, const struct access_config *config, struct err *err);
struct access *access_free(struct access *access);

/* Whether the request may go on; if not, it has its answer: 421, 403 or 401. `is_open`: no token is needed. Called
 * when the route is known and before the body. */
bool access_judge(const struct access *access, struct request *r, bool is_open);

/* The headers for pages of --allow-origin (CORS), on any answer; nothing when none is configured. */
void access_complete(const struct access *access, struct request *r);

/* The answer to an OPTIONS that a browser sends ahead (CORS preflight), once r has its 204 with Allow. */
void access_preflight(const struct access *access, struct request *r, const char *methods);

bool access_has_token(const struct access *access);

#endif
