#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mock_host.h"
#include "tiles.h"

static void set_view(struct mock *m, int width, int height, double x, double y, double scale,
                     int iterations)
{
    mock_int(m, "width", width);
    mock_int(m, "height", height);
    mock_real(m, "x", x);
    mock_real(m, "y", y);
    mock_real(m, "scale", scale);
    mock_int(m, "iterations", iterations);
}

static int stays_inside(double cr, double ci, int iterations)
{
    double zr = 0, zi = 0;

    for (int i = 0; i < iterations; i++) {
        if (zr * zr + zi * zi > 65536)
            return 0;
        double next = zr * zr - zi * zi + cr;

        zi = 2 * zr * zi + ci;
        zr = next;
    }
    return 1;
}

/* Black is inside, by a plain loop without shortcuts, whatever the iterations are a multiple of. */
static void knows_inside_from_outside(void **state)
{
    static const int iterations[] = {1, 7, 8, 9, 256, 1001};
    struct mock m;

    (void)state;
    mock_init(&m);
    for (size_t n = 0; n < sizeof(iterations) / sizeof(iterations[0]); n++) {
        set_view(&m, 131, 90, -0.5, 0.1, 3, iterations[n]);
        struct mock_bytes png = mock_run(&m);
        uint8_t *rgb = unpacked(png, 131, 90);

        for (int i = 0; i < 131 * 90; i++) {
            double cr = -0.5 + (i % 131 + 0.5 - 0.5 * 131) * (3.0 / 131);
            double ci = 0.1 - (i / 131 + 0.5 - 0.5 * 90) * (3.0 / 131);
            int black = rgb[3 * i] == 0 && rgb[3 * i + 1] == 0 && rgb[3 * i + 2] == 0;

            assert_int_equal(black, stays_inside(cr, ci, iterations[n]));
        }
        free(rgb);
        free(png.data);
    }
    mock_release(&m);
}

static void splits_agree(void **state)
{
    struct mock m;

    (void)state;
    mock_init(&m);
    set_view(&m, 200, 150, -0.5, 0, 3, 256);
    mock_check_splits(&m, 20);
    set_view(&m, 1, 1, 0, 0, 3, 256);
    mock_check_splits(&m, 2);
    set_view(&m, 333, 40, -0.743643887, 0.131825904, 0.0001, 50000); /* units within rows */
    assert_true(mock_plan(&m).units > 40);
    mock_check_splits(&m, 10);
    mock_release(&m);
}

static void check_tiles(uint32_t width, uint32_t height, int iterations)
{
    struct mock m;
    uint8_t *painted = malloc(3 * (size_t)width * height);

    mock_init(&m);
    set_view(&m, (int)width, (int)height, -0.6, 0.4, 1, iterations);
    m.wants_parts = 1;
    struct mock_bytes png = mock_run_split(&m, 9);
    uint8_t *rgb = unpacked(png, width, height);

    memset(painted, 1, 3 * (size_t)width * height);
    assert_true(m.emitted_count > 0);
    for (size_t i = 0; i < m.emitted_count; i++)
        paint_tile(painted, width, m.emitted[i].data);
    assert_memory_equal(painted, rgb, 3 * (size_t)width * height);
    free(rgb);
    free(painted);
    free(png.data);
    mock_release(&m);
}

static void tiles_make_the_picture(void **state)
{
    (void)state;
    check_tiles(320, 200, 256);
    check_tiles(8192, 3, 64);
    check_tiles(301, 20, 100000);
    check_tiles(3, 5000, 16);
}

static void emits_nothing_to_nobody(void **state)
{
    struct mock m;

    (void)state;
    mock_init(&m);
    set_view(&m, 100, 100, -0.5, 0, 3, 50);
    struct mock_bytes png = mock_run(&m);

    assert_int_equal(m.emitted_count, 0);
    free(png.data);
    mock_release(&m);
}

static void refuses_too_many_pixels(void **state)
{
    struct mock m;

    (void)state;
    mock_init(&m);
    set_view(&m, 8192, 2049, -0.5, 0, 3, 1);
    assert_string_equal(mock_complaint(&m),
                        "8192 by 2049 pixels are too many: 16777216 are the most.");
    set_view(&m, 8192, 2048, -0.5, 0, 3, 1);
    assert_int_equal(mock_plan(&m).units, 2048);
    mock_release(&m);
}

static void fails_when_the_answer_is_too_large(void **state)
{
    struct mock m;
    struct mock_bytes part;
    struct prong_buf whole;

    (void)state;
    mock_init(&m);
    set_view(&m, 64, 64, -0.5, 0, 3, 50);
    (void)mock_map(&m, 0, 64, MOCK_NO_CUT, &part);
    whole = (struct prong_buf) {.data = part.data, .size = part.size};
    m.out_max = 100;
    assert_int_not_equal(m.kernel->finish(&m.ctx, whole), 0);
    assert_true(m.failed);
    assert_string_equal(m.error, ""); /* the host has spoken already */
    free(part.data);
    mock_release(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_inside_from_outside),
        cmocka_unit_test(splits_agree),
        cmocka_unit_test(tiles_make_the_picture),
        cmocka_unit_test(emits_nothing_to_nobody),
        cmocka_unit_test(refuses_too_many_pixels),
        cmocka_unit_test(fails_when_the_answer_is_too_large),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
