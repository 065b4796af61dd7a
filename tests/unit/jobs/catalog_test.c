#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "jobs/catalog.h"

static struct description *about(const char *name, const char *version)
{
    struct description *d = calloc(1, sizeof(*d));

    assert_non_null(d);
    d->name = name;
    d->version = version;
    d->broken = "";
    return d;
}

static void test_a_new_zygote_updates_the_index(void **state)
{
    static struct catalog c;
    struct kernel *k;

    (void)state;
    catalog_init(&c);
    assert_int_equal(catalog_add(&c, about("sum", "1"), 0), 0);
    assert_int_equal(catalog_add(&c, about("pi", "1"), 1), 0);
    k = catalog_find(&c, "pi");
    assert_int_equal(k->index, 1);
    assert_null(catalog_find(&c, "tau"));

    catalog_begin(&c);
    assert_int_equal(k->index, -1);
    assert_int_equal(catalog_add(&c, about("pi", "1"), 0), 0);
    assert_ptr_equal(catalog_find(&c, "pi"), k);
    assert_int_equal(k->index, 0);
    assert_int_equal(catalog_find(&c, "sum")->index, -1);
    catalog_release(&c);
}

static void test_another_version_is_refused(void **state)
{
    static struct catalog c;

    (void)state;
    catalog_init(&c);
    assert_int_equal(catalog_add(&c, about("sum", "1"), 0), 0);
    assert_int_equal(catalog_add(&c, about("sum", "2"), 3), -EEXIST);
    assert_int_equal(catalog_find(&c, "sum")->index, 0);
    catalog_release(&c);
}

static void test_the_table_is_bounded(void **state)
{
    static struct catalog c;
    static char names[PROTO_KERNELS_MAX + 1][16];

    (void)state;
    catalog_init(&c);
    for (int i = 0; i <= PROTO_KERNELS_MAX; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "k%d", i);
        assert_int_equal(catalog_add(&c, about(names[i], "1"), i),
                         i < PROTO_KERNELS_MAX ? 0 : -ENOSPC);
    }
    catalog_release(&c);
}

static char told[256];

static void note(void *arg, const char *file, const char *reason)
{
    size_t n = strlen(told);

    assert_ptr_equal(arg, told);
    (void)snprintf(told + n, sizeof(told) - n, "%s: %s ", file, reason);
}

static const char *tell(struct catalog *c)
{
    told[0] = '\0';
    catalog_tell_refusals(c, note, told);
    return told;
}

static void test_refusals_are_those_of_the_newest_zygote(void **state)
{
    static struct catalog c;

    (void)state;
    catalog_init(&c);
    assert_string_equal(tell(&c), "");
    assert_int_equal(catalog_refuse(&c, "a.so", "No."), 0);
    assert_int_equal(catalog_refuse(&c, "b.so", "Neither."), 0);
    assert_string_equal(tell(&c), "a.so: No. b.so: Neither. ");
    catalog_begin(&c);
    assert_string_equal(tell(&c), "");
    for (int i = 0; i <= PROTO_REFUSALS_MAX; i++)
        assert_int_equal(catalog_refuse(&c, "x", "y"), i < PROTO_REFUSALS_MAX ? 0 : -ENOSPC);
    catalog_release(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_new_zygote_updates_the_index),
        cmocka_unit_test(test_another_version_is_refused),
        cmocka_unit_test(test_the_table_is_bounded),
        cmocka_unit_test(test_refusals_are_those_of_the_newest_zygote),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
