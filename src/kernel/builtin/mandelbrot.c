#include <math.h>
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include "prong/kernel.h"

/*
 * A picture of the Mandelbrot set. A unit is a run of pixels of one row; a part is a byte for each
 * pixel, its colour's index; `finish` packs them into a PNG with a palette. Nothing but additions,
 * multiplications, comparisons and square roots of doubles decides on a colour, and these are exact
 * to the last bit on every machine, vectors or not.
 */

enum { PARAM_WIDTH, PARAM_HEIGHT, PARAM_X, PARAM_Y, PARAM_SCALE, PARAM_ITERATIONS };

#define SIDE_MAX       8192
#define PIXELS_MAX     (16u << 20) /* as RGB, 48 MiB */
#define ITERATIONS_MAX 100000
#define UNIT_WORK      2097152u /* pixels times iterations of a unit: half a millisecond at worst */
#define UNIT_MIN       64u      /* pixels */

#define LANES       32u
#define BATCH       8u
#define ESCAPED     65536.0 /* |z|^2; far beyond 4, so that the shades between counts are smooth */
#define ESCAPED_LOG 16.0

#define COLOURS      255u
#define INSIDE       0u     /* index of the set's own colour; the others follow */
#define COLOUR_STEPS 32.0   /* per square root of an iteration */
#define TILE_PIXELS  12000u /* whose RGB in base64 fits one emitted part with its frame */

_Static_assert(TILE_PIXELS * 4 + 256 <= PRONG_EMIT_MAX, "a tile is too large to be emitted");

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__x86_64__)
#define VECTOR_CLONES
#else
#define VECTOR_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#endif

static const struct prong_param params[] = {
    [PARAM_WIDTH] = PRONG_PARAM_INT("width", 1, SIDE_MAX, 800, "Pixels in a row"),
    [PARAM_HEIGHT] = PRONG_PARAM_INT("height", 1, SIDE_MAX, 600, "Rows"),
    [PARAM_X] = PRONG_PARAM_REAL("x", -4.0, 4.0, -0.5, "Real part of the centre"),
    [PARAM_Y] = PRONG_PARAM_REAL("y", -4.0, 4.0, 0.0, "Imaginary part of the centre"),
    [PARAM_SCALE] = PRONG_PARAM_REAL("scale", 1e-14, 100.0, 3.0, "Width of the view"),
    [PARAM_ITERATIONS] = PRONG_PARAM_INT("iterations", 1, ITERATIONS_MAX, 256,
                                         "Steps after which a point counts as inside"),
};

struct picture {
    uint32_t width, height;
    double x, y, pixel; /* the centre, and how far apart pixels are */
    uint32_t iterations;
    uint32_t unit_pixels;
    uint32_t row_units;
};

/* Points that are iterated together. */
struct lanes {
    double cr[LANES], ci[LANES];
    double zr[LANES], zi[LANES];
    double size[LANES]; /* |z|^2 where it first passed ESCAPED, or the latest */
    double seen_zr[LANES],
        seen_zi[LANES]; /* an earlier z: to come back to it is to stay for ever */
    int64_t count[LANES];
    int64_t cycles[LANES];
};

/* A rectangle of the picture that waits to be emitted. */
struct tile {
    uint32_t x, y, width, height;
    uint8_t indexes[TILE_PIXELS];
};

static png_color palette[1 + COLOURS];

static struct picture read_picture(struct prong_ctx *ctx)
{
    struct picture p = {
        .width = (uint32_t)prong_int(ctx, PARAM_WIDTH),
        .height = (uint32_t)prong_int(ctx, PARAM_HEIGHT),
        .x = prong_real(ctx, PARAM_X),
        .y = prong_real(ctx, PARAM_Y),
        .iterations = (uint32_t)prong_int(ctx, PARAM_ITERATIONS),
    };
    uint32_t pixels = UNIT_WORK / p.iterations / UNIT_MIN * UNIT_MIN;

    if (pixels < UNIT_MIN)
        pixels = UNIT_MIN;
    p.pixel = prong_real(ctx, PARAM_SCALE) / p.width;
    p.unit_pixels = pixels < p.width ? pixels : p.width;
    p.row_units = (p.width + p.unit_pixels - 1) / p.unit_pixels;
    return p;
}

/* A batch of steps for every lane; returns how many still have to go on. The inner loop is unrolled
 * and the outer one becomes vectors. */
VECTOR_CLONES static int64_t advance(struct lanes *l)
{
    int64_t live = 0;

    for (unsigned i = 0; i < LANES; i++) {
        double cr = l->cr[i], ci = l->ci[i];
        double zr = l->zr[i], zi = l->zi[i];
        double size = l->size[i];
        int64_t count = l->count[i];
        int64_t on = size <= ESCAPED;

#pragma GCC unroll 8
        for (unsigned step = 0; step < BATCH; step++) {
            double rr = zr * zr, ii = zi * zi, ri = zr * zi;
            double now = rr + ii;

            size = on ? now : size;
            on = now <= ESCAPED;
            count += on;
            zr = rr - ii + cr;
            zi = ri + ri + ci;
        }
        int64_t same = (int64_t)(zr == l->seen_zr[i]) & (int64_t)(zi == l->seen_zi[i]);

        l->zr[i] = zr;
        l->zi[i] = zi;
        l->size[i] = size;
        l->count[i] = count;
        l->cycles[i] |= same;
        live += (int64_t)(size <= ESCAPED) & ~l->cycles[i];
    }
    return live;
}

/* Whether the point lies in the cardioid or in the disc to its left: most of the set. */
static int in_largest_parts(double x, double y)
{
    double yy = y * y;
    double q = (x - 0.25) * (x - 0.25) + yy;

    return q * (q + (x - 0.25)) <= 0.25 * yy || (x + 1) * (x + 1) + yy <= 0.0625;
}

/* Lanes that are known to be inside, and those beyond `count`, get a point that leaves at once. */
static void set_lanes(struct lanes *l, const struct picture *p, uint32_t x, uint32_t y,
                      uint32_t count)
{
    memset(l, 0, sizeof(*l));
    for (uint32_t i = 0; i < LANES; i++) {
        double cr = p->x + (x + i + 0.5 - 0.5 * p->width) * p->pixel;
        double ci = p->y - (y + 0.5 - 0.5 * p->height) * p->pixel;
        int known = in_largest_parts(cr, ci);

        l->cycles[i] = known;
        l->cr[i] = known || i >= count ? ESCAPED : cr;
        l->ci[i] = ci;
    }
}

/* Brent's way to find cycles: the z to come back to is taken anew at every power of two. */
static void iterate(struct lanes *l, uint32_t iterations)
{
    uint32_t batches = (iterations + BATCH - 1) / BATCH;

    for (uint32_t batch = 1; batch <= batches && advance(l) > 0; batch++) {
        if ((batch & (batch - 1)) == 0) {
            memcpy(l->seen_zr, l->zr, sizeof(l->zr));
            memcpy(l->seen_zi, l->zi, sizeof(l->zi));
        }
    }
}

/* The logarithm to base 2, near enough for shades: from the exponent, and a parabola between. */
static double rough_log2(double value)
{
    uint64_t bits;

    memcpy(&bits, &value, sizeof(bits));
    double exponent = (double)((int64_t)(bits >> 52) - 1023);

    bits = (bits & 0xfffffffffffffu) | 0x3ff0000000000000u;
    memcpy(&value, &bits, sizeof(value));
    double above = value - 1;

    return exponent + above * (1.3465 - 0.3465 * above);
}

static uint8_t colour(const struct lanes *l, unsigned i, uint32_t iterations)
{
    if (l->cycles[i] != 0 || l->count[i] >= iterations)
        return INSIDE;
    double steps = (double)l->count[i] + 1 - rough_log2(rough_log2(l->size[i]) / ESCAPED_LOG);
    double place = COLOUR_STEPS * sqrt(steps > 0 ? steps : 0);

    return (uint8_t)(1 + (uint32_t)place % COLOURS);
}

static void draw(const struct picture *p, uint32_t x, uint32_t y, uint32_t count, uint8_t *indexes)
{
    static struct lanes lanes;

    for (uint32_t at = 0; at < count; at += LANES) {
        uint32_t points = count - at < LANES ? count - at : LANES;

        set_lanes(&lanes, p, x + at, y, points);
        iterate(&lanes, p->iterations);
        for (uint32_t i = 0; i < points; i++)
            indexes[at + i] = colour(&lanes, i, p->iterations);
    }
}

static char *put_base64(char *to, const uint8_t bytes[static 3])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    *to++ = digits[bytes[0] >> 2];
    *to++ = digits[(bytes[0] & 3) << 4 | bytes[1] >> 4];
    *to++ = digits[(bytes[1] & 15) << 2 | bytes[2] >> 6];
    *to++ = digits[bytes[2] & 63];
    return to;
}

static void emit_tile(struct prong_ctx *ctx, struct tile *tile)
{
    static char text[PRONG_EMIT_MAX];
    uint32_t pixels = tile->width * tile->height;

    if (pixels == 0)
        return;
    char *end =
        text + snprintf(text, 200, "{\"x\":%u,\"y\":%u,\"width\":%u,\"height\":%u,\"rgb\":\"",
                        tile->x, tile->y, tile->width, tile->height);

    for (uint32_t i = 0; i < pixels; i++) {
        png_color c = palette[tile->indexes[i]];

        end = put_base64(end, (const uint8_t[]) {c.red, c.green, c.blue});
    }
    memcpy(end, "\"}", 2);
    (void)prong_emit(ctx, text, (size_t)(end + 2 - text));
    tile->width = tile->height = 0;
}

/* Puts a run of pixels to the tile when the two make a rectangle, and else emits the tile first. */
static void add_to_tile(struct prong_ctx *ctx, struct tile *tile, const struct tile *run,
                        const uint8_t *indexes)
{
    uint32_t pixels = tile->width * tile->height;
    int beside = tile->height == 1 && run->y == tile->y && run->x == tile->x + tile->width;
    int below = run->x == tile->x && run->width == tile->width && run->y == tile->y + tile->height;

    if ((!beside && !below) || pixels + run->width > TILE_PIXELS) {
        emit_tile(ctx, tile);
        pixels = 0;
        tile->x = run->x;
        tile->y = run->y;
        tile->width = run->width;
        tile->height = 1;
    } else if (beside) {
        tile->width += run->width;
    } else {
        tile->height++;
    }
    memcpy(tile->indexes + pixels, indexes, run->width);
}

static int plan(struct prong_ctx *ctx, struct prong_work *ret_work)
{
    struct picture p = read_picture(ctx);

    if ((uint64_t)p.width * p.height > PIXELS_MAX)
        return prong_fail(ctx, "%u by %u pixels are too many: %u are the most.", p.width, p.height,
                          PIXELS_MAX);
    ret_work->units = (uint64_t)p.row_units * p.height;
    /* Most points leave early or are caught in a cycle, so ten times the iterations cost some three
     * times as much. How hard the view is shows only as it is drawn. */
    ret_work->unit_cost = (double)p.unit_pixels * sqrt((double)p.iterations);
    return 0;
}

static int map(struct prong_ctx *ctx, uint64_t lo, uint64_t hi)
{
    static struct tile tile;
    struct picture p = read_picture(ctx);
    int wants_parts = prong_wants_parts(ctx);

    tile.width = tile.height = 0;
    for (uint64_t unit = lo; unit < hi;) {
        uint32_t x = (uint32_t)(unit % p.row_units) * p.unit_pixels;
        uint32_t y = (uint32_t)(unit / p.row_units);
        uint32_t width = p.width - x < p.unit_pixels ? p.width - x : p.unit_pixels;
        uint8_t *indexes = prong_reserve(ctx, width);

        if (indexes == NULL)
            return -1;
        draw(&p, x, y, width, indexes);
        if (wants_parts)
            add_to_tile(ctx, &tile, &(struct tile) {.x = x, .y = y, .width = width}, indexes);
        unit++;
        if (prong_progress(ctx, unit - lo, hi - lo) != 0)
            break;
    }
    emit_tile(ctx, &tile);
    return 0;
}

struct sink {
    struct prong_ctx *ctx;
    int err;
};

static void write_png(png_struct *png, png_byte *data, size_t bytes)
{
    struct sink *sink = png_get_io_ptr(png);

    sink->err = prong_write(sink->ctx, data, bytes);
    if (sink->err != 0)
        png_error(png, "the host takes no more");
}

static void flush_png(png_struct *png)
{
    (void)png;
}

static void quit_png(png_struct *png, const char *message)
{
    (void)message; /* libpng's own would go to standard error */
    png_longjmp(png, 1);
}

static void ignore_png(png_struct *png, const char *message)
{
    (void)png;
    (void)message;
}

/* Nobody computes while this packs, so it had better be quick: higher levels take twice as long. */
static void write_picture(png_struct *png, png_info *info, const struct picture *p,
                          const uint8_t *indexes)
{
    png_set_IHDR(png, info, p->width, p->height, 8, PNG_COLOR_TYPE_PALETTE, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_set_PLTE(png, info, palette, 1 + COLOURS);
    png_set_compression_level(png, 3);
    png_set_compression_buffer_size(png, 65536);
    png_set_filter(png, PNG_FILTER_TYPE_BASE, PNG_FILTER_NONE);
    png_write_info(png, info);
    for (uint32_t y = 0; y < p->height; y++)
        png_write_row(png, indexes + (size_t)y * p->width);
    png_write_end(png, NULL);
}

static int finish(struct prong_ctx *ctx, struct prong_buf whole)
{
    struct picture p = read_picture(ctx);
    struct sink sink = {.ctx = ctx};
    png_struct *png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, quit_png, ignore_png);
    png_info *info = png == NULL ? NULL : png_create_info_struct(png);
    volatile int done = 0;

    if (info != NULL && whole.size == (size_t)p.width * p.height && setjmp(png_jmpbuf(png)) == 0) {
        png_set_write_fn(png, &sink, write_png, flush_png);
        write_picture(png, info, &p, whole.data);
        done = 1;
    }
    png_destroy_write_struct(&png, &info);
    if (done)
        return 0;
    return sink.err != 0 ? sink.err : prong_fail(ctx, "The picture could not be packed.");
}

/* From blue over white and amber to near black, and round again. */
static void make_palette(void)
{
    static const int stops[][4] = {
        {0, 0, 7, 100},     {41, 32, 107, 203}, {107, 237, 255, 255},
        {164, 255, 170, 0}, {219, 40, 6, 2},    {COLOURS, 0, 7, 100},
    };

    for (int i = 0, stop = 0; i < (int)COLOURS; i++) {
        if (i == stops[stop + 1][0])
            stop++;
        const int *a = stops[stop], *b = stops[stop + 1];
        int steps = b[0] - a[0], step = i - a[0];

        palette[1 + i] = (png_color) {
            .red = (png_byte)((a[1] * (steps - step) + b[1] * step) / steps),
            .green = (png_byte)((a[2] * (steps - step) + b[2] * step) / steps),
            .blue = (png_byte)((a[3] * (steps - step) + b[3] * step) / steps),
        };
    }
}

static int init(const struct prong_host *host, void **ret_state)
{
    (void)host;
    *ret_state = NULL; /* the palette is static */
    make_palette();
    return 0;
}

static const char *selftest(void *state)
{
    struct picture p = {.width = 5, .height = 1, .x = -1, .pixel = 1, .iterations = 1000};
    struct picture antenna = {.width = 1, .height = 1, .x = -1.5, .y = 0.5, .iterations = 1000};
    uint8_t row[5], point;

    (void)state;
    draw(&p, 0, 0, 5, row); /* the points -3, -2, -1, 0 and 1 */
    if (row[0] == INSIDE || row[1] != INSIDE || row[2] != INSIDE || row[3] != INSIDE ||
        row[4] == INSIDE)
        return "Of the integers, just -2, -1 and 0 are in the set; the picture says otherwise.";
    draw(&antenna, 0, 0, 1, &point);
    if (point == INSIDE)
        return "The point -1.5 + 0.5i is not in the set; the picture says otherwise.";
    return NULL;
}

static const struct prong_kernel kernel = {
    .size = sizeof(kernel),
    .abi_major = PRONG_ABI_MAJOR,
    .abi_minor = PRONG_ABI_MINOR,
    .flags = PRONG_PURE | PRONG_IDEMPOTENT,
    .name = "mandelbrot",
    .version = "1",
    .summary = "Draws a view of the Mandelbrot set, and its tiles as they land.",
    .example = "width=400&height=300",
    .media_type = "image/png",
    .params = params,
    .param_count = sizeof(params) / sizeof(params[0]),
    .init = init,
    .plan = plan,
    .map = map,
    .finish = finish,
    .selftest = selftest,
};

PRONG_EXPORT const struct prong_kernel *prong_kernel_entry(uint32_t host_abi_major,
                                                           uint32_t host_abi_minor)
{
    (void)host_abi_minor; /* a host with less refuses what the struct says */
    return host_abi_major == PRONG_ABI_MAJOR ? &kernel : NULL;
}
