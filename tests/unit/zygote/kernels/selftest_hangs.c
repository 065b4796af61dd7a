/* Its self-test never ends. */
#include <signal.h>
#include <stdint.h>
#include <unistd.h>

#include "prong/kernel.h"

static int map(struct prong_ctx *c, uint64_t lo, uint64_t hi)
{
    (void)lo, (void)hi;
    return prong_write(c, "selftest_hangs", sizeof("selftest_hangs") - 1);
}

static const char *selftest(void *state)
{
    (void)state;
    while (pause() < 0)
        continue;
    return NULL;
}

static const struct prong_kernel kernel = {
    .size = sizeof(kernel),
    .abi_major = PRONG_ABI_MAJOR,
    .name = "selftest_hangs",
    .version = "1",
    .map = map,
    .selftest = selftest,
};

PRONG_EXPORT const struct prong_kernel *prong_kernel_entry(uint32_t major, uint32_t minor)
{
    (void)major, (void)minor;
    return &kernel;
}
