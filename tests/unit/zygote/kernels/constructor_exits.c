/* Its constructor ends the process, as if all were well. */
#include <signal.h>
#include <stdint.h>
#include <unistd.h>

#include "prong/kernel.h"

static int map(struct prong_ctx *c, uint64_t lo, uint64_t hi)
{
    (void)lo, (void)hi;
    return prong_write(c, "constructor_exits", sizeof("constructor_exits") - 1);
}

__attribute__((constructor)) static void construct(void)
{
    _exit(0);
}

static const struct prong_kernel kernel = {
    .size = sizeof(kernel),
    .abi_major = PRONG_ABI_MAJOR,
    .name = "constructor_exits",
    .version = "1",
    .map = map,
};

PRONG_EXPORT const struct prong_kernel *prong_kernel_entry(uint32_t major, uint32_t minor)
{
    (void)major, (void)minor;
    return &kernel;
}
