#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/err.h"
#include "ipc/description.h"
#include "kernel/registry.h"

static struct registry registry;
static struct err err;
static const struct prong_host host = {.size = sizeof(host)};

static int map(struct prong_ctx *c, uint64_t lo, uint64_t hi)
{
    (void)c, (void)lo, (void)hi;
    return 0;
}

static int init(const struct prong_host *given, void **ret_state)
{
    *ret_state = (void *)(uintptr_t)given;
    return 0;
}

static struct prong_kernel named(const char *name)
{
    return (struct prong_kernel) {
        .size = sizeof(struct prong_kernel),
        .abi_major = PRONG_ABI_MAJOR,
        .name = name,
        .version = "1",
        .map = map,
    };
}

static void kernels_have_indices(void **state)
{
    struct prong_kernel a = named("a"), b = named("b");

    (void)state;
    b.init = init;
    assert_int_equal(registry_add(&registry, &a, &host, &err), 0);
    assert_int_equal(registry_add(&registry, &b, &host, &err), 0);
    assert_string_equal(registry_get(&registry, 1)->kernel.name, "b");
    assert_ptr_equal(registry_get(&registry, 1)->state, &host);
    assert_null(registry_get(&registry, 2));
    assert_int_equal(registry_add(&registry, &a, &host, &err), -EEXIST);
    registry_release(&registry);
}

static void a_description_that_prong_would_refuse_is_refused_here(void **state)
{
    static char long_text[DESCRIPTION_TEXT_MAX + 2];
    struct prong_kernel k = named("wordy");

    (void)state;
    memset(long_text, 'x', sizeof(long_text) - 1);
    k.summary = long_text;
    assert_int_equal(registry_add(&registry, &k, &host, &err), -EMSGSIZE);
    k.summary = long_text + 1;
    assert_int_equal(registry_add(&registry, &k, &host, &err), 0);
    registry_release(&registry);
}

static void there_is_room_for_so_many(void **state)
{
    static char names[PROTO_KERNELS_MAX + 1][16];

    (void)state;
    for (int i = 0; i <= PROTO_KERNELS_MAX; i++) {
        struct prong_kernel k = named(names[i]);
        (void)snprintf(names[i], sizeof(names[i]), "k%d", i);
        assert_int_equal(registry_add(&registry, &k, &host, &err),
                         i < PROTO_KERNELS_MAX ? 0 : -ENOSPC);
    }
    registry_release(&registry);
}

static void the_first_reason_for_being_broken_stays(void **state)
{
    struct prong_kernel k = named("k");

    (void)state;
    assert_int_equal(registry_add(&registry, &k, &host, &err), 0);
    assert_null(registry_get(&registry, 0)->broken);
    registry_break(&registry, 0, "First.");
    registry_break(&registry, 0, "Second.");
    assert_string_equal(registry_get(&registry, 0)->broken, "First.");
    registry_release(&registry);
}

static void a_declared_kernel_goes_with_the_registry(void **state)
{
    struct declared *first = declared_new(), *second = declared_new();

    (void)state;
    first->kernel.name = second->kernel.name = "told";
    assert_int_equal(registry_check_free(&registry, "told", &err), 0);
    assert_int_equal(registry_add_declared(&registry, first, &err), 0);
    assert_ptr_equal(registry_get(&registry, 0)->declared, first);
    assert_int_equal(registry_check_free(&registry, "told", &err), -EEXIST);
    assert_int_equal(registry_add_declared(&registry, second, &err), -EEXIST);
    assert_int_equal(registry.count, 1);
    registry_release(&registry);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kernels_have_indices),
        cmocka_unit_test(a_description_that_prong_would_refuse_is_refused_here),
        cmocka_unit_test(there_is_room_for_so_many),
        cmocka_unit_test(the_first_reason_for_being_broken_stays),
        cmocka_unit_test(a_declared_kernel_goes_with_the_registry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
