/*
 * F4, behind the wall. One JOB as a kernel sees it: the context that its functions get, and the functions
 * that they may call. Uses kernel, program's frames, base and the worker's writers of JSON. One thread, one
 * job at a time.
 */
#ifndef HOST_JOB_H
#define HOST_JOB_H

#include <stdarg.h>
#include <stdbool.h>

#include "host/args.h"
#include "host/link.h"
#include "ipc/proto.h"
#include "prong/kernel.h"
#include "worker/output.h"

enum { JOB_TELL_MS = 20 }; /* PROGRESS is not said more often */

struct job {
    struct prong_ctx ctx; /* first: the functions get this and find the rest */
    struct link *link;
    const struct prong_kernel *kernel;
    struct output outputs[2]; /* one is written while the other is read */
    struct output *out;
    size_t part_max; /* raw bytes of a PART */
    /* Of this one, from job_begin on. */
    uint64_t id;
    struct args args;
    enum prong_input input_kind;
    struct prong_buf input;
    uint64_t deadline_ns;
    uint64_t looked_ns, told_ns; /* when CANCEL was last looked for, and PROGRESS said */
    bool wants_parts;
    bool cancelled; /* nobody wants it any more, or its deadline has passed */
    bool failed;
    char error[PROTO_ERROR_MAX];
    char media[PROTO_MEDIA_MAX + 1]; /* "" until the kernel says */
};

/* For a life of jobs of this kernel, whose answers may have `result_max` bytes. -ENOMEM. */
int job_init(struct job *j, const struct prong_kernel *k, void *state, struct link *l,
             size_t result_max, size_t part_max);
void job_release(struct job *j);

/* Forgets the last one. What it is about is set afterwards. */
void job_begin(struct job *j, uint64_t id);

/* Frees its arguments, and gives back the memory that a large answer took. */
void job_end(struct job *j);

/* An empty output to write; what was in the current one stays until the next call. */
void job_turn(struct job *j);

/* It fails with this sentence, unless it has failed before. -1. */
int job_fail(struct job *j, const char *format, ...) PRINTF_LIKE(2, 3);

bool job_is_cancelled(struct job *j);

static inline struct prong_buf job_output(const struct job *j)
{
    return (struct prong_buf) {.data = j->out->data, .size = j->out->size};
}

/* The functions, the same for all jobs; init gets them too. */
const struct prong_host *job_host(void);

#endif
