/* Its constructor never returns. */
#include <signal.h>
#include <stdint.h>
#include <unistd.h>

#include "prong/kernel.h"

static int map(struct prong_ctx *c, uint64_t lo, uint64_t hi)
{
    (void)lo, (void)hi;
    return prong_write(c, "constructor_hangs", sizeof("constructor_hangs") - 1);
}

__attribute__((constructor)) static void construct(void)
{
    while (pause() < 0)
        continue;
}

static const struct prong_kernel kernel = {
    .size = sizeof(kernel),
    .abi_major = PRONG_ABI_MAJOR,
    .name = "constructor_hangs",
    .version = "1",
    .map = map,
};

PRONG_EXPORT const struct prong_kernel *prong_kernel_entry(uint32_t major, uint32_t minor)
{
    (void)major, (void)minor;
    return &kernel;
}
