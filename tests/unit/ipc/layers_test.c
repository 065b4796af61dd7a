#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "ipc/layers.h"

static void lists_are_read(void **state)
{
    struct err err;
    uint32_t mask = 77;

    (void)state;
    assert_int_equal(layers_parse("", &mask, &err), 0);
    assert_int_equal(mask, 0);
    assert_int_equal(layers_parse("seccomp", &mask, &err), 0);
    assert_int_equal(mask, LAYER_SECCOMP);
    assert_int_equal(layers_parse("user,cgroup,user", &mask, &err), 0);
    assert_int_equal(mask, LAYER_USER | LAYER_CGROUP);
}

static void every_name_is_its_bit(void **state)
{
    struct err err;
    uint32_t mask;

    (void)state;
    for (unsigned i = 0; i < LAYERS_COUNT; i++) {
        assert_int_equal(layers_parse(layers_name(i), &mask, &err), 0);
        assert_int_equal(mask, 1u << i);
    }
}

static void other_words_are_refused(void **state)
{
    static const char *const bad[] = {"secc", "seccompp",     "user, cgroup",
                                      ",",    "user,,cgroup", "User"};
    uint32_t mask = 77;

    (void)state;
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct err err = {""};
        assert_int_equal(layers_parse(bad[i], &mask, &err), -EINVAL);
        assert_true(err.text[0] != '\0');
        assert_int_equal(mask, 77);
    }
}

static void modes_are_read(void **state)
{
    enum layers_mode mode;
    struct err err = {""};

    (void)state;
    for (int m = LAYERS_AUTO; m <= LAYERS_OFF; m++) {
        assert_int_equal(layers_mode_parse(layers_mode_name((enum layers_mode)m), &mode, &err), 0);
        assert_int_equal(mode, m);
    }
    assert_int_equal(layers_mode_parse("nonsense", &mode, &err), -EINVAL);
    assert_non_null(strstr(err.text, "nonsense"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_read),
        cmocka_unit_test(every_name_is_its_bit),
        cmocka_unit_test(other_words_are_refused),
        cmocka_unit_test(modes_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
