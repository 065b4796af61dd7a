/*
 * For tests only: a directory with some of the kernels of tests/unit/zygote/kernels, whose .so
 * files the Makefile builds into $PRONG_TEST_KERNELS. They are linked, not copied.
 */
#ifndef TESTS_KERNEL_DIR_H
#define TESTS_KERNEL_DIR_H

#include <sys/stat.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

struct kernel_dir {
    char path[64];
};

static inline void kernel_dir_source(const char *name, char out[PATH_MAX])
{
    const char *dir = getenv("PRONG_TEST_KERNELS");
    char path[PATH_MAX];

    if (dir == NULL)
        print_error("PRONG_TEST_KERNELS is not set\n");
    assert_non_null(dir);
    assert_true(snprintf(path, sizeof(path), "%s/%s.so", dir, name) < (int)sizeof(path));
    if (realpath(path, out) == NULL)
        print_error("%s is not built\n", path);
    assert_int_equal(access(path, R_OK), 0);
}

static inline void kernel_dir_link(const struct kernel_dir *d, const char *name)
{
    char from[PATH_MAX], to[PATH_MAX];

    kernel_dir_source(name, from);
    (void)snprintf(to, sizeof(to), "%s/%s.so", d->path, name);
    assert_int_equal(symlink(from, to), 0);
}

static inline struct kernel_dir kernel_dir_new(const char *const *names, size_t count)
{
    struct kernel_dir d = {.path = "/tmp/prong-kernels-XXXXXX"};

    assert_non_null(mkdtemp(d.path));
    /* Kernels are tried by a user who owns nothing. */
    assert_int_equal(chmod(d.path, 0755), 0);
    for (size_t i = 0; i < count; i++)
        kernel_dir_link(&d, names[i]);
    return d;
}

static inline void kernel_dir_free(const struct kernel_dir *d, const char *const *names,
                                   size_t count)
{
    char path[PATH_MAX];

    for (size_t i = 0; i < count; i++) {
        (void)snprintf(path, sizeof(path), "%s/%s.so", d->path, names[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(d->path), 0);
}

#endif
