#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

/* A file of its own for each test, with this content. */
static char path[] = "/tmp/prong-fd-test-XXXXXX";

static int set_up(void **state)
{
    int fd;

    (void)state;
    memcpy(path + sizeof(path) - 7, "XXXXXX", 6);
    fd = mkstemp(path);
    if (fd < 0 || write(fd, "0123456789", 10) != 10)
        return -1;
    return close(fd);
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

static void a_file_is_read_whole(void **state)
{
    char out[64];

    (void)state;
    memset(out, 'x', sizeof(out));
    assert_int_equal(fd_read_file(path, out, sizeof(out)), 10);
    assert_string_equal(out, "0123456789");
}

static void a_file_is_cut_to_fit(void **state)
{
    char out[6];

    (void)state;
    memset(out, 'x', sizeof(out));
    assert_int_equal(fd_read_file(path, out, 5), 4);
    assert_string_equal(out, "0123");
    assert_int_equal(out[5], 'x');
}

static void room_for_the_end_alone_reads_nothing(void **state)
{
    char out[1] = {'x'};

    (void)state;
    assert_int_equal(fd_read_file(path, out, 1), 0);
    assert_string_equal(out, "");
}

static void what_cannot_be_read_says_why(void **state)
{
    char out[4];

    (void)state;
    assert_int_equal(fd_read_file("/nonexistent/file", out, sizeof(out)), -ENOENT);
    assert_int_equal(fd_read_file("/", out, sizeof(out)), -EISDIR);
}

static void reading_leaves_no_descriptor_open(void **state)
{
    int before = dup(0), after;
    char out[4];

    (void)state;
    assert_int_equal(close(before), 0);
    (void)fd_read_file(path, out, sizeof(out));
    (void)fd_read_file("/", out, sizeof(out));
    after = dup(0);
    assert_int_equal(close(after), 0);
    assert_int_equal(before, after);
}

static void the_limit_rises_as_far_as_allowed(void **state)
{
    struct rlimit limit;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = 64;
    limit.rlim_max = 200;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(fd_limit_raise(100), 100);
    assert_int_equal(fd_limit_raise(50), 100);
    assert_int_equal(fd_limit_raise(100000), 200);
}

static void the_start_is_read_wherever_the_offset_is(void **state)
{
    char out[16];
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    (void)state;
    memset(out, 'x', sizeof(out));
    assert_int_equal(lseek(fd, 7, SEEK_SET), 7);
    assert_int_equal(fd_read_from_start(fd, out, 4), 4);
    assert_memory_equal(out, "0123xx", 6);
    assert_int_equal(fd_read_from_start(fd, out, sizeof(out)), 10);
    assert_memory_equal(out, "0123456789xx", 12);
    assert_int_equal(lseek(fd, 0, SEEK_CUR), 7);
    assert_int_equal(close(fd), 0);
    assert_int_equal(fd_read_from_start(-1, out, 4), -EBADF);
}

#define FD_TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FD_TEST(a_file_is_read_whole),
        FD_TEST(a_file_is_cut_to_fit),
        FD_TEST(room_for_the_end_alone_reads_nothing),
        FD_TEST(what_cannot_be_read_says_why),
        FD_TEST(reading_leaves_no_descriptor_open),
        FD_TEST(the_start_is_read_wherever_the_offset_is),
        cmocka_unit_test(the_limit_rises_as_far_as_allowed), /* last: it cannot be undone */
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
