/* Takes memory or time, and says whether it got it. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "prong/kernel.h"

enum { BYTES, SPIN };

static const struct prong_param params[] = {
    PRONG_PARAM_INT("bytes", 0, 1LL << 32, 0, "how many bytes to allocate"),
    PRONG_PARAM_INT("spin", 0, 1, 0, "whether to compute for ever"),
};

static int map(struct prong_ctx *c, uint64_t lo, uint64_t hi)
{
    size_t bytes = (size_t)prong_int(c, BYTES);
    volatile char *memory = malloc(bytes);
    volatile uint64_t turns = 0;

    (void)lo, (void)hi;
    for (size_t i = 0; memory != NULL && i < bytes; i += 4096)
        memory[i] = 1;
    while (prong_int(c, SPIN) != 0)
        turns = turns + 1;
    free((void *)(uintptr_t)memory);
    return prong_print(c, "%s", memory == NULL ? "false" : "true");
}

static const struct prong_kernel kernel = {
    .size = sizeof(kernel),
    .abi_major = PRONG_ABI_MAJOR,
    .abi_minor = PRONG_ABI_MINOR,
    .flags = PRONG_PURE | PRONG_IDEMPOTENT,
    .name = "hungry",
    .version = "1",
    .summary = "Takes memory or time.",
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
