/* Its init crashes. */
#include <signal.h>
#include <stdint.h>
#include <unistd.h>

#include "prong/kernel.h"

static int map(struct prong_ctx *c, uint64_t lo, uint64_t hi)
{
    (void)lo, (void)hi;
    return prong_write(c, "init_crashes", sizeof("init_crashes") - 1);
}

static int init(const struct prong_host *host, void **ret_state)
{
    (void)host, (void)ret_state;
    (void)raise(SIGFPE);
    return 0;
}

static const struct prong_kernel kernel = {
    .size = sizeof(kernel),
    .abi_major = PRONG_ABI_MAJOR,
    .name = "init_crashes",
    .version = "1",
    .map = map,
    .init = init,
};

PRONG_EXPORT const struct prong_kernel *prong_kernel_entry(uint32_t major, uint32_t minor)
{
    (void)major, (void)minor;
    return &kernel;
}
