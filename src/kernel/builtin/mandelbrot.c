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
#define UNIT_WORK      262144u /* pixels times iterations of a unit, about */
#define UNIT_MIN       64u     /* pixels */

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
    double size[LANES];                   /* |z|^2 where it first passed ESCAPED, or the latest */
    double seen_zr[LANES], seen_zi[LANES]; /* an earlier z: to come back to it is to stay for ever */
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

#pragma GCC unroll 8
        for (unsigned step = 0; step < BATCH; step++) {
            double rr = zr * zr, ii = zi * zi, ri = zr * zi;
            double now = rr + ii;

            count += size <= ESCAPED ? 1 : 0;
            size = size <= ESCAPED ? now : size;
            zr = rr - ii + cr;
            zi = ri + ri + ci;
        }
        int64_t same = (zr == l->seen_zr[i] ? 1 : 0) & (zi == l->seen_zi[i] ? 1 : 0);

        l->zr[i] = zr;
        l->zi[i] = zi;
        l->size[i] = size;
        l->count[i] = count;
        l->cycles[i] |= same;
        live += size <= ESCAPED ? 1 - l->cycles[i] : 0;
    }
    return live;
}
