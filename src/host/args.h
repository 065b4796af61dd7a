/*
 * F4, behind the wall. The parameters of a JOB, read from its JSON by the declaration of its kernel. Uses
 * base, ipc, the ABI and jansson. One thread.
 */
#ifndef HOST_ARGS_H
#define HOST_ARGS_H

#include <jansson.h>

#include "prong/kernel.h"

struct err;

struct args {
    uint32_t count;
    struct args_value {
        int64_t integer; /* PRONG_INT, or the index of a PRONG_CHOICE */
        double real;
        const char *text; /* in the JSON, in the declaration, or owned */
        char *owned;
    } values[PRONG_PARAMS_MAX];
};

/* `params` must live as long as `ret`, and may be NULL. One that is not given has its default. Prong has
 * checked the bounds; a kernel relies on them for its memory's sake, so they are checked again. -EINVAL
 * with a sentence that names the parameter, -ENOMEM; either way `ret` is to be released. */
int args_read(const struct prong_kernel *k, const json_t *params, struct args *ret,
              struct err *err);
void args_release(struct args *a);

#endif
