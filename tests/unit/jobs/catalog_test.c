#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "base/buf.h"
#include "jobs/catalog.h"

static struct catalog catalog;
static struct catalog_draft draft;
static struct catalog_set first, second;
static struct catalog_change change;

static int set_up(void **state)
{
    (void)state;
    catalog_init(&catalog);
    return 0;
}

/* Releasing checks that all editions have gone. */
static int tear_down(void **state)
{
    (void)state;
    catalog_draft_clear(&draft);
    catalog_set_clear(&first);
    catalog_set_clear(&second);
    catalog_release(&catalog);
    return 0;
}

static struct description *about(const char *name, const char *version, const char *broken)
{
    struct prong_kernel kernel = {.size = sizeof(kernel), .name = name, .version = version};
    struct description *d = NULL;
    struct buf b;

    buf_init(&b, DESCRIPTION_BYTES_MAX);
    assert_int_equal(description_encode(&b, &kernel, broken), 0);
    assert_int_equal(description_decode(b.data, b.size, &d), 0);
    buf_release(&b);
    return d;
}

static void offer(const char *name, const char *version, unsigned index)
{
    assert_int_equal(catalog_draft_add(&draft, about(name, version, NULL), index), 0);
}

static void install(struct catalog_set *set)
{
    assert_int_equal(catalog_install(&catalog, &draft, set, &change, NULL), 0);
}

static enum catalog_fate fate_of(const char *name)
{
    for (size_t i = 0; i < change.count; i++) {
        if (strcmp(change.kernels[i].name, name) == 0)
            return change.kernels[i].fate;
    }
    fail_msg("nothing is said of %s", name);
    return CATALOG_SAME;
}

static void test_its_edition_changes_with_what_is_put_in_force(void **state)
{
    uint64_t before = catalog_edition(&catalog);

    (void)state;
    offer("sum", "1", 0);
    assert_int_equal(catalog_edition(&catalog), before); /* a draft is nothing yet */
    install(&first);
    assert_int_not_equal(catalog_edition(&catalog), before);
    before = catalog_edition(&catalog);
    offer("sum", "1", 0); /* the same again, and yet its code may be other code */
    install(&second);
    assert_int_not_equal(catalog_edition(&catalog), before);
}

static void test_what_is_the_same_stays_the_same_object(void **state)
{
    const struct kernel *k;
    uint64_t edition;

    (void)state;
    offer("sum", "1", 0);
    offer("pi", "1", 1);
    install(&first);
    assert_int_equal(fate_of("pi"), CATALOG_ADDED);
    k = catalog_find(&catalog, "pi");
    edition = kernel_edition(k);
    assert_int_equal(catalog_set_find(&first, k), 1);
    assert_null(catalog_find(&catalog, "tau"));

    offer("pi", "1", 0);
    offer("tau", "1", 1);
    install(&second);
    assert_int_equal(fate_of("pi"), CATALOG_SAME);
    assert_int_equal(fate_of("tau"), CATALOG_ADDED);
    assert_int_equal(fate_of("sum"), CATALOG_REMOVED);
    assert_ptr_equal(catalog_find(&catalog, "pi"), k);
    assert_int_equal(catalog_set_find(&first, k), 1);
    assert_int_equal(catalog_set_find(&second, k), 0);
    assert_true(kernel_edition(k) > edition); /* its code may be another all the same */
    assert_null(catalog_find(&catalog, "sum"));
    (void)kernel_drop(k);
    (void)kernel_drop(k);
}

static void test_a_change_is_another_edition(void **state)
{
    const struct kernel *old, *new;
    unsigned place;

    (void)state;
    offer("sum", "1", 0);
    install(&first);
    old = catalog_find(&catalog, "sum");
    offer("sum", "2", 0);
    install(&second);
    assert_int_equal(fate_of("sum"), CATALOG_CHANGED);
    new = catalog_find(&catalog, "sum");
    assert_ptr_not_equal(old, new);
    assert_string_equal(old->about->version, "1"); /* who has it goes on with it */
    assert_string_equal(new->about->version, "2");
    assert_int_not_equal(old->place, new->place);
    assert_int_not_equal(old->serial, new->serial);
    assert_int_equal(catalog_set_find(&second, old), -ENOENT);
    assert_int_equal(catalog_set_find(&first, new), -ENOENT);
    assert_int_equal(catalog_set_find(&first, old), 0);

    assert_true(catalog_set_is_wanted(&first));
    place = old->place;
    (void)kernel_drop(old);
    assert_false(catalog_set_is_wanted(&first)); /* only the set itself holds it */
    assert_non_null(catalog.places[place]);
    catalog_set_clear(&first);
    assert_null(catalog.places[place]);
    (void)kernel_drop(new);
}

static void test_a_place_is_given_again_to_another_serial(void **state)
{
    const struct kernel *k;
    uint64_t serials[3];

    (void)state;
    for (int i = 0; i < 3; i++) {
        char version[2] = {(char)('1' + i), '\0'};
        offer("sum", version, 0);
        install(&first);
        k = catalog_find(&catalog, "sum");
        serials[i] = k->serial;
        assert_true(k->place < 2); /* the one before is not freed until after */
        (void)kernel_drop(k);
    }
    assert_true(serials[0] < serials[1] && serials[1] < serials[2]);
}

/* As a new broken kernel is taken, but not one that was whole. */
static void test_what_works_may_not_be_broken(void **state)
{
    struct err err;

    (void)state;
    assert_int_equal(catalog_judge(&catalog, &draft, &err), -EINVAL);
    assert_string_equal(err.text, "There is no kernel to load.");
    offer("sum", "1", 0);
    assert_int_equal(catalog_draft_add(&draft, about("pi", "1", "It is 3."), 1), 0);
    assert_int_equal(catalog_judge(&catalog, &draft, &err), 0);
    install(&first);
    assert_int_equal(catalog_draft_add(&draft, about("pi", "2", "It is 4."), 0), 0);
    assert_int_equal(catalog_judge(&catalog, &draft, &err), 0); /* as broken as before */
    assert_int_equal(catalog_draft_add(&draft, about("sum", "2", "It is odd."), 1), 0);
    assert_int_equal(catalog_judge(&catalog, &draft, &err), -EINVAL);
    assert_string_equal(err.text, "Kernel sum, which works now, is broken: It is odd.");
}

static void note_refusal(void *arg, const char *file, const char *reason)
{
    char *text = arg;
    size_t n = strlen(text);

    (void)snprintf(text + n, 100 - n, "%s: %s ", file, reason);
}

static void test_what_works_may_not_be_missing_for_a_file_that_is_refused(void **state)
{
    char text[100] = "";
    struct err err;

    (void)state;
    offer("sum", "1", 0);
    offer("pi", "1", 1);
    assert_int_equal(catalog_draft_refuse(&draft, "old.so", "It is old."), 0);
    install(&first);
    catalog_tell_refusals(&catalog, note_refusal, text);
    assert_string_equal(text, "old.so: It is old. ");

    offer("sum", "1", 0); /* pi has gone, and old.so has nothing to do with that */
    assert_int_equal(catalog_draft_refuse(&draft, "old.so", "It is old."), 0);
    assert_int_equal(catalog_judge(&catalog, &draft, &err), 0);
    assert_int_equal(catalog_draft_refuse(&draft, "circle.so", "It is square."), 0);
    assert_int_equal(catalog_judge(&catalog, &draft, &err), -EINVAL);
    assert_string_equal(err.text,
                        "Kernel pi, which works now, is missing, as circle.so is refused: "
                        "It is square.");
    assert_int_equal(catalog_draft_refuse(&draft, "pi.so", "It is 3."), 0);
    assert_int_equal(catalog_judge(&catalog, &draft, &err), -EINVAL);
    assert_string_equal(err.text,
                        "Kernel pi, which works now, is missing, as pi.so is refused: It is 3.");
    offer("pi", "2", 1); /* from elsewhere */
    assert_int_equal(catalog_judge(&catalog, &draft, &err), 0);
    install(&second);
    text[0] = '\0';
    catalog_tell_refusals(&catalog, note_refusal, text);
    assert_string_equal(text, "old.so: It is old. circle.so: It is square. pi.so: It is 3. ");
    for (int i = 0; i <= PROTO_REFUSALS_MAX; i++)
        assert_int_equal(catalog_draft_refuse(&draft, "x", "y"),
                         i < PROTO_REFUSALS_MAX ? 0 : -ENOSPC);
}

static void test_a_draft_has_each_once(void **state)
{
    (void)state;
    offer("sum", "1", 3);
    assert_int_equal(catalog_draft_add(&draft, about("sum", "1", NULL), 4), -EEXIST);
    assert_int_equal(catalog_draft_add(&draft, about("pi", "1", NULL), 3), -EEXIST);
    install(&first);
    assert_int_equal(change.count, 1);
}

static void offer_many(const char *version)
{
    for (unsigned i = 0; i < PROTO_KERNELS_MAX; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "k%u", i);
        offer(name, version, i);
    }
}

static void test_the_editions_are_bounded(void **state)
{
    static const struct kernel *held[3][PROTO_KERNELS_MAX];
    static const char *const versions[] = {"1", "2", "3"};
    struct err err;

    (void)state;
    for (int i = 0; i < 3; i++) {
        offer_many(versions[i]);
        install(&first);
        assert_int_equal(catalog_list(&catalog, held[i]), PROTO_KERNELS_MAX);
    }
    offer_many("4");
    assert_int_equal(catalog_install(&catalog, &draft, &second, &change, &err), -ENOSPC);
    assert_non_null(strstr(err.text, "768 editions"));
    assert_ptr_equal(catalog_find(&catalog, "k0"), held[2][0]);
    (void)kernel_drop(held[2][0]);
    for (unsigned i = 0; i < PROTO_KERNELS_MAX; i++)
        (void)kernel_drop(held[0][i]);
    install(&second);
    for (int n = 1; n < 3; n++) {
        for (unsigned i = 0; i < PROTO_KERNELS_MAX; i++)
            (void)kernel_drop(held[n][i]);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_its_edition_changes_with_what_is_put_in_force),
        TEST(test_what_is_the_same_stays_the_same_object),
        TEST(test_a_change_is_another_edition),
        TEST(test_a_place_is_given_again_to_another_serial),
        TEST(test_what_works_may_not_be_broken),
        TEST(test_what_works_may_not_be_missing_for_a_file_that_is_refused),
        TEST(test_a_draft_has_each_once),
        TEST(test_the_editions_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
