/* Answers what it was given: an integer that is required, and any JSON. Declared with ABI 1.1. */
#include <stdint.h>
#include <string.h>

#include "prong/kernel.h"

enum { N, DOC, EXTRA };

static const struct prong_param params[] = {
    {.size = sizeof(struct prong_param),
     .type = PRONG_INT,
     .name = "n",
     .help = "how many",
     .int_max = 9,
     .required = 1},
    PRONG_PARAM_JSON("doc", 64, "any value"),
    {.size = sizeof(struct prong_param),
     .type = PRONG_JSON,
     .name = "extra",
     .help = "another value",
     .count_max = 64,
     .text_default = "{}"},
};

static int map(struct prong_ctx *c, uint64_t lo, uint64_t hi)
{
    (void)lo, (void)hi;
    return prong_print(c, "{\"n\":%lld,\"doc\":%s,\"extra\":%s}", (long long)prong_int(c, N),
                       prong_text(c, DOC), prong_text(c, EXTRA));
}

static const struct prong_kernel kernel = {
    .size = sizeof(kernel),
    .abi_major = PRONG_ABI_MAJOR,
    .abi_minor = PRONG_ABI_MINOR,
    .flags = PRONG_PURE | PRONG_IDEMPOTENT,
    .name = "demanding",
    .version = "1",
    .summary = "Answers what it was given.",
    .example = "n=3&doc=[1]",
    .media_type = "application/json",
    .params = params,
    .param_count = sizeof(params) / sizeof(params[0]),
    .map = map,
};

PRONG_EXPORT const struct prong_kernel *prong_kernel_entry(uint32_t major, uint32_t minor)
{
    (void)major, (void)minor;
    return &kernel;
}
