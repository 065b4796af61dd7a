#include <errno.h>
#include <math.h>
#include <sys/mman.h>
#include <unistd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "ipc/proto.h"
#include "worker/order.h"

#include "prong_side.h"

static int map(struct prong_ctx *c, uint64_t lo, uint64_t hi)
{
    (void)c, (void)lo, (void)hi;
    return 0;
}

static struct registry registry = {
    .count = 1,
    .kernels = {{.kernel = {.size = sizeof(struct prong_kernel), .name = "bare", .map = map}}},
};
static struct prong_side side = {.next_task = 1};
static struct slabs slabs;
static struct order order;
static _Alignas(PROTO_ALIGN) char frame[PROTO_FRAME_MAX];

static struct proto_task task(uint8_t op)
{
    return prong_side_task(&side, 0, op);
}

static int read_with(struct proto_task *t, struct prong_buf input, struct prong_buf parts,
                     const int *fds, size_t fd_count)
{
    const struct prong_buf areas[3] = {input, parts, prong_side_none()};
    size_t n = prong_side_lay_out(t, areas, frame);
    int copies[PROTO_FDS_MAX];
    struct err err = {.text = ""};
    int rc;

    for (size_t i = 0; i < fd_count; i++)
        copies[i] = dup(fds[i]);
    rc = order_read(&order, frame, n, copies, fd_count, &slabs, &registry, &err);
    if (rc < 0)
        assert_true(strlen(err.text) > 10);
    for (size_t i = 0; i < fd_count; i++)
        assert_int_equal(close(copies[i]), -1); /* closed, whatever happened */
    return rc;
}

static int read_plain(struct proto_task *t)
{
    return read_with(t, prong_side_none(), prong_side_none(), NULL, 0);
}

static void inline_input_is_found_aligned(void **state)
{
    struct proto_task t = task(PROTO_OP_START);

    (void)state;
    t.input_kind = PRONG_INPUT_RAW;
    assert_int_equal(read_with(&t, prong_side_text("hello"), prong_side_none(), NULL, 0), 0);
    assert_int_equal(order.input.size, 5);
    assert_memory_equal(order.input.data, "hello", 5);
    assert_int_equal((uintptr_t)order.input.data % PROTO_ALIGN, 0);
    assert_string_equal(order.kernel->kernel.name, "bare");
}

static void heads_out_of_bounds_are_refused(void **state)
{
    struct proto_task t;

    (void)state;
#define REFUSED(change)                                                                            \
    do {                                                                                           \
        t = task(PROTO_OP_START);                                                                  \
        change;                                                                                    \
        assert_int_equal(read_plain(&t), -EPROTO);                                                 \
    } while (0)
    REFUSED(t.kernel = 1);
    REFUSED(t.op = 0);
    REFUSED(t.op = PROTO_OP_FINISH + 1);
    REFUSED(t.task = 0);
    REFUSED(t.inflight = PROTO_INFLIGHT_MAX);
    REFUSED(t.input_kind = PRONG_INPUT_VALUES + 1);
    REFUSED(t.ns_per_cost = NAN);
    REFUSED(t.ns_per_cost = -1);
    REFUSED((t.lo = 2, t.hi = 1));
    REFUSED(t.hi = PRONG_UNITS_MAX + 1);
    REFUSED(t.part_count = 1);
    REFUSED(memset(t.job, 'x', sizeof(t.job)));
    t = task(PROTO_OP_START);
    assert_int_equal(read_plain(&t), 0);
}

static void frames_cut_short_are_refused(void **state)
{
    struct proto_task t = task(PROTO_OP_START);
    const struct prong_buf areas[3] = {prong_side_text("hello"), prong_side_none(),
                                       prong_side_none()};
    struct proto_head *head = (void *)frame;
    struct err err;

    (void)state;
    t.input_kind = PRONG_INPUT_RAW;
    (void)prong_side_lay_out(&t, areas, frame);
    for (uint32_t n = sizeof(*head); n <= sizeof(t); n++) {
        head->bytes = n;
        assert_int_equal(order_read(&order, frame, n, NULL, 0, &slabs, &registry, &err), -EPROTO);
    }
    head->bytes = sizeof(t) + 2 * PROTO_ALIGN;
    assert_int_equal(order_read(&order, frame, head->bytes, NULL, 0, &slabs, &registry, &err),
                     -EPROTO);
}

static void inline_areas_stay_in_the_frame(void **state)
{
    struct proto_task t = task(PROTO_OP_START);
    struct err err;

    (void)state;
    t.input_kind = PRONG_INPUT_RAW;
    t.head = chan_head(PROTO_TASK, sizeof(t) + PROTO_ALIGN);
    t.input.bytes = PROTO_ALIGN + 1;
    memcpy(frame, &t, sizeof(t));
    assert_int_equal(order_read(&order, frame, t.head.bytes, NULL, 0, &slabs, &registry, &err),
                     -EPROTO);
    t.input.bytes = UINT64_MAX;
    memcpy(frame, &t, sizeof(t));
    assert_int_equal(order_read(&order, frame, t.head.bytes, NULL, 0, &slabs, &registry, &err),
                     -EPROTO);
}

static void values_are_whole_doubles(void **state)
{
    double values[2] = {1, 2};
    struct proto_task t = task(PROTO_OP_START);

    (void)state;
    t.input_kind = PRONG_INPUT_VALUES;
    assert_int_equal(read_with(&t, (struct prong_buf) {values, 16}, prong_side_none(), NULL, 0), 0);
    assert_int_equal(read_with(&t, (struct prong_buf) {values, 15}, prong_side_none(), NULL, 0),
                     -EPROTO);
    t.input_kind = PRONG_INPUT_NONE;
    assert_int_equal(read_with(&t, (struct prong_buf) {values, 16}, prong_side_none(), NULL, 0),
                     -EPROTO);
}

static void slab_areas_stay_in_their_slab(void **state)
{
    int fd = prong_side_slab(8192, 64, prong_side_text("in the slab"));
    struct proto_task t = task(PROTO_OP_START);

    (void)state;
    t.input_kind = PRONG_INPUT_RAW;
    t.input = (struct proto_area) {.slab = 3, .slab_bytes = 8192, .offset = 64, .bytes = 11};
    assert_int_equal(read_with(&t, prong_side_none(), prong_side_none(), &fd, 1), 0);
    assert_memory_equal(order.input.data, "in the slab", 11);
#define BEYOND(change)                                                                             \
    do {                                                                                           \
        struct proto_task u = t;                                                                   \
        u.input.change;                                                                            \
        assert_int_equal(read_with(&u, prong_side_none(), prong_side_none(), &fd, 1), -EPROTO);    \
    } while (0)
    BEYOND(bytes = 8192 - 64 + 1);
    BEYOND(bytes = UINT64_MAX);
    BEYOND(offset = 8192 + 64);
    BEYOND(offset = UINT64_MAX - 63);
    BEYOND(offset = 8); /* a kernel is promised 64 */
    BEYOND(slab_bytes = 4096);
    assert_int_equal(read_with(&t, prong_side_none(), prong_side_none(), NULL, 0), -EPROTO);
    (void)close(fd);
    slabs_release(&slabs);
}

static void descriptors_match_areas(void **state)
{
    int fd = prong_side_slab(8192, 0, prong_side_text("x"));
    struct proto_task t = task(PROTO_OP_START);

    (void)state;
    assert_int_equal(read_with(&t, prong_side_none(), prong_side_none(), &fd, 1), -EPROTO);
    (void)close(fd);
}

static void an_unsealed_slab_is_refused(void **state)
{
    int fd = memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    struct proto_task t = task(PROTO_OP_START);

    (void)state;
    assert_int_equal(ftruncate(fd, 8192), 0);
    t.input_kind = PRONG_INPUT_RAW;
    t.input = (struct proto_area) {.slab = 4, .slab_bytes = 8192, .bytes = 1};
    assert_int_equal(read_with(&t, prong_side_none(), prong_side_none(), &fd, 1), -EPROTO);
    (void)close(fd);
}

static void parts_are_taken_from_the_left(void **state)
{
    const struct prong_buf parts[3] = {prong_side_text("first"), prong_side_none(),
                                       prong_side_text("a third, longer than sixteen")};
    struct proto_task t = task(PROTO_OP_COMBINE);

    (void)state;
    t.part_count = 3;
    assert_int_equal(read_with(&t, prong_side_none(), prong_side_parts(parts, 3), NULL, 0), 0);
    for (int i = 0; i < 3; i++) {
        struct prong_buf part;
        assert_int_equal(order.parts.left, 3 - i);
        part = order_next_part(&order.parts);
        assert_int_equal(part.size, parts[i].size);
        assert_memory_equal(part.data, parts[i].data, part.size);
    }
    assert_int_equal(order.parts.left, 0);
}

static void parts_that_do_not_add_up_are_refused(void **state)
{
    uint64_t area[8] = {16, 16};
    struct proto_task t = task(PROTO_OP_FINISH);

    (void)state;
    t.part_count = 2; /* 16 for the table, 2 × 16 */
    assert_int_equal(read_with(&t, prong_side_none(), (struct prong_buf) {area, 48}, NULL, 0), 0);
    assert_int_equal(read_with(&t, prong_side_none(), (struct prong_buf) {area, 64}, NULL, 0),
                     -EPROTO);
    assert_int_equal(read_with(&t, prong_side_none(), (struct prong_buf) {area, 32}, NULL, 0),
                     -EPROTO);
    assert_int_equal(read_with(&t, prong_side_none(), (struct prong_buf) {area, 8}, NULL, 0),
                     -EPROTO);
    area[0] = UINT64_MAX - 8;
    assert_int_equal(read_with(&t, prong_side_none(), (struct prong_buf) {area, 48}, NULL, 0),
                     -EPROTO);
    t.part_count = PROTO_PARTS_MAX + 1;
    assert_int_equal(read_with(&t, prong_side_none(), (struct prong_buf) {area, 48}, NULL, 0),
                     -EPROTO);
    t.part_count = 0;
    assert_int_equal(read_with(&t, prong_side_none(), (struct prong_buf) {area, 16}, NULL, 0),
                     -EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inline_input_is_found_aligned),
        cmocka_unit_test(heads_out_of_bounds_are_refused),
        cmocka_unit_test(frames_cut_short_are_refused),
        cmocka_unit_test(inline_areas_stay_in_the_frame),
        cmocka_unit_test(values_are_whole_doubles),
        cmocka_unit_test(slab_areas_stay_in_their_slab),
        cmocka_unit_test(descriptors_match_areas),
        cmocka_unit_test(an_unsealed_slab_is_refused),
        cmocka_unit_test(parts_are_taken_from_the_left),
        cmocka_unit_test(parts_that_do_not_add_up_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
