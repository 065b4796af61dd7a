/* Its init gives up. */
#include <stdint.h>

#include "prong/kernel.h"

static int map(struct prong_ctx *c, uint64_t lo, uint64_t hi)
{
    (void)lo, (void)hi;
    return prong_write(c, "init_fails", sizeof("init_fails") - 1);
}

static int init(const struct prong_host *host, void **ret_state)
{
    (void)host, (void)ret_state;
    return -1;
}

static const struct prong_kernel kernel = {
    .size = sizeof(kernel),
    .abi_major = PRONG_ABI_MAJOR,
    .name = "init_fails",
    .version = "1",
    .map = map,
    .init = init,
};

PRONG_EXPORT const struct prong_kernel *prong_kernel_entry(uint32_t major, uint32_t minor)
{
    (void)major, (void)minor;
    return &kernel;
}
