#include "http/selftest.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <microhttpd.h>

#include "base/check.h"
#include "http/gate.h"

static int open_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;

    assert_non_null(dir);
    while (readdir(dir) != NULL)
        n++;
    (void)closedir(dir);
    return n;
}

static void this_library_is_read_as_expected(void **state)
{
    int before = open_fds();

    (void)state;
    for (int i = 0; i < 20; i++) {
        struct err err = {.text = ""};
        if (selftest_run(gate_knows_layout(MHD_get_version()), &err) < 0)
            fail_msg("%s", err.text);
    }
    assert_int_equal(open_fds(), before);
}

/* With its layout unknown, an old library lets through what the gate cannot see. */
static void a_library_that_is_read_otherwise_is_refused(void **state)
{
    struct err err = {.text = ""};

    (void)state;
    if (!gate_knows_layout(MHD_get_version()))
        skip();
    assert_int_equal(selftest_run(false, &err), -EPROTO);
    assert_non_null(strstr(err.text, MHD_get_version()));
    assert_non_null(strstr(err.text, "a line that ends with LF"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(this_library_is_read_as_expected),
        cmocka_unit_test(a_library_that_is_read_otherwise_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
