#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "ipc/chan.h"
#include "ipc/description.h"
#include "ipc/wire.h"
#include "zygote/announce.h"

static struct registry registry;
static struct refusals refused;
static char frame[PROTO_FRAME_MAX] __attribute__((aligned(8)));

static int map(struct prong_ctx *c, uint64_t lo, uint64_t hi)
{
    (void)c, (void)lo, (void)hi;
    return 0;
}

static size_t receive(int fd)
{
    ssize_t got = chan_recv(fd, frame, sizeof(frame), NULL, NULL, 0);

    assert_true(got > 0);
    return (size_t)got;
}

static void expect_refused(size_t got, const char *file, const char *reason)
{
    struct wire_reader r;

    assert_non_null(chan_frame(frame, got, PROTO_REFUSED, sizeof(struct proto_refused)));
    wire_read_init(&r, frame + sizeof(struct proto_refused), got - sizeof(struct proto_refused));
    assert_string_equal(wire_text(&r, PROTO_REFUSED_FILE_MAX), file);
    assert_string_equal(wire_text(&r, PROTO_REFUSED_REASON_MAX), reason);
    assert_true(wire_ended(&r));
}

static void so_many_are_told_and_cut(void **state)
{
    static char file[PROTO_REFUSED_FILE_MAX + 2], reason[PROTO_REFUSED_REASON_MAX + 2];
    int fds[2];

    (void)state;
    assert_int_equal(chan_pair(fds), 0);
    memset(file, 'f', sizeof(file) - 1);
    memset(reason, 'r', sizeof(reason) - 1);
    for (int i = 0; i <= PROTO_REFUSALS_MAX; i++)
        refusals_add(&refused, file, reason);
    assert_int_equal(refused.count, PROTO_REFUSALS_MAX);
    refused.count = 1; /* a socket holds no more at once */
    assert_int_equal(announce_kernels(fds[0], &registry, &refused), 0);
    expect_refused(receive(fds[1]), file + 1, reason + 1);
    refused.count = PROTO_REFUSALS_MAX;
    refusals_release(&refused);
    chan_close_fds(fds, 2);
}

static void hello_names_build_and_version(void **state)
{
    const struct proto_hello *hello = (const void *)frame;
    int fds[2];

    (void)state;
    assert_int_equal(chan_pair(fds), 0);
    assert_int_equal(announce_hello(fds[0]), 0);
    assert_non_null(chan_frame_exact(frame, receive(fds[1]), PROTO_HELLO, sizeof(*hello)));
    assert_int_equal(hello->version, PROTO_VERSION);
    assert_int_equal(hello->pid, getpid());
    assert_non_null(memchr(hello->build, '\0', sizeof(hello->build)));
    assert_int_not_equal(hello->build[0], '\0');
    chan_close_fds(fds, 2);
}

static void kernels_come_in_order_then_ready(void **state)
{
    struct prong_kernel k = {
        .size = sizeof(k), .abi_major = PRONG_ABI_MAJOR, .version = "7", .map = map};
    static const char *const names[] = {"one", "two"};
    const struct proto_kernel *kernel = (const void *)frame;
    const struct proto_ready *ready = (const void *)frame;
    struct description *d;
    struct err err;
    int fds[2];

    (void)state;
    assert_int_equal(chan_pair(fds), 0);
    for (int i = 0; i < 2; i++) {
        k.name = names[i];
        assert_int_equal(registry_add(&registry, &k, NULL, &err), 0);
    }
    registry_break(&registry, 1, "It is broken.");
    refusals_add(&refused, "b\xff.so", "It is no kernel: ü.");
    assert_int_equal(announce_kernels(fds[0], &registry, &refused), 0);
    for (uint32_t i = 0; i < 2; i++) {
        size_t got = receive(fds[1]);
        assert_non_null(chan_frame(frame, got, PROTO_KERNEL, sizeof(*kernel)));
        assert_int_equal(kernel->index, i);
        assert_int_equal(description_decode(kernel + 1, got - sizeof(*kernel), &d), 0);
        assert_string_equal(d->name, names[i]);
        assert_string_equal(d->broken, i == 1 ? "It is broken." : "");
        free(d);
    }
    expect_refused(receive(fds[1]), "b?.so", "It is no kernel: ü.");
    refusals_release(&refused);
    assert_non_null(chan_frame_exact(frame, receive(fds[1]), PROTO_READY, sizeof(*ready)));
    assert_int_equal(ready->kernel_count, 2);
    chan_close_fds(fds, 2);
    registry_release(&registry);
}

static void without_prong_it_says_so(void **state)
{
    int fds[2];

    (void)state;
    assert_int_equal(chan_pair(fds), 0);
    (void)close(fds[1]);
    assert_true(announce_hello(fds[0]) < 0);
    assert_true(announce_kernels(fds[0], &registry, &refused) < 0);
    (void)close(fds[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello_names_build_and_version),
        cmocka_unit_test(kernels_come_in_order_then_ready),
        cmocka_unit_test(without_prong_it_says_so),
        cmocka_unit_test(so_many_are_told_and_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
