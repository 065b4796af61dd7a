/*
 * F5. The parts of /compute/{kernel}: what is asked (ask.c), as events (events.c), as a durable job (jobs_submit.c).
 */
#ifndef API_COMPUTE_H
#define API_COMPUTE_H

#include "api/api.h"
#include "api/prefer.h"

enum { COMPUTE_CHUNKS_MAX = 10000 }; /* that a client may ask for */

enum compute_body { COMPUTE_NO_BODY, COMPUTE_JSON, COMPUTE_RAW };

/* What a durable job is asked for beyond what struct job says; all as it was asked, 0 for what was not. */
struct compute_durable {
    bool is_wanted;
    const char *key;      /* Idempotency-Key, or NULL; the request's */
    struct prefer prefer; /* of /compute */
    uint64_t timeout_ns, deadline_ns;
    unsigned attempts;
    char *params; /* canonical JSON, owned */
    struct submission *submission;
};

/* A request's own, in r->context. */
struct compute {
    /* Held. */
    const struct kernel *kernel;
    struct job *job; /* NULL once events.c has taken it */
    enum compute_body body_kind;
    struct buf body;   /* JSON, or raw input that is small */
    struct slab *slab; /* raw input that is not */
    size_t slab_used;
    bool wants_events;
    struct compute_durable durable;
};

/* Sets r->context and its release. NULL after having answered. */
struct compute *compute_new(struct request *r);

/* The body will be JSON of at most --json-max. False after having answered. */
bool compute_expect_json(struct request *r, struct compute *c);

/* Fills the job from the query, the headers and the body. False after having answered. */
bool compute_ask(struct request *r, struct compute *c);

/* The steps of it for a job that is asked for otherwise: the body as a JSON object, the caller's (NULL after having
 * answered; `expected` is an example); an empty job of c->kernel; its parameters. False after having answered. */
json_t *compute_read_body(struct request *r, const struct compute *c, const char *expected);
bool compute_make_job(struct request *r, struct compute *c);
bool compute_ask_object(struct request *r, struct compute *c, json_t *object);

/* Answers from an ended job. */
void compute_answer(struct request *r, struct job *job);

/* Answers with an event stream, and submits. */
void compute_events(struct request *r, struct compute *c);

#endif
