#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "zygote/children.h"

static struct children c;
static uint32_t slot;
static uint64_t generation;

static void a_worker_is_found_by_slot_and_generation(void **state)
{
    (void)state;
    memset(&c, 0, sizeof(c));
    children_add(&c, 3, 77, 1234);
    assert_int_equal(children_find(&c, 3, 77), 1234);
    assert_int_equal(children_find(&c, 3, 76), 0);
    assert_int_equal(children_find(&c, 4, 77), 0);
    assert_int_equal(children_find(&c, PROTO_WORKERS_MAX, 77), 0);
    assert_int_equal(children_find(&c, UINT32_MAX, 0), 0);
    assert_int_equal(children_find(&c, 0, 0), 0); /* a free slot is nobody */
}

static void a_slot_is_taken_until_its_worker_is_removed(void **state)
{
    (void)state;
    memset(&c, 0, sizeof(c));
    children_add(&c, 3, 77, 1234);
    assert_int_equal(children_check_free(&c, 3), -EPROTO);
    assert_int_equal(children_check_free(&c, PROTO_WORKERS_MAX), -EPROTO);
    assert_int_equal(children_remove(&c, 1234, &slot, &generation), 0);
    assert_int_equal(slot, 3);
    assert_int_equal(generation, 77);
    assert_int_equal(c.count, 0);
    assert_int_equal(children_check_free(&c, 3), 0);
    assert_int_equal(children_remove(&c, 1234, &slot, &generation), -ESRCH);
    assert_int_equal(children_remove(&c, 0, &slot, &generation), -ESRCH);
}

static void every_slot_can_be_used(void **state)
{
    (void)state;
    memset(&c, 0, sizeof(c));
    for (uint32_t i = 0; i < PROTO_WORKERS_MAX; i++)
        children_add(&c, i, i, (pid_t)(1000 + i));
    assert_int_equal(c.count, PROTO_WORKERS_MAX);
    for (uint32_t i = 0; i < PROTO_WORKERS_MAX; i++)
        assert_int_equal(children_find(&c, i, i), 1000 + i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_worker_is_found_by_slot_and_generation),
        cmocka_unit_test(a_slot_is_taken_until_its_worker_is_removed),
        cmocka_unit_test(every_slot_can_be_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
