/*
 * The smallest kernel that is of use: copy it, rename it, and replace what it computes.
 *
 *     make                                             builds every .c of this folder
 *     cp template.so /usr/local/lib/prong/kernels/     where the server looks (or --kernels DIR)
 *     curl 'localhost:8080/compute/template?limit=1000000'
 *
 * It looks for the number below `limit` that takes the most steps to reach 1, when an even number is
 * halved and an odd one becomes 3n + 1. <prong/kernel.h> is the manual of all that is used here.
 */
#include <string.h>

#include "prong/kernel.h"

/* The parameters, by index. Their declarations below are all there is to do: prong checks what a
 * request says by them, fills in defaults, and makes the catalogue and the form on the page. */
enum { PARAM_LIMIT };

static const struct prong_param params[] = {
    [PARAM_LIMIT] = PRONG_PARAM_INT("limit", 2, 1000000000, 1000000, "Look below this number"),
};

/* The work is cut into units, which workers compute in any order; a unit should take some ten
 * microseconds to a millisecond. Here it is a block of numbers. */
#define UNIT_NUMBERS 1024

/* What one worker found. It travels as bytes between processes of the same program on the same
 * machine, so a struct without pointers will do. */
struct best {
    uint64_t number;
    uint64_t steps;
};

static uint64_t count_steps(uint64_t n)
{
    uint64_t steps = 0;

    for (; n != 1; steps++)
        n = n % 2 == 0 ? n / 2 : 3 * n + 1;
    return steps;
}

/* Of equals the smaller number, so that the answer is the same wherever the work was cut. */
static struct best better(struct best a, struct best b)
{
    return b.steps > a.steps || (b.steps == a.steps && b.number < a.number) ? b : a;
}

/* How many units, and what one of them costs, in any measure that is the same for all requests. */
static int plan(struct prong_ctx *ctx, struct prong_work *ret_work)
{
    ret_work->units = ((uint64_t)prong_int(ctx, PARAM_LIMIT) + UNIT_NUMBERS - 1) / UNIT_NUMBERS;
    ret_work->unit_cost = UNIT_NUMBERS;
    return 0;
}

/* The part for the units from `lo` to `hi`, without `hi`. When prong_progress says so, stop and answer
 * for what is done: somebody else computes the rest, or nobody wants it any more. */
static int map(struct prong_ctx *ctx, uint64_t lo, uint64_t hi)
{
    uint64_t limit = (uint64_t)prong_int(ctx, PARAM_LIMIT);
    struct best best = {.number = 1, .steps = 0};

    for (uint64_t unit = lo; unit < hi;) {
        uint64_t first = unit * UNIT_NUMBERS, end = first + UNIT_NUMBERS;

        for (uint64_t n = first == 0 ? 1 : first; n < end && n < limit; n++)
            best = better(best, (struct best) {.number = n, .steps = count_steps(n)});
        unit++;
        if (prong_progress(ctx, unit - lo, hi - lo) != 0)
            break;
    }
    return prong_write(ctx, &best, sizeof(best));
}

/* Parts lie anywhere in memory, so they are copied before they are looked at. */
static struct best read_best(struct prong_buf part)
{
    struct best best;

    memcpy(&best, part.data, sizeof(best));
    return best;
}

/* One part of two neighbours'. */
static int combine(struct prong_ctx *ctx, struct prong_buf left, struct prong_buf right)
{
    struct best best = better(read_best(left), read_best(right));

    return prong_write(ctx, &best, sizeof(best));
}

/* The answer, from the part for all units. */
static int finish(struct prong_ctx *ctx, struct prong_buf whole)
{
    struct best best = read_best(whole);

    return prong_print(ctx, "{\"number\":%llu,\"steps\":%llu}", (unsigned long long)best.number,
                       (unsigned long long)best.steps);
}

/* Runs at every start, in a process of its own: NULL, or one sentence that says what is wrong. */
static const char *selftest(void *state)
{
    (void)state;
    return count_steps(27) == 111 ? NULL : "27 takes 111 steps; the count says otherwise.";
}

static const struct prong_kernel kernel = {
    .size = sizeof(kernel),
    .abi_major = PRONG_ABI_MAJOR,
    .abi_minor = PRONG_ABI_MINOR,
    /* Pure: GET may run it. Idempotent: run it again when a worker died. Associative: combine may
     * join any two neighbours, not just from the left. */
    .flags = PRONG_PURE | PRONG_IDEMPOTENT | PRONG_ASSOCIATIVE,
    .name = "template",
    .version = "1",
    .summary = "Finds the number below a limit that takes the most steps of 3n + 1 to reach 1.",
    .example = "limit=100000",
    .media_type = "application/json",
    .params = params,
    .param_count = sizeof(params) / sizeof(params[0]),
    .plan = plan, /* leave out plan, combine or finish when you need none */
    .map = map,
    .combine = combine,
    .finish = finish,
    .selftest = selftest,
};

PRONG_EXPORT const struct prong_kernel *prong_kernel_entry(uint32_t host_abi_major,
                                                           uint32_t host_abi_minor)
{
    (void)host_abi_minor; /* a host with less refuses what the struct says */
    return host_abi_major == PRONG_ABI_MAJOR ? &kernel : NULL;
}
