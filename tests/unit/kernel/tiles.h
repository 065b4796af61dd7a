/*
 * For tests only: what kernels that draw answer, a PNG, and what they emit, tiles of it.
 */
#ifndef TILES_H
#define TILES_H

#include <png.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mock_host.h"

/* The picture as RGB; to be freed. */
static inline uint8_t *unpacked(struct mock_bytes png, uint32_t width, uint32_t height)
{
    png_image image = {.version = PNG_IMAGE_VERSION};

    assert_int_not_equal(png_image_begin_read_from_memory(&image, png.data, png.size), 0);
    image.format = PNG_FORMAT_RGB;
    assert_int_equal(image.width, width);
    assert_int_equal(image.height, height);
    uint8_t *rgb = malloc(PNG_IMAGE_SIZE(image));

    assert_non_null(rgb);
    assert_int_not_equal(png_image_finish_read(&image, NULL, rgb, 0, NULL), 0);
    return rgb;
}

static inline int digit_of(char c)
{
    const char *digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = strchr(digits, c);

    assert_non_null(at);
    return (int)(at - digits);
}

/* Paints an emitted tile where `rgb` is 1. */
static inline void paint_tile(uint8_t *rgb, uint32_t width, const char *json)
{
    unsigned x, y, w, h;
    int start = 0;

    assert_int_equal(sscanf(json, "{\"x\":%u,\"y\":%u,\"width\":%u,\"height\":%u,\"rgb\":\"%n", &x,
                            &y, &w, &h, &start),
                     4);
    assert_int_equal(strlen(json), (size_t)start + 4 * (size_t)w * h + 2);
    for (unsigned i = 0; i < w * h; i++) {
        unsigned bits = 0;

        for (int d = 0; d < 4; d++)
            bits = bits << 6 | (unsigned)digit_of(json[start++]);
        uint8_t *pixel = rgb + 3 * ((y + i / w) * width + x + i % w);

        assert_int_equal(pixel[0], 1); /* no two tiles have a pixel in common */
        pixel[0] = (uint8_t)(bits >> 16);
        pixel[1] = (uint8_t)(bits >> 8);
        pixel[2] = (uint8_t)bits;
    }
    assert_string_equal(json + start, "\"}");
}

#endif
