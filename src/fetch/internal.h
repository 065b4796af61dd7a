/*
 * The inside of fetch, shared by its files and nobody else. All of it is the fetch thread's alone, but for what says
 * otherwise.
 */
#ifndef FETCH_INTERNAL_H
#define FETCH_INTERNAL_H

#define HASH_NONFATAL_OOM          1
#define uthash_nonfatal_oom(entry) ((entry)->homeless = true)
#include <uthash.h>

#include "fetch/fetch.h"
#include "fetch/libcurl.h"
#include "thread/thread.h"

/* "example.org:443", while a batch under way has a URL there. */
struct fetch_host {
    UT_hash_handle hh;
    bool homeless; /* there was no memory to take it into the table */
    unsigned holds, flying;
    char name[];
};

struct transfer {
    struct fetch *fetch;
    struct fetch_batch *batch;
    size_t index;
    TAILQ_ENTRY(transfer) link;
    CURL *easy;
    void *hash; /* gnutls_hash_hd_t */
    struct fetch_page page;
    size_t head_bytes;
    enum guard_verdict verdict; /* about the address tried last */
    bool is_too_large, has_long_head;
    char blocked[64]; /* that address */
    char why[CURL_ERROR_SIZE];
};

TAILQ_HEAD(batch_list, fetch_batch);
TAILQ_HEAD(transfer_list, transfer);

struct fetch {
    struct fetch_config config;
    struct guard guard;
    struct thread thread;
    int epoll_fd, wake_fd; /* -1 until the thread was started */

    struct lock lock; /* LOCK_LIMITS; guards what follows, to `settled` */
    struct mail_list letters;
    struct batch_list posted;
    size_t batch_count; /* accepted and not finished */
    bool has_thread, is_draining;
    bool must_stop, has_stopped; /* all batches */
    bool must_end;               /* the thread */
    pthread_cond_t settled;

    struct libcurl curl;
    bool has_curl;
    CURLM *multi; /* NULL while there is no batch, so no connection is left open then */
    struct batch_list batches; /* the one whose turn is next comes first */
    struct transfer_list transfers;
    unsigned flying;
    size_t held_bytes;
    struct fetch_host *hosts;
};

/* url.c: one form for a URL, malloc'd, and the host's name. False fills *ret_detail. */
bool url_normalise(const struct libcurl *curl, const char *text, char **ret_url, char **ret_host,
                   char *ret_detail, size_t capacity);

/* transfer.c */
struct transfer *transfer_new(struct fetch *f, struct fetch_batch *b, size_t index);
void transfer_settle(struct transfer *t, CURLcode code); /* fills the page */
void transfer_free(struct transfer *t);                  /* not while in the multi handle */

/* turn.c: what is begun next, and what has landed. */
void turn_add(struct fetch *f, struct fetch_batch *b);
void turn_begin(struct fetch *f);
void turn_collect(struct fetch *f);
void turn_stop(struct fetch *f, struct fetch_batch *b, enum fetch_stop reason, const char *why);
void turn_remove(struct fetch *f, struct fetch_batch *b);

#endif
