/* Splits: the part for [lo, hi) is the numbers lo … hi - 1, the answer how many there are and their sum. */
#include <poll.h>
#include <stdint.h>

#include "prong/kernel.h"

enum { COUNT, PAUSE_MS };

static const struct prong_param params[] = {
    PRONG_PARAM_INT("count", 0, 1 << 20, 10, "How many rows"),
    PRONG_PARAM_INT("pause_ms", 0, 1000, 0, "How long each takes"),
};

static int plan(struct prong_ctx *c, struct prong_work *work)
{
    *work = (struct prong_work) {.units = (uint64_t)prong_int(c, COUNT), .unit_cost = 2.0};
    return 0;
}

static int map(struct prong_ctx *c, uint64_t lo, uint64_t hi)
{
    for (uint64_t i = lo; i < hi; i++) {
        if (prong_progress(c, i - lo, hi - lo) != 0)
            return 0;
        if (prong_int(c, PAUSE_MS) > 0)
            (void)poll(NULL, 0, (int)prong_int(c, PAUSE_MS));
        if (prong_write(c, &i, sizeof(i)) != 0)
            return -1;
    }
    return 0;
}

static int finish(struct prong_ctx *c, struct prong_buf whole)
{
    const uint64_t *rows = whole.data;
    size_t count = whole.size / sizeof(*rows);
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++)
        sum += rows[i];
    return prong_print(c, "%zu rows, sum %llu", count, (unsigned long long)sum);
}

static const struct prong_kernel kernel = {
    .size = sizeof(kernel),
    .abi_major = PRONG_ABI_MAJOR,
    .flags = PRONG_PURE | PRONG_IDEMPOTENT | PRONG_ASSOCIATIVE,
    .name = "rows",
    .version = "1",
    .params = params,
    .param_count = sizeof(params) / sizeof(params[0]),
    .plan = plan,
    .map = map,
    .finish = finish,
};

PRONG_EXPORT const struct prong_kernel *prong_kernel_entry(uint32_t major, uint32_t minor)
{
    (void)major, (void)minor;
    return &kernel;
}
