#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mock_host.h"
#include "tiles.h"

static void set_size(struct mock *m, int width, int height, int samples)
{
    mock_int(m, "width", width);
    mock_int(m, "height", height);
    mock_int(m, "samples", samples);
}

/* The picture as RGB; to be freed. */
static uint8_t *draw(struct mock *m, int width, int height, int samples)
{
    set_size(m, width, height, samples);
    struct mock_bytes png = mock_run(m);
    uint8_t *rgb = unpacked(png, (uint32_t)width, (uint32_t)height);

    assert_string_equal(m->media, "image/png");
    free(png.data);
    return rgb;
}

static double difference(const uint8_t *a, const uint8_t *b, size_t bytes)
{
    double sum = 0;

    for (size_t i = 0; i < bytes; i++)
        sum += abs(a[i] - b[i]);
    return sum / (double)bytes;
}

/* Tiles at the edges are smaller, and with many samples all are. */
static void splits_agree(void **state)
{
    static const int sizes[][3] = {{100, 70, 2}, {1, 1, 1}, {33, 65, 9}, {20, 17, 300}};
    struct mock m;

    (void)state;
    mock_init(&m);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        set_size(&m, sizes[i][0], sizes[i][1], sizes[i][2]);
        mock_check_splits(&m, 8);
    }
    mock_release(&m);
}

static void check_tiles(int width, int height, int samples)
{
    struct mock m;
    uint8_t *painted = malloc(3 * (size_t)width * (size_t)height);

    mock_init(&m);
    set_size(&m, width, height, samples);
    m.wants_parts = 1;
    struct mock_bytes png = mock_run_split(&m, 9);
    uint8_t *rgb = unpacked(png, (uint32_t)width, (uint32_t)height);

    memset(painted, 1, 3 * (size_t)width * (size_t)height);
    assert_int_equal(m.emitted_count, mock_plan(&m).units);
    for (size_t i = 0; i < m.emitted_count; i++)
        paint_tile(painted, (uint32_t)width, m.emitted[i].data);
    assert_memory_equal(painted, rgb, 3 * (size_t)width * (size_t)height);
    free(rgb);
    free(painted);
    free(png.data);
    mock_release(&m);
}

static void tiles_make_the_picture(void **state)
{
    (void)state;
    check_tiles(130, 70, 1);
    check_tiles(64, 32, 2);
    check_tiles(9, 50, 70);
}

static void emits_nothing_to_nobody(void **state)
{
    struct mock m;

    (void)state;
    mock_init(&m);
    free(draw(&m, 40, 40, 1));
    assert_int_equal(m.emitted_count, 0);
    mock_release(&m);
}

/* The sky is above, the floor below, and there is more to see than that. */
static void there_is_something_to_see(void **state)
{
    struct mock m;
    unsigned seen[4096] = {0}, shades = 0;

    (void)state;
    mock_init(&m);
    uint8_t *rgb = draw(&m, 160, 100, 1);

    for (int i = 0; i < 160 * 100; i++) {
        const uint8_t *c = rgb + 3 * i;

        shades += seen[(c[0] >> 4) << 8 | (c[1] >> 4) << 4 | c[2] >> 4]++ == 0;
    }
    assert_in_range(shades, 100, 4096);
    for (int x = 0; x < 160; x += 159) { /* dusk is the brighter the lower one looks */
        assert_true(rgb[3 * x] < rgb[3 * (16 * 160 + x)]);
        assert_true(rgb[3 * x] > 50);
    }
    free(rgb);
    mock_release(&m);
}

/* With more samples a picture comes nearer to what it would be with very many. */
static void samples_smooth(void **state)
{
    enum { BYTES = 60 * 40 * 3 };
    struct mock m;

    (void)state;
    mock_init(&m);
    uint8_t *best = draw(&m, 60, 40, 256);
    uint8_t *one = draw(&m, 60, 40, 1);
    uint8_t *eight = draw(&m, 60, 40, 8);
    uint8_t *many = draw(&m, 60, 40, 64);

    assert_true(difference(one, best, BYTES) > 1.5 * difference(eight, best, BYTES));
    assert_true(difference(eight, best, BYTES) > 1.5 * difference(many, best, BYTES));
    free(best);
    free(one);
    free(eight);
    free(many);
    mock_release(&m);
}

/* Whether this parameter makes another picture. */
static void check_matters(struct mock *m, const char *name, int is_real, double from, double to)
{
    uint8_t *pictures[2];

    for (int i = 0; i < 2; i++) {
        double value = i == 0 ? from : to;

        if (is_real)
            mock_real(m, name, value);
        else
            mock_int(m, name, (int64_t)value);
        pictures[i] = draw(m, 80, 50, 1);
    }
    if (difference(pictures[0], pictures[1], 80 * 50 * 3) < 0.5)
        fail_msg("%s does not matter", name);
    free(pictures[0]);
    free(pictures[1]);
}

static void every_parameter_matters(void **state)
{
    struct mock m;

    (void)state;
    mock_init(&m);
    check_matters(&m, "depth", 0, 0, 6);
    check_matters(&m, "seed", 0, 1, 2);
    check_matters(&m, "spheres", 0, 120, 0);
    check_matters(&m, "angle", 1, 0, 90);
    check_matters(&m, "elevation", 1, 5, 60);
    check_matters(&m, "distance", 1, 4, 12);
    mock_release(&m);
}

/* The largest and smallest of everything, at a pixel or two. */
static void extremes_are_drawn(void **state)
{
    static const int seeds[] = {0, 1, 12345, INT32_MAX};
    struct mock m;

    (void)state;
    mock_init(&m);
    mock_int(&m, "depth", 16);
    mock_int(&m, "spheres", 120);
    for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
        mock_int(&m, "seed", seeds[i]);
        mock_real(&m, "elevation", i % 2 == 0 ? 1 : 89);
        mock_real(&m, "distance", i % 2 == 0 ? 30 : 3);
        free(draw(&m, 50, 2, 1));
        free(draw(&m, 1, 60, 1));
        free(draw(&m, 2, 1, 1024));
    }
    mock_int(&m, "width", 4096);
    mock_int(&m, "height", 2048);
    assert_int_equal(mock_plan(&m).units, (4096 / 4) * (2048 / 4)); /* of 1024 samples */
    mock_release(&m);
}

static void refuses_too_many_pixels(void **state)
{
    struct mock m;

    (void)state;
    mock_init(&m);
    set_size(&m, 4096, 2049, 1);
    assert_string_equal(mock_complaint(&m),
                        "4096 by 2049 pixels are too many: 8388608 are the most.");
    mock_release(&m);
}

/* The writer has said why; the kernel just passes it on. */
static void fails_when_the_answer_is_too_large(void **state)
{
    struct mock m;
    struct mock_bytes part;

    (void)state;
    mock_init(&m);
    set_size(&m, 64, 64, 1);
    (void)mock_map(&m, 0, mock_plan(&m).units, MOCK_NO_CUT, &part);
    m.out_max = 100;
    struct prong_buf whole = {.data = part.data, .size = part.size};

    assert_int_not_equal(m.kernel->finish(&m.ctx, whole), 0);
    assert_true(m.failed);
    assert_string_equal(m.error, "");
    free(part.data);
    mock_release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_agree),
        cmocka_unit_test(tiles_make_the_picture),
        cmocka_unit_test(emits_nothing_to_nobody),
        cmocka_unit_test(there_is_something_to_see),
        cmocka_unit_test(samples_smooth),
        cmocka_unit_test(every_parameter_matters),
        cmocka_unit_test(extremes_are_drawn),
        cmocka_unit_test(refuses_too_many_pixels),
        cmocka_unit_test(fails_when_the_answer_is_too_large),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
