#include <string.h>

#include "prong/kernel.h"

/*
 * Darts at a square, those counted that hit the circle inside it. Samples come in blocks, a block's
 * from generators that are seeded with nothing but the seed and the block's number, so it does not
 * matter which worker throws which. The count is an integer: it adds up the same in any order.
 */

enum { PARAM_SAMPLES, PARAM_SEED };

#define SAMPLES_MAX     1000000000000ll    /* 10^12 */
#define SEED_MAX        9007199254740991ll /* what JSON's numbers hold exactly */
#define BLOCK_SAMPLES   (1u << 17)
#define LANES           32u
#define TURNS           16u
#define BATCH_SAMPLES   (LANES * TURNS)
#define PROGRESS_BLOCKS 16u /* a third of a millisecond with AVX-512 */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__x86_64__)
#define VECTOR_CLONES
#else
#define VECTOR_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#endif

static const struct prong_param params[] = {
    [PARAM_SAMPLES] = PRONG_PARAM_INT("samples", 1, SAMPLES_MAX, 10000000, "How many points"),
    [PARAM_SEED] = PRONG_PARAM_INT("seed", 0, SEED_MAX, 1, "Another seed, other points"),
};

/* xoroshiro128+ (Blackman, Vigna), one generator per lane. */
struct generators {
    _Alignas(64) uint64_t a[LANES], b[LANES];
};

/* What the generators give in a batch makes as many points: a 64-bit number is two coordinates. */
union batch {
    _Alignas(64) uint64_t numbers[BATCH_SAMPLES];
    struct {
        int32_t x[BATCH_SAMPLES], y[BATCH_SAMPLES];
    } points;
};

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void seed_block(struct generators *g, uint64_t seed, uint64_t block)
{
    uint64_t state = splitmix(&seed) ^ (block * 0xd1342543de82ef95u);

    state = splitmix(&state);
    for (unsigned i = 0; i < LANES; i++) {
        g->a[i] = splitmix(&state);
        g->b[i] = splitmix(&state);
    }
}

static inline uint64_t rotated(uint64_t x, unsigned by)
{
    return x << by | x >> (64 - by);
}

VECTOR_CLONES static void draw(uint64_t *restrict a, uint64_t *restrict b,
                               uint64_t *restrict numbers)
{
    for (unsigned turn = 0; turn < TURNS; turn++) {
        for (unsigned i = 0; i < LANES; i++) {
            uint64_t x = a[i], y = b[i] ^ a[i];

            numbers[turn * LANES + i] = a[i] + b[i];
            a[i] = rotated(x, 24) ^ y ^ (y << 16);
            b[i] = rotated(y, 37);
        }
    }
}

/* The square is 2^32 wide with the origin in its middle. Rounding a coordinate to a float moves it
 * by 2^-25 of itself at most, inwards as often as outwards. */
VECTOR_CLONES static uint32_t count_inside(const int32_t *x, const int32_t *y, uint32_t count)
{
    const float radius = 2147483648.0f;
    int32_t inside = 0;

    for (uint32_t i = 0; i < count; i++) {
        float fx = (float)x[i], fy = (float)y[i];

        inside += fx * fx + fy * fy < radius * radius;
    }
    return (uint32_t)inside;
}

static uint64_t throw_block(uint64_t seed, uint64_t block, uint64_t samples)
{
    uint32_t left = samples < BLOCK_SAMPLES ? (uint32_t)samples : BLOCK_SAMPLES;
    struct generators g;
    union batch batch;
    uint64_t inside = 0;

    seed_block(&g, seed, block);
    while (left > 0) {
        uint32_t count = left < BATCH_SAMPLES ? left : BATCH_SAMPLES;

        draw(g.a, g.b, batch.numbers);
        inside += count_inside(batch.points.x, batch.points.y, count);
        left -= count;
    }
    return inside;
}

static int plan(struct prong_ctx *ctx, struct prong_work *ret_work)
{
    uint64_t samples = (uint64_t)prong_int(ctx, PARAM_SAMPLES);

    ret_work->units = (samples + BLOCK_SAMPLES - 1) / BLOCK_SAMPLES;
    ret_work->unit_cost = (double)(samples < BLOCK_SAMPLES ? samples : BLOCK_SAMPLES);
    return 0;
}

static int map(struct prong_ctx *ctx, uint64_t lo, uint64_t hi)
{
    uint64_t samples = (uint64_t)prong_int(ctx, PARAM_SAMPLES);
    uint64_t seed = (uint64_t)prong_int(ctx, PARAM_SEED);
    uint64_t inside = 0;

    for (uint64_t block = lo; block < hi;) {
        inside += throw_block(seed, block, samples - block * BLOCK_SAMPLES);
        block++;
        if (block % PROGRESS_BLOCKS == 0 && prong_progress(ctx, block - lo, hi - lo) != 0)
            break;
    }
    return prong_write(ctx, &inside, sizeof(inside));
}

static uint64_t read_inside(struct prong_buf part)
{
    uint64_t inside = 0;

    if (part.size == sizeof(inside))
        memcpy(&inside, part.data, sizeof(inside));
    return inside;
}

static int combine(struct prong_ctx *ctx, struct prong_buf left, struct prong_buf right)
{
    uint64_t inside = read_inside(left) + read_inside(right);

    return prong_write(ctx, &inside, sizeof(inside));
}

static int finish(struct prong_ctx *ctx, struct prong_buf whole)
{
    int64_t samples = prong_int(ctx, PARAM_SAMPLES);
    uint64_t inside = read_inside(whole);
    int err;

    if ((err = prong_print(ctx, "{\"pi\":")) != 0 ||
        (err = prong_number(ctx, 4.0 * (double)inside / (double)samples)) != 0)
        return err;
    return prong_print(ctx, ",\"samples\":%lld,\"inside\":%llu}", (long long)samples,
                       (unsigned long long)inside);
}

static const char *selftest(void *state)
{
    static const int32_t x[] = {0, INT32_MIN, INT32_MAX, 2000000000, 2000000000, -1518500249};
    static const int32_t y[] = {0, INT32_MIN, INT32_MAX, 780000000, 790000000, 1518500249};

    (void)state;
    if (count_inside(x, y, 6) != 3)
        return "Points are not told apart by the circle's edge.";
    if (throw_block(1, 0, BLOCK_SAMPLES) != 102963)
        return "The generators do not give the samples that they should.";
    return NULL;
}

static const struct prong_kernel kernel = {
    .size = sizeof(kernel),
    .abi_major = PRONG_ABI_MAJOR,
    .abi_minor = PRONG_ABI_MINOR,
    .flags = PRONG_PURE | PRONG_IDEMPOTENT | PRONG_ASSOCIATIVE,
    .name = "pi",
    .version = "1",
    .summary = "Estimates pi from random points, the same ones for the same seed.",
    .example = "samples=10000000",
    .media_type = "application/json",
    .params = params,
    .param_count = sizeof(params) / sizeof(params[0]),
    .plan = plan,
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
