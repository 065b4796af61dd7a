/* Says with how many others it was called: {"n":…,"together":…}. Does what its mode says, by itself or in their midst. */
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "prong/kernel.h"

/* It is not pure, but GET may run it so. */
#ifndef FLAGS
#define FLAGS (PRONG_PURE | PRONG_IDEMPOTENT)
#endif

enum { N, MODE, TEXT };

static const char *const modes[] = {"answer", "crash", "fail", "silent", "wait",
                                    "spin",   "hang",  "big",  NULL};
enum { ANSWER, CRASH, FAIL, SILENT, WAIT, SPIN, HANG, BIG };

static const struct prong_param params[] = {
    PRONG_PARAM_INT("n", 0, 1000000, 0, "Comes back"),
    PRONG_PARAM_CHOICE("mode", modes, "answer", "What to do"),
    PRONG_PARAM_TEXT("text", 4096, "", "Of any length"),
};

static void nap(void)
{
    (void)nanosleep(&(struct timespec) {.tv_nsec = 1000000}, NULL);
}

static int big(struct prong_ctx *c)
{
    enum { BYTES = 300000 };
    char *at = prong_reserve(c, BYTES);

    if (at == NULL)
        return -1;
    memset(at, 'a' + (int)(prong_int(c, N) % 26), BYTES);
    return 0;
}

static int one(struct prong_ctx *c, uint32_t together)
{
    switch (prong_int(c, MODE)) {
    case CRASH:
        abort();
    case FAIL:
        return prong_fail(c, "Number %lld fails.", (long long)prong_int(c, N));
    case SPIN:
        while (!prong_cancelled(c))
            nap();
        return 0;
    case HANG:
        for (;;)
            nap();
    case WAIT:
        for (int i = 0; i < 1000 && !prong_cancelled(c); i++)
            nap();
        break;
    case BIG:
        return big(c);
    default:
        break;
    }
    return prong_print(c, "{\"n\":%lld,\"together\":%u}", (long long)prong_int(c, N), together);
}

static int map(struct prong_ctx *c, uint64_t lo, uint64_t hi)
{
    (void)lo, (void)hi;
    return prong_int(c, MODE) == SILENT ? 1 : one(c, 1);
}

/* What one of them fails by is its own; only SILENT is everybody's. */
static int batch(struct prong_ctx *const *calls, uint32_t count)
{
    int rc = 0;

    for (uint32_t i = 0; i < count; i++) {
        (void)one(calls[i], count);
        if (prong_int(calls[i], MODE) == SILENT)
            rc = 1;
    }
    return rc;
}

static const struct prong_kernel kernel = {
    .size = sizeof(kernel),
    .abi_major = PRONG_ABI_MAJOR,
    .abi_minor = PRONG_ABI_MINOR,
    .flags = FLAGS,
    .name = "batcher",
    .version = "1",
    .summary = "Tells how many were computed together.",
    .example = "n=1",
    .media_type = "application/json",
    .params = params,
    .param_count = sizeof(params) / sizeof(params[0]),
    .map = map,
    .batch = batch,
};

PRONG_EXPORT const struct prong_kernel *prong_kernel_entry(uint32_t major, uint32_t minor)
{
    (void)minor;
    return major == PRONG_ABI_MAJOR ? &kernel : NULL;
}
