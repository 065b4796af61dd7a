/* Its answer may lack parts: the numbers 0 … count - 1, but whoever computes one of `deadly` dies of it. */
#include <poll.h>
#include <signal.h>
#include <stdint.h>

#include "prong/kernel.h"

#ifndef FLAGS
#define FLAGS (PRONG_PURE | PRONG_IDEMPOTENT | PRONG_ASSOCIATIVE | PRONG_PARTIAL_OK)
#endif

enum { COUNT, DEADLY_LO, DEADLY_HI, PAUSE_MS, DEADLY_EVERY };

static const struct prong_param params[] = {
    PRONG_PARAM_INT("count", 0, 1 << 20, 10, "How many numbers"),
    PRONG_PARAM_INT("deadly_lo", 0, 1 << 20, 0, "The first deadly one"),
    PRONG_PARAM_INT("deadly_hi", 0, 1 << 20, 0, "The first after it that is not"),
    PRONG_PARAM_INT("pause_ms", 0, 1000, 0, "How long each takes"),
    PRONG_PARAM_INT("deadly_every", 1, 1 << 20, 1, "Of these only each such one is deadly"),
};

static int plan(struct prong_ctx *c, struct prong_work *work)
{
    *work = (struct prong_work) {.units = (uint64_t)prong_int(c, COUNT), .unit_cost = 1.0};
    return 0;
}

static int is_deadly(struct prong_ctx *c, int64_t i)
{
    int64_t lo = prong_int(c, DEADLY_LO);

    return i >= lo && i < prong_int(c, DEADLY_HI) && (i - lo) % prong_int(c, DEADLY_EVERY) == 0;
}

static int map(struct prong_ctx *c, uint64_t lo, uint64_t hi)
{
    for (uint64_t i = lo; i < hi; i++) {
        if (is_deadly(c, (int64_t)i))
            (void)raise(SIGKILL);
        if (prong_int(c, PAUSE_MS) > 0)
            (void)poll(NULL, 0, (int)prong_int(c, PAUSE_MS));
        if (prong_progress(c, i - lo, hi - lo) != 0)
            return 0;
        if (prong_write(c, &i, sizeof(i)) != 0)
            return -1;
    }
    return 0;
}

/* Numbers say themselves where they belong. */
static int combine(struct prong_ctx *c, struct prong_buf left, struct prong_buf right)
{
    int err = prong_write(c, left.data, left.size);

    return err != 0 ? err : prong_write(c, right.data, right.size);
}

static int finish(struct prong_ctx *c, struct prong_buf whole)
{
    const uint64_t *numbers = whole.data;
    size_t count = whole.size / sizeof(*numbers);
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        if (i > 0 && numbers[i] <= numbers[i - 1])
            return prong_fail(c, "The numbers are not in order.");
        sum += numbers[i];
    }
    return prong_print(c, "{\"count\":%zu,\"sum\":%llu}", count, (unsigned long long)sum);
}

static const struct prong_kernel kernel = {
    .size = sizeof(kernel),
    .abi_major = PRONG_ABI_MAJOR,
    .flags = FLAGS,
    .name = "holes",
    .media_type = "application/json",
    .version = "1",
    .params = params,
    .param_count = sizeof(params) / sizeof(params[0]),
    .plan = plan,
    .map = map,
    .combine = combine,
    .finish = finish,
};

PRONG_EXPORT const struct prong_kernel *prong_kernel_entry(uint32_t major, uint32_t minor)
{
    (void)major, (void)minor;
    return &kernel;
}
