/* Each time it finds a file that a test has left, it removes it and is killed, as if the system had run out of memory. */
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "prong/kernel.h"

static void be_killed_if_there(const char *variable)
{
    const char *path = getenv(variable);

    if (path != NULL && unlink(path) == 0)
        (void)raise(SIGKILL);
}

static int map(struct prong_ctx *c, uint64_t lo, uint64_t hi)
{
    (void)lo, (void)hi;
    return prong_write(c, "killed_once", sizeof("killed_once") - 1);
}

__attribute__((constructor)) static void construct(void)
{
    be_killed_if_there("PRONG_TEST_KILLED_IN_CONSTRUCTOR");
}

static const char *selftest(void *state)
{
    (void)state;
    be_killed_if_there("PRONG_TEST_KILLED_IN_SELFTEST");
    return NULL;
}

static const struct prong_kernel kernel = {
    .size = sizeof(kernel),
    .abi_major = PRONG_ABI_MAJOR,
    .name = "killed_once",
    .version = "1",
    .map = map,
    .selftest = selftest,
};

PRONG_EXPORT const struct prong_kernel *prong_kernel_entry(uint32_t major, uint32_t minor)
{
    (void)major, (void)minor;
    return &kernel;
}
