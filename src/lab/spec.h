/*
 * F4b, pure. What a lab may be asked for: the experiments, their modes, and the bounds of each figure.
 */
#ifndef LAB_SPEC_H
#define LAB_SPEC_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    LAB_WORKERS_MAX = 16,
    LAB_REPEAT_MAX = 20,
    LAB_SEED_MAX = INT32_MAX,
    LAB_WAIT_MS = 50, /* one wait of io */
};

enum lab_experiment { LAB_CPU, LAB_IO, LAB_RACE, LAB_CRASH, LAB_EXPERIMENT_COUNT };

enum lab_mode {
    LAB_SEQUENTIAL,
    LAB_THREADS,
    LAB_GIL,
    LAB_PROCESSES,
    LAB_PY_SEQUENTIAL,
    LAB_PY_THREADS,
    LAB_PY_PROCESSES,
    LAB_UNLOCKED,
    LAB_LOCKED,
    LAB_ATOMIC,
    LAB_MODE_COUNT
};

#define LAB_MODE_BIT(mode) (1u << (mode))
#define LAB_PYTHON                                                                                 \
    (LAB_MODE_BIT(LAB_PY_SEQUENTIAL) | LAB_MODE_BIT(LAB_PY_THREADS) |                              \
     LAB_MODE_BIT(LAB_PY_PROCESSES))

extern const char *const lab_experiment_names[LAB_EXPERIMENT_COUNT];
extern const char *const lab_mode_names[LAB_MODE_COUNT];

/* The modes that an experiment has, as bits, and how much it does at most. */
unsigned lab_modes_of(enum lab_experiment experiment);
uint64_t lab_n_max(enum lab_experiment experiment);

struct lab_spec {
    enum lab_experiment experiment;
    uint64_t n;
    unsigned workers, repeat;
    unsigned modes; /* bits; those of python only as far as there is one */
    uint32_t seed;  /* of the order */
    bool has_seed;
};

/* Which member is wrong, how, and what it should be. */
struct lab_problem {
    const char *parameter;
    char got[80];
    char text[320]; /* one sentence */
};

/* From the body of the request. 0, or -EINVAL with *ret_problem. */
int lab_spec_read(json_t *body, struct lab_spec *ret, struct lab_problem *ret_problem);

#endif
