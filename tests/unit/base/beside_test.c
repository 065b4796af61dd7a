#include "base/beside.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* A folder beside this program, with a file in it, and a link to that file. */
static char folder[PATH_MAX], made[PATH_MAX], file[PATH_MAX + 16], link_path[PATH_MAX + 16];

static const char *last_of(const char *path)
{
    return strrchr(path, '/') + 1;
}

static int set_up(void **state)
{
    FILE *f;

    (void)state;
    if (beside_folder(folder) < 0 || strlen(folder) > PATH_MAX - 64)
        return -1;
    (void)stpcpy(stpcpy(made, folder), "/beside-test-XXXXXX");
    if (mkdtemp(made) == NULL)
        return -1;
    (void)snprintf(file, sizeof(file), "%s/file", made);
    (void)snprintf(link_path, sizeof(link_path), "%s/link", made);
    f = fopen(file, "w");
    return f == NULL || fclose(f) != 0 || symlink("file", link_path) < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(link_path);
    (void)unlink(file);
    return rmdir(made);
}

/* `name` in the folder that was made, seen from this program's. */
static const char *inside(const char *name)
{
    static char places[4][PATH_MAX];
    static unsigned next;
    char *place = places[next++ % 4];

    (void)snprintf(place, PATH_MAX, "%s/%s", last_of(made), name);
    return place;
}

static void the_folder_is_this_programs(void **state)
{
    char self[PATH_MAX + 16];
    struct stat named, running;

    (void)state;
    (void)snprintf(self, sizeof(self), "%s/beside_test", folder);
    assert_int_equal(stat(self, &named), 0);
    assert_int_equal(stat("/proc/self/exe", &running), 0);
    assert_int_equal(named.st_ino, running.st_ino);
    assert_int_equal(named.st_dev, running.st_dev);
}

static void the_first_that_is_there_is_found(void **state)
{
    const char *places[] = {inside("nothing"), inside("file"), ".", NULL};
    char found[PATH_MAX];

    (void)state;
    assert_int_equal(beside_find(places, found), 0);
    assert_string_equal(found, file);
}

static void a_folder_is_found_too(void **state)
{
    const char *places[] = {"..", NULL};
    char found[PATH_MAX], wanted[PATH_MAX + 16];

    (void)state;
    (void)snprintf(wanted, sizeof(wanted), "%s/..", folder);
    assert_int_equal(beside_find(places, found), 0);
    assert_string_equal(found, wanted);
}

/* Who uses the path later goes where the link leads then. */
static void a_link_stays_one(void **state)
{
    const char *places[] = {inside("link"), NULL};
    char found[PATH_MAX];

    (void)state;
    assert_int_equal(beside_find(places, found), 0);
    assert_string_equal(found, link_path);
}

static void what_is_not_there_is_not_found(void **state)
{
    const char *places[] = {inside("nothing"), inside("file/nothing"), NULL};
    const char *none[] = {NULL};
    char found[PATH_MAX] = "untouched";

    (void)state;
    assert_int_equal(beside_find(places, found), -ENOENT);
    assert_int_equal(beside_find(none, found), -ENOENT);
    assert_string_equal(found, "untouched");
}

static void a_name_that_is_too_long_is_passed_over(void **state)
{
    static char too_long[PATH_MAX + 1];
    const char *places[] = {too_long, inside("file"), NULL};
    char found[PATH_MAX];

    (void)state;
    memset(too_long, 'x', PATH_MAX);
    assert_int_equal(beside_find(places, found), 0);
    assert_string_equal(found, file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_folder_is_this_programs),
        cmocka_unit_test(the_first_that_is_there_is_found),
        cmocka_unit_test(a_folder_is_found_too),
        cmocka_unit_test(a_link_stays_one),
        cmocka_unit_test(what_is_not_there_is_not_found),
        cmocka_unit_test(a_name_that_is_too_long_is_passed_over),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
