/*
 * F3, http's own. Who may: is this request meant for us (Host), may it come from that page (Origin,
 * Sec-Fetch-Site), and has who sends it the token. Made at start, read by all threads.
 *
 * Host guards against names that somebody else makes point here (DNS rebinding). Ours are localhost, 127.0.0.1,
 * [::1], the host of --listen, the address of the socket, and --hosts; on a wildcard address also every IP address, since
 * no page can make one point elsewhere. The port does not matter, because a proxy may have another. Of HTTP/1.0 none
 * is demanded where only this machine can ask.
 *
 * Origin and Sec-Fetch-Site guard against pages of others that make a browser change something here: any method but
 * GET, HEAD and OPTIONS is theirs only by --origins. What is no browser sends neither, and passes.
 */
#ifndef HTTP_ACCESS_H
#define HTTP_ACCESS_H

#include "base/err.h"
#include "http/request.h"

struct access;

struct access_config {
    const char *url;     /* where the socket listens: "http://127.0.0.1:8080" */
    const char *listen;  /* as it was asked for, perhaps by a name */
    const char *hosts;   /* further names: "prong.example,10.0.0.7", or "*" for any; may be NULL */
    const char *origins; /* pages of others that may ask: "https://lab.example"; may be NULL */
    const char *token_file; /* the bearer token is its first line; NULL: nobody has to log in */
};

/* Takes copies of all. -EINVAL, -EACCES and others with a sentence: a name or an origin is none, or the token's file is
 * not fit (token.h). */
int access_new(struct access **ret, const struct access_config *config, struct err *err);
struct access *access_free(struct access *access);

/* Whether the request may go on; if not, it has its answer: 421, 403 or 401. `is_open`: no token is needed, as for
 * OPTIONS, which a browser sends without. Called when the route is known and before the body. */
bool access_judge(const struct access *access, struct request *r, bool is_open);

/* What browsers are told of who may read this answer: its own pages, and those of --origins (CORS). On any answer but
 * those that are kept for many requests. */
void access_complete(const struct access *access, struct request *r);

/* The rest of the answer to the OPTIONS that a browser sends ahead (CORS preflight), when r has its 204. `methods` as
 * in Allow. */
void access_preflight(const struct access *access, struct request *r, const char *methods);

#endif
