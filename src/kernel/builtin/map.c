#include <math.h>
#include <string.h>

#include "prong/kernel.h"

/* One function of every number, in order. The parts are pieces of the answer and need no finish. */

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "raw numbers are as they lie in memory");

enum { PARAM_FN, PARAM_VALUES };
enum { FN_SQRT, FN_SQUARE, FN_EXP, FN_LOG, FN_SIN, FN_COS, FN_ABS, FN_NEGATE, FN_COUNT };

#define VALUES_MAX    (1u << 24) /* of a JSON array; raw input is limited by the server alone */
#define BLOCK_VALUES  4096u
#define PROGRESS_COST (50.0 * BLOCK_VALUES) /* some 0.2 ms of the costs below */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__x86_64__)
#define VECTOR_CLONES
#else
#define VECTOR_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#endif

static const char *const fn_names[FN_COUNT + 1] = {"sqrt", "square", "exp", "log",
                                                   "sin",  "cos",    "abs", "negate"};

static const struct prong_param params[] = {
    [PARAM_FN] = PRONG_PARAM_CHOICE("fn", fn_names, "sqrt", "The function"),
    [PARAM_VALUES] =
        PRONG_PARAM_VALUES("values", VALUES_MAX, "The numbers; or send them raw as float64"),
};

#define MAPPER(name, expression)                                                                   \
    VECTOR_CLONES static void map_##name(double *restrict to, const double *restrict from,         \
                                         size_t count)                                             \
    {                                                                                              \
        for (size_t i = 0; i < count; i++) {                                                       \
            double x = from[i];                                                                    \
                                                                                                   \
            to[i] = (expression);                                                                  \
        }                                                                                          \
    }

MAPPER(sqrt, sqrt(x))
MAPPER(square, x *x)
MAPPER(exp, exp(x))
MAPPER(log, log(x))
MAPPER(sin, sin(x))
MAPPER(cos, cos(x))
MAPPER(abs, fabs(x))
MAPPER(negate, -x)

/* The costs are nanoseconds, roughly, with a page of fresh memory for every 512 numbers. */
static const struct {
    void (*apply)(double *restrict to, const double *restrict from, size_t count);
    double cost;
} fns[FN_COUNT] = {
    [FN_SQRT] = {map_sqrt, 5}, [FN_SQUARE] = {map_square, 3}, [FN_EXP] = {map_exp, 12},
    [FN_LOG] = {map_log, 9},   [FN_SIN] = {map_sin, 18},      [FN_COS] = {map_cos, 18},
    [FN_ABS] = {map_abs, 3},   [FN_NEGATE] = {map_negate, 3},
};

#define PRINT_COST 60.0

struct request {
    const double *values;
    size_t count;
    int raw;
    unsigned fn;
    double block_cost;
};

static struct request read_request(struct prong_ctx *ctx)
{
    struct prong_buf input;
    enum prong_input kind = prong_input(ctx, &input);
    struct request r = {
        .values = input.data,
        .count = input.size / sizeof(double),
        .raw = kind == PRONG_INPUT_RAW,
        .fn = (unsigned)prong_int(ctx, PARAM_FN),
    };
    size_t block = r.count < BLOCK_VALUES ? r.count : BLOCK_VALUES;

    r.block_cost = (double)(block + 1) * (fns[r.fn].cost + (r.raw ? 0 : PRINT_COST));
    return r;
}

static int plan(struct prong_ctx *ctx, struct prong_work *ret_work)
{
    struct request r = read_request(ctx);
    struct prong_buf input;

    (void)prong_input(ctx, &input);
    if (input.size % sizeof(double) != 0)
        return prong_fail(ctx, "The body has %zu bytes, which is not a whole number of float64s.",
                          input.size);
    /* Of no values there is one block all the same, which writes the brackets. */
    ret_work->units = r.count == 0 ? 1 : (r.count + BLOCK_VALUES - 1) / BLOCK_VALUES;
    ret_work->unit_cost = r.block_cost;
    return 0;
}

static int write_raw(struct prong_ctx *ctx, const struct request *r, size_t from, size_t count)
{
    double *to = prong_reserve(ctx, count * sizeof(*to));

    if (to == NULL)
        return -1;
    fns[r->fn].apply(to, r->values + from, count);
    return 0;
}

static int write_json(struct prong_ctx *ctx, const struct request *r, size_t from, size_t count)
{
    static double mapped[BLOCK_VALUES];
    int err = from == 0 ? prong_write(ctx, "[", 1) : 0;

    fns[r->fn].apply(mapped, r->values + from, count);
    for (size_t i = 0; err == 0 && i < count; i++)
        if (from + i == 0 || (err = prong_write(ctx, ",", 1)) == 0)
            err = prong_number(ctx, mapped[i]);
    if (err == 0 && from + count == r->count)
        err = prong_write(ctx, "]", 1);
    return err;
}

static int write_block(struct prong_ctx *ctx, const struct request *r, uint64_t block)
{
    size_t from = (size_t)block * BLOCK_VALUES;
    size_t left = r->count - from;
    size_t count = left < BLOCK_VALUES ? left : BLOCK_VALUES;

    return r->raw ? write_raw(ctx, r, from, count) : write_json(ctx, r, from, count);
}

static int map(struct prong_ctx *ctx, uint64_t lo, uint64_t hi)
{
    struct request r = read_request(ctx);
    double cost = 0;
    int err = r.raw ? prong_media(ctx, "application/octet-stream") : 0;

    for (uint64_t block = lo; err == 0 && block < hi;) {
        err = write_block(ctx, &r, block);
        block++;
        cost += r.block_cost;
        if (err == 0 && cost >= PROGRESS_COST) {
            cost = 0;
            if (prong_progress(ctx, block - lo, hi - lo) != 0)
                break;
        }
    }
    return err;
}

static const char *selftest(void *state)
{
    static const double given[] = {0, 1, 4, 2.25};
    static const double expected[FN_COUNT] = {1.5,
                                              5.0625,
                                              9.487735836358526,
                                              0.8109302162163288,
                                              0.7780731968879212,
                                              -0.6281736227227391,
                                              2.25,
                                              -2.25};
    double mapped[4];

    (void)state;
    for (unsigned fn = 0; fn < FN_COUNT; fn++) {
        fns[fn].apply(mapped, given, 4);
        if (!(fabs(mapped[3] - expected[fn]) <= 1e-15 * fabs(expected[fn])))
            return "A function of 2.25 is not what it should be.";
    }
    return NULL;
}

static const struct prong_kernel kernel = {
    .size = sizeof(kernel),
    .abi_major = PRONG_ABI_MAJOR,
    .abi_minor = PRONG_ABI_MINOR,
    .flags = PRONG_PURE | PRONG_IDEMPOTENT,
    .name = "map",
    .version = "1",
    .summary = "Applies a function to every number and keeps their order and form.",
    .example = "fn=sqrt&values=[1,4,9]",
    .media_type = "application/json",
    .takes_raw = 1,
    .params = params,
    .param_count = sizeof(params) / sizeof(params[0]),
    .plan = plan,
    .map = map,
    .selftest = selftest,
};

PRONG_EXPORT const struct prong_kernel *prong_kernel_entry(uint32_t host_abi_major,
                                                           uint32_t host_abi_minor)
{
    (void)host_abi_minor; /* a host with less refuses what the struct says */
    return host_abi_major == PRONG_ABI_MAJOR ? &kernel : NULL;
}
