/*
 * A host for one kernel under test, in the test's own process: no zygote, no worker, no socket.
 *
 * It plays the parts of the real host that a kernel can see: parameters with their defaults, an
 * input aligned as promised, an output that grows, cuts by prong_progress at a chosen count, and the
 * putting together of parts. It includes nothing of the project but the ABI. What a kernel must not
 * do (go on after it was told to stop, report progress backwards, emit too much) ends the test.
 */
#ifndef MOCK_HOST_H
#define MOCK_HOST_H

#include "prong/kernel.h"

#define MOCK_NO_CUT UINT64_MAX

struct mock_bytes {
    char *data; /* a NUL follows, so that a test may read it as text */
    size_t size;
};

struct mock {
    struct prong_ctx ctx; /* first: the kernel's view is cast back to this */
    const struct prong_kernel *kernel;
    int64_t ints[PRONG_PARAMS_MAX];
    double reals[PRONG_PARAMS_MAX];
    const char *texts[PRONG_PARAMS_MAX];
    enum prong_input input_kind;
    struct prong_buf input;
    struct mock_bytes out;
    size_t out_room;
    size_t out_max; /* a writer that would pass it fails */
    const char *media;
    int failed;
    char error[256];
    uint64_t cut; /* prong_progress says stop from this count on */
    uint64_t done;
    uint64_t total;
    unsigned progress_calls;
    int stopped;
    int wants_parts;
    struct mock_bytes *emitted;
    size_t emitted_count;
};

/* Loads the linked kernel, runs its init and its selftest, and sets every parameter's default. */
void mock_init(struct mock *);
void mock_release(struct mock *);

void mock_int(struct mock *, const char *name, int64_t value);
void mock_real(struct mock *, const char *name, double value);
void mock_text(struct mock *, const char *name, const char *value); /* or the word of a choice */
void mock_input(struct mock *, enum prong_input, const void *data, size_t bytes); /* copies */

/* What plan says; 1 unit when the kernel has none. The kernel must not fail. */
struct prong_work mock_plan(struct mock *);

/* The kernel's complaint from plan, or from the whole run; NULL when it has none. */
const char *mock_complaint(struct mock *);

/* Runs map on [lo, hi) until it is done or told to stop at `cut`; returns the end of what it did. */
uint64_t mock_map(struct mock *, uint64_t lo, uint64_t hi, uint64_t cut,
                  struct mock_bytes *ret_part);

/* The answer in one range, and in random ranges, some stopped early, joined by a random tree. */
struct mock_bytes mock_run(struct mock *);
struct mock_bytes mock_run_split(struct mock *, unsigned seed);

/* Checks that `rounds` random splits answer, byte for byte, what one range answers. */
void mock_check_splits(struct mock *, unsigned rounds);

/* Checks the answer in one range against a text, and that some splits agree with it. */
void mock_check_answer(struct mock *, const char *expected);

#endif
