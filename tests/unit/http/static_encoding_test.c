#include "http/static_encoding.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"

enum {
    BR = 1 << STATIC_BR,
    GZIP = 1 << STATIC_GZIP,
    PLAIN = 1 << STATIC_IDENTITY,
    ALL = BR | GZIP | PLAIN,
};

static void assert_choice(const char *accept, unsigned present, enum static_encoding wanted)
{
    enum static_encoding got = static_encoding_choose(accept, present);

    if (got != wanted)
        fail_msg("'%s' of %u: %d, not %d", accept == NULL ? "(none)" : accept, present, (int)got,
                 (int)wanted);
}

static void what_is_accepted_is_taken(void **state)
{
    (void)state;
    assert_choice("gzip", ALL, STATIC_GZIP);
    assert_choice("x-gzip", ALL, STATIC_GZIP);
    assert_choice("br", ALL, STATIC_BR);
    assert_choice("GZIP", ALL, STATIC_GZIP);
    assert_choice("deflate, gzip", ALL, STATIC_GZIP);
    assert_choice("gzip, deflate, br, zstd", ALL, STATIC_BR);
    assert_choice("gzip, deflate, br", GZIP | PLAIN, STATIC_GZIP);
    assert_choice("gzip, deflate, br", BR | PLAIN, STATIC_BR);
    assert_choice("gzip", BR | PLAIN, STATIC_IDENTITY);
    assert_choice("br,gzip", PLAIN, STATIC_IDENTITY);
}

static void weights_decide(void **state)
{
    (void)state;
    assert_choice("br;q=0.5, gzip;q=0.8", ALL, STATIC_GZIP);
    assert_choice("gzip;q=0.8,br;q=0.8", ALL, STATIC_BR);
    assert_choice("gzip;q=0.801,br;q=0.8", ALL, STATIC_GZIP);
    assert_choice("gzip;q=1.000,br;q=0.999", ALL, STATIC_GZIP);
    assert_choice("gzip ; q=0.1 , br\t;\tQ=0.2", ALL, STATIC_BR);
    assert_choice("br;q=0, gzip", ALL, STATIC_GZIP);
    assert_choice("br;q=0.000, gzip;q=0.0", ALL, STATIC_IDENTITY);
    assert_choice("br;q=0.001", ALL, STATIC_BR);
    assert_choice("gzip;q=0.5, identity;q=0.6", ALL, STATIC_IDENTITY);
    assert_choice("gzip;q=0.5, identity;q=0.5", ALL, STATIC_GZIP);
    assert_choice("br;q=0.2, identity", ALL, STATIC_IDENTITY);
}

static void a_star_stands_for_what_is_not_named(void **state)
{
    (void)state;
    assert_choice("*", ALL, STATIC_BR);
    assert_choice("*", GZIP | PLAIN, STATIC_GZIP);
    assert_choice("*;q=0", ALL, STATIC_IDENTITY);
    assert_choice("gzip, *;q=0", ALL, STATIC_GZIP);
    assert_choice("br;q=0, *", ALL, STATIC_GZIP);
    assert_choice("gzip;q=0.5, *;q=1", GZIP | PLAIN, STATIC_IDENTITY);
    assert_choice("*;q=0.5, br;q=0.1, gzip;q=0.1", ALL, STATIC_IDENTITY);
}

static void the_file_itself_is_always_there(void **state)
{
    (void)state;
    assert_choice(NULL, ALL, STATIC_IDENTITY);
    assert_choice("", ALL, STATIC_IDENTITY);
    assert_choice("identity;q=0", PLAIN, STATIC_IDENTITY);
    assert_choice("identity;q=0, *;q=0", ALL, STATIC_IDENTITY);
    assert_choice("zstd, identity;q=0", ALL, STATIC_IDENTITY);
}

static void nonsense_is_not_accepted(void **state)
{
    static const char *const texts[] = {
        "br;q=2", "br;q=1.001", "br;q=0.0001", "br;q=",   "br;q=-1",    "br;q=x",
        "br;q",   "br;",        "br q=1",      "br;q=1x", "br;level=3", "brr",
        "b",      ",,;q=1,",    ";q=1",        "br;q=.5", "br;q=0,5x",  "br;q=01"};

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
        assert_choice(texts[i], BR | PLAIN, STATIC_IDENTITY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_accepted_is_taken),
        cmocka_unit_test(weights_decide),
        cmocka_unit_test(a_star_stands_for_what_is_not_named),
        cmocka_unit_test(the_file_itself_is_always_there),
        cmocka_unit_test(nonsense_is_not_accepted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
