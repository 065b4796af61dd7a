/* What it declares cannot be read. */
#include <signal.h>
#include <stdint.h>
#include <unistd.h>

#include "prong/kernel.h"

static int map(struct prong_ctx *c, uint64_t lo, uint64_t hi)
{
    (void)lo, (void)hi;
    return prong_write(c, "declaration_crashes", sizeof("declaration_crashes") - 1);
}

static const struct prong_kernel kernel = {
    .size = sizeof(kernel),
    .abi_major = PRONG_ABI_MAJOR,
    .name = "declaration_crashes",
    .version = "1",
    .map = map,
    .params = (const struct prong_param *)64,
    .param_count = 1,
};

PRONG_EXPORT const struct prong_kernel *prong_kernel_entry(uint32_t major, uint32_t minor)
{
    (void)major, (void)minor;
    return &kernel;
}
