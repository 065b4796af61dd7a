/*
 * F5. The parts of POST /fetch: what is asked (fetch.c), the way of each page from the fetch thread through the workers
 * (collect.c), and what is told of it (collect_row.c).
 *
 * All of a collection belongs to the fetch thread from fetch_start on; the HTTP thread has it back when it is unparked.
 */
#ifndef API_COLLECT_H
#define API_COLLECT_H

#include "api/api.h"
#include "http/stream.h"

enum {
    COLLECT_PROCESSED_BYTES_MAX = 64 << 10, /* of what a kernel makes of one page */
    COLLECT_PAGE_KERNEL_LINKS = 100,        /* what the kernel `page` gives at most */
};

enum collect_stage { COLLECT_WAITS, COLLECT_READ, COLLECT_PROCESS, COLLECT_DONE };

/* One URL. */
struct collect_row {
    struct collect *collect;
    size_t index;
    enum collect_stage stage;
    struct fetch_letter letter; /* its job is done */
    struct job *job;            /* while one is out */
    struct fetch_page page;     /* as it landed; its texts are these: */
    char *final_url, *content_type;
    json_t *about;    /* what the kernel `page` said, without the text; NULL: nothing */
    char *processed;  /* JSON; NULL: nothing */
    const char *code; /* of the error; NULL: none */
    char *detail;
};

struct collect {
    struct fetch_batch batch;
    struct api *api;
    struct request *request;             /* parked; NULL with a stream */
    struct stream *stream;               /* NULL with a request */
    const struct kernel *page, *process; /* held; process NULL: no kernel is given the text */
    struct collect_row *rows;
    uint64_t client;
    char trace_id[33];
    uint64_t begun_ns, wall_ns, sum_ns;
    size_t done, failed, jobs_out;
    size_t lost; /* events that a slow client had no room for */
    bool is_stopped;
    enum fetch_stop reason;
    char why[FETCH_DETAIL_BYTES];
};

/* NULL is fine; returns NULL. */
struct collect *collect_free(struct collect *c);

/* Begins it, once fetch_admit has a place for its batch: it ends c->stream, or unparks c->request, which is parked
 * already. */
void collect_begin(struct collect *c, int socket);

/* {"url":…,…}, or with "index" first. Makes `ret`, the caller's to release; buf_failed when out of memory. */
void collect_row_text(const struct collect_row *row, bool with_index, struct buf *ret);

/* The whole answer: {"results":[…],"wall_ms":…,"sum_ms":…}; likewise. */
void collect_text(const struct collect *c, struct buf *ret);

/* Sets the row's error once: the first stays. */
void collect_row_fail(struct collect_row *row, const char *code, const char *detail);

#endif
