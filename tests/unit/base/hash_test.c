#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* The published test vectors of SipHash-2-4: key 00 01 … 0f, input 00 01 02 … */
static const struct hash_key published = {0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL};

static void the_published_vectors_hold(void **state)
{
    const struct {
        size_t bytes;
        uint64_t hash;
    } vectors[] = {
        {0, 0x726fdb47dd0e0e31ULL}, {1, 0x74f839c593dc67fdULL},  {7, 0xab0200f58b01d137ULL},
        {8, 0x93f5f5799a932462ULL}, {15, 0xa129ca6149be45e5ULL}, {63, 0x958a324ceb064572ULL},
    };
    unsigned char input[64];

    (void)state;
    for (unsigned i = 0; i < sizeof(input); i++)
        input[i] = (unsigned char)i;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
        assert_true(hash_bytes(published, input, vectors[i].bytes) == vectors[i].hash);
}

static void every_byte_counts(void **state)
{
    unsigned char input[33] = {0};
    uint64_t before = hash_bytes(published, input, sizeof(input));

    (void)state;
    for (size_t i = 0; i < sizeof(input); i++) {
        input[i] ^= 1;
        assert_true(hash_bytes(published, input, sizeof(input)) != before);
        input[i] ^= 1;
    }
}

static void the_place_in_memory_does_not_count(void **state)
{
    char room[64];

    (void)state;
    for (size_t at = 0; at < 16; at++) {
        memcpy(room + at, "a text of some bytes", 20);
        assert_true(hash_bytes(published, room + at, 20) ==
                    hash_bytes(published, "a text of some bytes", 20));
    }
}

static void the_key_counts(void **state)
{
    struct hash_key a = hash_key_new(), b = hash_key_new();

    (void)state;
    assert_true(hash_bytes(a, "x", 1) != hash_bytes(b, "x", 1));
}

static void nothing_has_a_hash_too(void **state)
{
    (void)state;
    assert_true(hash_bytes(published, NULL, 0) == 0x726fdb47dd0e0e31ULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_vectors_hold),
        cmocka_unit_test(every_byte_counts),
        cmocka_unit_test(the_place_in_memory_does_not_count),
        cmocka_unit_test(the_key_counts),
        cmocka_unit_test(nothing_has_a_hash_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
