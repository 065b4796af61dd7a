/*
 * Above the zygote's parts. What all cases share: the program, the kernels that it has described, and a way
 * to have it do a JOB and hear its answer. Uses check/peer.h, program, kernel and jansson. One thread.
 *
 * Where these functions fail, they say why in `why`, and -1 is what a case then returns.
 */
#ifndef CHECK_BENCH_H
#define CHECK_BENCH_H

#include <jansson.h>

#include "base/clock.h"
#include "check/example.h"
#include "check/peer.h"
#include "kernel/describe.h"
#include "program/talk.h"

struct bench_options {
    char *const *argv;
    const char *only;    /* kernel; NULL: all */
    json_t *params;      /* instead of the examples'; NULL */
    uint64_t timeout_ns; /* for READY, and for any answer */
    uint64_t slow;       /* times as long as the protocol allows, for slow machines */
    bool is_verbose;
};

struct bench {
    struct bench_options options;
    struct peer peer;
    struct declared *kernels[DESCRIBE_KERNELS_MAX];
    uint32_t kernel_count;
    uint64_t seed; /* of the numbers of jobs */
    char why[600];
};

/* What a JOB asks for. */
struct bench_job {
    const char *kernel, *op;
    const json_t *params;   /* may be NULL */
    const char *input_kind; /* NULL: "none" */
    const void *input;
    size_t input_bytes;
    bool has_range;
    uint64_t lo, hi;
    const struct bench_answer *parts; /* of combine and finish */
    size_t part_count;
    const char *more; /* another member of its JSON, from the comma on; NULL */
};

struct bench_answer {
    bool is_error;
    enum talk_code code; /* of an error */
    char *message;       /* … */
    char *raw;           /* owned, as is the message */
    size_t raw_bytes;
    char media_type[TALK_MEDIA_MAX + 1];
    bool has_units;
    uint64_t units;
    uint64_t took_ns; /* when it was asked and heard in one */
    unsigned progress_count, part_count;
};

void bench_init(struct bench *b, const struct bench_options *options);
void bench_release(struct bench *b);

/* Says why a case fails: -1. Why it is left out: 1. */
int bench_fail(struct bench *b, const char *format, ...) PRINTF_LIKE(2, 3);
int bench_skip(struct bench *b, const char *format, ...) PRINTF_LIKE(2, 3);

/* A program that has said READY and is idle: the one from before, if it is well, or a new one. 0 or -1. */
int bench_need(struct bench *b);

/* Starts a new one and hears READY, whose kernels become the bench's if it has none yet. 0 or -1. */
int bench_start(struct bench *b);

/* Ends it by force, so that the next case gets a new one. */
void bench_drop(struct bench *b);

/* The JSON of a JOB; the caller's to free(). */
char *bench_meta(const struct bench_job *job);

/* A number for a JOB. */
uint64_t bench_number(struct bench *b);

/* Sends a JOB: its number into *ret_number. 0 or -1. */
int bench_send_job(struct bench *b, const struct bench_job *job, uint64_t *ret_number);

/* Hears all that belongs to that JOB until it is answered, within the time. 0 or -1; the caller releases
 * `ret` after 0. */
int bench_hear(struct bench *b, uint64_t number, uint64_t deadline_ns, struct bench_answer *ret);

/* Both. */
int bench_ask(struct bench *b, const struct bench_job *job, struct bench_answer *ret);
void bench_answer_release(struct bench_answer *a);

/* Sends a frame without job; hears one of this type. 0 or -1. */
int bench_say(struct bench *b, enum frame_type type);
int bench_expect(struct bench *b, enum frame_type type, uint64_t deadline_ns);

/* From now. */
uint64_t bench_deadline(const struct bench *b);

/* So many milliseconds that the protocol allows. */
static inline uint64_t bench_allowed(const struct bench *b, uint64_t ms)
{
    return clock_now_ns() + ms * b->options.slow * CLOCK_NS_PER_MS;
}

/* A JOB about an example. */
struct bench_job bench_job_for(const struct prong_kernel *k, const struct example *e,
                               const char *op);

/* The example's own parameters and input, and what --params say. 0 or -1. */
int bench_example(struct bench *b, const struct prong_kernel *k, struct example *ret);

/* The whole answer for an example: "run", or plan, map in `ranges` ranges, combine and finish. 0 or -1. */
int bench_compute(struct bench *b, const struct prong_kernel *k, const struct example *e,
                  uint64_t ranges, struct bench_answer *ret);

#endif
