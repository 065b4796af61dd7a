/*
 * F3. Fetching pages from other servers: many at once, on one thread ("fetch") around libcurl's multi handle.
 *
 * What comes from outside is believed in nothing: where a connection goes is judged by fetch/guard for every address and
 * hop; bytes, heads, hops and time are bounded. A page is bytes here; what is in them is for a worker to find out.
 *
 * May use base, thread, state (metrics) and libcurl. Knows no HTTP request of ours and no scheduler: news goes upwards by
 * the functions in struct fetch_batch, all of which are called on the fetch thread, so that who asked needs no lock either.
 */
#ifndef FETCH_FETCH_H
#define FETCH_FETCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buf.h"
#include "fetch/guard.h"
#include "thread/mailbox.h"

enum {
    FETCH_URLS_MAX = 1000,      /* of one batch */
    FETCH_CONCURRENCY_MAX = 64, /* of one batch */
    FETCH_TIMEOUT_S_MAX = 60,   /* of one page */
    FETCH_URL_BYTES_MAX = 8192,
    FETCH_PAGE_BYTES_MAX = 16 << 20,
    FETCH_HEAD_BYTES_MAX = 256 << 10, /* all heads on the way to one page */
    FETCH_REDIRECTS_MAX = 5,
    FETCH_LANDED_MAX = 64, /* pages of one batch that wait to be let go; more are not begun */
    FETCH_DETAIL_BYTES = 320,
    FETCH_SHA256_BYTES = 65,
};

enum fetch_error {
    FETCH_FINE,
#define ERROR(name, code) FETCH_##name,
#include "fetch/errors.def"
#undef ERROR
    FETCH_ERROR_COUNT
};
extern const char *const fetch_error_codes[FETCH_ERROR_COUNT]; /* "" for FETCH_FINE */

/* How one URL went. The texts are bytes of a stranger. */
struct fetch_page {
    const char *final_url;           /* NULL when nothing was sent */
    const char *content_type;        /* NULL: not said */
    long status;                     /* 0: no answer came */
    struct buf body;                 /* decoded; may be taken (buf_take) */
    size_t bytes;                    /* of the body, as far as it came */
    char sha256[FETCH_SHA256_BYTES]; /* of the body; "" unless it came whole */
    uint64_t begun_ns, took_ns;      /* monotonic; from the first step to the last byte */
    enum fetch_error error;
    char detail[FETCH_DETAIL_BYTES]; /* one sentence when there is an error */
};

enum fetch_stop {
    FETCH_CLIENT_GONE,
    FETCH_ENDING,     /* the server's time to drain is over */
    FETCH_NO_LIBRARY, /* `why` says it */
};

struct fetch_host;

struct fetch_target {
    char *url; /* in one form, owned; NULL: it is none */
    struct fetch_host *host;
    bool is_begun;
};

/* The caller's memory, from fetch_admit to fetch_finish. */
struct fetch_batch {
    char **urls; /* owned by the caller; must live as long */
    size_t count;
    unsigned concurrency;
    uint64_t timeout_ns; /* of each page */
    size_t page_bytes_max;
    /* One page has come, or failed; what it points to lives until this returns. Call fetch_release once for each. */
    void (*landed)(struct fetch_batch *b, size_t index, struct fetch_page *page);
    /* Nothing more will land. Called at most once, and not when all have. fetch_finish is still the caller's to call. */
    void (*stopped)(struct fetch_batch *b, enum fetch_stop reason, const char *why);
    void *owner;

    /* The fetch thread's own. */
    TAILQ_ENTRY(fetch_batch) link;
    struct fetch_target *targets;
    size_t next;           /* all before it are begun */
    unsigned flying;       /* transfers */
    unsigned landed_count; /* not released yet */
    int watch_fd;          /* a duplicate of its client's socket, or -1 */
    bool is_stopped;
};

/* Something to be done on the fetch thread; its owner's memory until `run` is called. */
struct fetch_letter {
    struct mail mail;
    void (*run)(struct fetch_letter *letter);
};

struct fetch_config {
    unsigned batches_max;      /* at once */
    unsigned transfers_max;    /* at once, of all batches */
    unsigned per_host;         /* at once, to one host and port */
    size_t bytes_max;          /* of bodies on their way or not released */
    const char *allow, *ports; /* as the options say: fetch/guard.h */
    const char *agent;         /* User-Agent */
};

struct fetch;

/* Starts nothing yet. -EINVAL with a sentence for a bad option. */
int fetch_new(struct fetch **ret, const struct fetch_config *config, struct err *err);

/* Takes a place for a batch, of which `count` must be set; from any thread. The first starts the thread. -EBUSY: batches_max
 * are under way; -ESHUTDOWN: the server ends; -ENOMEM, -EAGAIN: no memory, no thread. */
int fetch_admit(struct fetch *f, struct fetch_batch *b);

/* Gives the place back instead of fetch_start. */
void fetch_withdraw(struct fetch *f, struct fetch_batch *b);

/* Begins it; from any thread. `socket` is the client's, watched for its leaving (-1: not). News may come before this
 * returns. */
void fetch_start(struct fetch *f, struct fetch_batch *b, int socket);

/* On the fetch thread. A landed page's bytes are gone. */
void fetch_release(struct fetch *f, struct fetch_batch *b, size_t bytes);

/* On the fetch thread, when every page was released or the batch was stopped: it is the caller's again. */
void fetch_finish(struct fetch *f, struct fetch_batch *b);

/* From any thread, while a batch is under way. */
void fetch_post(struct fetch *f, struct fetch_letter *letter);

/* From now on fetch_admit refuses. Waits until no batch is left, or the deadline; then what is left is stopped
 * (FETCH_ENDING). How many were. */
size_t fetch_drain(struct fetch *f, uint64_t deadline_ns);

/* Waits until the last batch was finished and ends the thread. NULL is fine; returns NULL. */
struct fetch *fetch_free(struct fetch *f);

#endif
