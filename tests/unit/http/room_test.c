#include "http/room.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "base/check.h"

static int new_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    return fd;
}

static int width_of(int fd)
{
    socklen_t size = sizeof(int);
    int bytes = 0;

    assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, &size), 0);
    return bytes;
}

static void test_takes_what_the_system_gives(void **state)
{
    struct room room;
    CLEANUP_FD int fd = new_socket();
    int before = width_of(fd);

    (void)state;
    room_init(&room);
    if (room_take(&room, fd)) {
        assert_true(width_of(fd) >= ROOM_BYTES);
        room_leave(&room);
    } else {
        assert_false(room.is_allowed);
        assert_int_equal(width_of(fd), before);
    }
    assert_int_equal(atomic_load(&room.taken), 0);
}

static void test_leaves_a_socket_alone_where_it_is_not_allowed(void **state)
{
    struct room room = {.is_allowed = false};
    CLEANUP_FD int fd = new_socket();
    int before = width_of(fd);

    (void)state;
    assert_false(room_take(&room, fd));
    assert_int_equal(width_of(fd), before);
}

static void test_limit(void **state)
{
    struct room room = {.is_allowed = true};
    CLEANUP_FD int fd = new_socket(), late = new_socket();
    int before = width_of(late);

    (void)state;
    for (int i = 0; i < ROOM_CONNECTIONS_MAX; i++)
        assert_true(room_take(&room, fd));
    assert_false(room_take(&room, late));
    assert_int_equal(width_of(late), before);
    room_leave(&room);
    assert_true(room_take(&room, late));
    assert_true(width_of(late) > before);
    assert_false(room_take(&room, fd));
}

static void test_a_socket_that_cannot_have_it(void **state)
{
    struct room room = {.is_allowed = true};

    (void)state;
    assert_false(room_take(&room, -1));
    assert_int_equal(atomic_load(&room.taken), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_takes_what_the_system_gives),
        cmocka_unit_test(test_leaves_a_socket_alone_where_it_is_not_allowed),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_a_socket_that_cannot_have_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
