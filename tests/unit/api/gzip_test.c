#include "api/gzip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

static void assert_comes_back(const char *data, size_t bytes)
{
    struct blob *small = gzip_bytes(data, bytes);
    char *back = malloc(bytes + 1);
    z_stream z = {.avail_in = (uInt)small->bytes, .avail_out = (uInt)bytes + 1};

    z.next_in = small->owned;
    z.next_out = (Bytef *)back;
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK); /* gzip alone, no zlib */
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(z.total_out, bytes);
    assert_int_equal(z.avail_in, 0);
    assert_memory_equal(back, data, bytes);
    (void)inflateEnd(&z);
    free(back);
    (void)blob_drop(small);
}

static void test_it_comes_back(void **state)
{
    char noise[5000];
    uint32_t x = 1;

    (void)state;
    for (size_t i = 0; i < sizeof(noise); i++)
        noise[i] = (char)((x = x * 1664525u + 1013904223u) >> 24);
    assert_comes_back("", 0);
    assert_comes_back("a", 1);
    assert_comes_back(noise, sizeof(noise)); /* which grows */
}

static void test_text_gets_small(void **state)
{
    char text[5000];
    struct blob *small;

    (void)state;
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = "threads and processes "[i % 22];
    assert_comes_back(text, sizeof(text));
    small = gzip_bytes(text, sizeof(text));
    assert_true(small->bytes < sizeof(text) / 10);
    (void)blob_drop(small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_comes_back),
        cmocka_unit_test(test_text_gets_small),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
