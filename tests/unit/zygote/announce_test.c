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
#include "zygote/announce.h"

static struct registry registry;
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
    assert_int_equal(announce_kernels(fds[0], &registry), 0);
    for (uint32_t i = 0; i < 2; i++) {
        size_t got = receive(fds[1]);
        assert_non_null(chan_frame(frame, got, PROTO_KERNEL, sizeof(*kernel)));
        assert_int_equal(kernel->index, i);
        assert_int_equal(description_decode(kernel + 1, got - sizeof(*kernel), &d), 0);
        assert_string_equal(d->name, names[i]);
        assert_string_equal(d->broken, i == 1 ? "It is broken." : "");
        free(d);
    }
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
    assert_true(announce_kernels(fds[0], &registry) < 0);
    (void)close(fds[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello_names_build_and_version),
        cmocka_unit_test(kernels_come_in_order_then_ready),
        cmocka_unit_test(without_prong_it_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
