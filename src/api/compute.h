/*
 * F5. The parts of /compute/{kernel}: what is asked (ask.c), as events (events.c), as a durable job (jobs_submit.c).
 */
#ifndef API_COMPUTE_H
#define API_COMPUTE_H

#include "api/api.h"

enum compute_body { COMPUTE_NO_BODY, COMPUTE_JSON, COMPUTE_RAW };

/* A request's own, in r->context. */
struct compute {
    const struct kernel *kernel;
    struct job *job; /* NULL once events.c has taken it */
    enum compute_body body_kind;
    struct buf body;   /* JSON, or raw input that is small */
    struct slab *slab; /* raw input that is not */
    size_t slab_used;
    bool wants_events;
};

/* Fills the job from the query, the headers and the body. False after having answered. */
bool compute_ask(struct request *r, struct compute *c);

/* Answers from an ended job. */
void compute_answer(struct request *r, struct job *job);

/* Answers with an event stream, and submits. */
void compute_events(struct request *r, struct compute *c);

#endif
