#include "jobs/store/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/fd.h"

enum { OWNER = 0xabc, BYTES = 100000 };

/* The system's calls, as a disk in trouble would answer them. */
static size_t write_bytes_max = SIZE_MAX; /* of one call */
static int write_error, fsync_error;
static unsigned writes_until_error;

ssize_t write(int fd, const void *data, size_t bytes)
{
    if (write_error != 0 && writes_until_error-- == 0) {
        errno = write_error;
        return -1;
    }
    return syscall(SYS_write, fd, data, MIN(bytes, write_bytes_max));
}

int fsync(int fd)
{
    if (fsync_error != 0) {
        errno = fsync_error;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

struct fixture {
    char folder[64];
    struct files *files;
    char data[BYTES];
};

static int set_up(void **state)
{
    static struct fixture f;
    struct err err;

    (void)snprintf(f.folder, sizeof(f.folder), "/tmp/prong-files-XXXXXX");
    assert_non_null(mkdtemp(f.folder));
    assert_int_equal(files_new(&f.files, f.folder, OWNER, &err), 0);
    for (size_t i = 0; i < BYTES; i++)
        f.data[i] = (char)(i * 7 + i / 256);
    *state = &f;
    return 0;
}

static int unlink_one(const char *path, const struct stat *status UNUSED, int kind UNUSED,
                      struct FTW *place UNUSED)
{
    return remove(path);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    write_error = fsync_error = 0;
    write_bytes_max = SIZE_MAX;
    f->files = files_free(f->files);
    return nftw(f->folder, unlink_one, 16, FTW_DEPTH | FTW_PHYS);
}

static unsigned file_count(const struct fixture *f)
{
    DIR *folder = opendir(f->folder);
    struct dirent *entry;
    unsigned count = 0;

    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL)
        count += entry->d_name[0] != '.' ? 1 : 0;
    (void)closedir(folder);
    return count;
}

static int add(struct fixture *f, uint64_t seq)
{
    return files_write(f->files, FILES_RESULT, seq, f->data, BYTES);
}

static void assert_whole(struct fixture *f, uint64_t seq)
{
    CLEANUP_FREE char *found = malloc(BYTES);
    CLEANUP_FD int fd = -1;
    size_t bytes = 0;

    assert_int_equal(files_open_one(f->files, FILES_RESULT, seq, &fd, &bytes), 0);
    assert_int_equal(bytes, BYTES);
    assert_int_equal(fd_read_from_start(fd, found, BYTES), BYTES);
    assert_memory_equal(found, f->data, BYTES);
}

static void a_file_comes_back(void **state)
{
    struct fixture *f = *state;
    size_t bytes;
    int fd;

    assert_int_equal(add(f, 1), 0);
    assert_int_equal(files_sync(f->files), 0);
    files_commit(f->files);
    assert_whole(f, 1);
    assert_int_equal(files_open_one(f->files, FILES_INPUT, 1, &fd, &bytes), -ENOENT);
    assert_int_equal(files_open_one(f->files, FILES_RESULT, 2, &fd, &bytes), -ENOENT);
}

static void what_is_forgotten_goes_with_the_commit(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(add(f, 1), 0);
    files_commit(f->files);
    assert_int_equal(files_forget(f->files, FILES_RESULT, 1), 0);
    files_rollback(f->files);
    assert_whole(f, 1);
    assert_int_equal(files_forget(f->files, FILES_RESULT, 1), 0);
    assert_whole(f, 1);
    files_commit(f->files);
    assert_int_equal(file_count(f), 0);
}

static void what_is_rolled_back_is_removed(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(add(f, 1), 0);
    files_commit(f->files);
    for (uint64_t seq = 2; seq < 50; seq++)
        assert_int_equal(add(f, seq), 0);
    files_rollback(f->files);
    assert_int_equal(file_count(f), 1);
    assert_whole(f, 1);
}

static void a_doubtful_file_stays_until_the_next_commit(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(add(f, 1), 0);
    assert_int_equal(add(f, 2), 0);
    files_doubt(f->files);
    files_rollback(f->files);
    assert_int_equal(file_count(f), 2);
    assert_int_equal(add(f, 2), 0);
    files_rollback(f->files);
    assert_int_equal(file_count(f), 2);
    assert_int_equal(add(f, 2), 0);
    files_commit(f->files);
    assert_int_equal(file_count(f), 1);
    assert_whole(f, 2);
    files_commit(f->files);
    assert_whole(f, 2);
}

static void short_writes_are_continued(void **state)
{
    struct fixture *f = *state;

    write_bytes_max = 999;
    assert_int_equal(add(f, 1), 0);
    files_commit(f->files);
    assert_whole(f, 1);
}

static void a_full_disk_leaves_nothing_behind(void **state)
{
    struct fixture *f = *state;
    const int errors[] = {ENOSPC, EDQUOT, EIO, EFBIG, EROFS};
    const int expected[] = {-ENOSPC, -ENOSPC, -EIO, -EIO, -EROFS};

    write_bytes_max = 999;
    for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
        write_error = errors[i];
        writes_until_error = 3;
        assert_int_equal(add(f, 1), expected[i]);
        assert_int_equal(file_count(f), 0);
    }
    write_error = EINTR;
    writes_until_error = 3;
    assert_int_equal(add(f, 1), 0);
    assert_whole(f, 1);
}

static void a_failed_sync_is_told_from_all_else(void **state)
{
    struct fixture *f = *state;

    fsync_error = EIO;
    assert_int_equal(add(f, 1), -ESHUTDOWN);
    assert_int_equal(file_count(f), 0);
    assert_int_equal(files_sync(f->files), 0);
    fsync_error = 0;
    assert_int_equal(add(f, 1), 0);
    fsync_error = ENOSPC;
    assert_int_equal(files_sync(f->files), -ESHUTDOWN);
}

static int knows_one(void *arg, enum files_kind kind, uint64_t seq)
{
    ++*(unsigned *)arg;
    return kind == FILES_RESULT && seq == 1;
}

static int fails(void *arg UNUSED, enum files_kind kind UNUSED, uint64_t seq UNUSED)
{
    return -EIO;
}

static void touch(const struct fixture *f, const char *name)
{
    char path[128];
    int fd;

    (void)snprintf(path, sizeof(path), "%s/%s", f->folder, name);
    fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
}

static void orphans_are_swept_and_only_they(void **state)
{
    struct fixture *f = *state;
    const char *const others[] = {"0000000000000def-1.result", "prong.db",
                                  "0000000000000abc-.result", "0000000000000abc-1x.result",
                                  "0000000000000abc-1.results"};
    unsigned asked = 0;

    assert_int_equal(add(f, 1), 0);
    assert_int_equal(add(f, 2), 0);
    assert_int_equal(files_write(f->files, FILES_INPUT, 1, "x", 1), 0);
    files_commit(f->files);
    touch(f, "0000000000000abc-1.result.tmp");
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        touch(f, others[i]);
    assert_int_equal(files_sweep(f->files, fails, NULL), -EIO);
    assert_int_equal(files_sweep(f->files, knows_one, &asked), 3);
    assert_whole(f, 1);
    assert_int_equal(file_count(f), 1 + ARRAY_SIZE(others));
    assert_true(asked >= 3);
}

static void a_folder_is_made_with_those_above_it(void **state)
{
    struct fixture *f = *state;
    struct files *files;
    struct stat status;
    struct err err;
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/a/b/c", f->folder);
    assert_int_equal(files_new(&files, path, OWNER, &err), 0);
    (void)files_free(files);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
}

static void a_folder_that_cannot_be_is_named(void **state)
{
    struct fixture *f = *state;
    struct files *files = NULL;
    struct err err;
    char path[128];

    touch(f, "file");
    (void)snprintf(path, sizeof(path), "%s/file/inner", f->folder);
    assert_int_equal(files_new(&files, path, OWNER, &err), -ENOTDIR);
    assert_non_null(strstr(err.text, path));
    assert_non_null(strstr(err.text, "--data"));
    assert_null(files);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_comes_back),
        TEST(what_is_forgotten_goes_with_the_commit),
        TEST(what_is_rolled_back_is_removed),
        TEST(a_doubtful_file_stays_until_the_next_commit),
        TEST(short_writes_are_continued),
        TEST(a_full_disk_leaves_nothing_behind),
        TEST(a_failed_sync_is_told_from_all_else),
        TEST(orphans_are_swept_and_only_they),
        TEST(a_folder_is_made_with_those_above_it),
        TEST(a_folder_that_cannot_be_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
