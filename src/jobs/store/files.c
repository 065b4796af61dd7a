#include "jobs/store/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/check.h"
#include "base/log.h"
#include "base/parse.h"
#include "jobs/store/folder.h"

enum { NAME_BYTES = 64, OWNER_DIGITS = 16 };

struct file {
    enum files_kind kind;
    uint64_t seq;
};

struct file_list {
    struct file *files;
    size_t count, capacity;
};

struct files {
    int folder_fd;
    char owner[OWNER_DIGITS + 1];
    struct file_list made, forgotten; /* by this transaction */
    struct file_list doubtful; /* made by those whose commit failed since the last that did not */
};

static const char *kind_name(enum files_kind kind)
{
    return kind == FILES_INPUT ? "input" : "result";
}

/* "0123456789abcdef-17.result" */
static void file_name(const struct files *f, struct file file, char *out)
{
    (void)snprintf(out, NAME_BYTES, "%s-%" PRIu64 ".%s", f->owner, file.seq, kind_name(file.kind));
}

static int list_reserve(struct file_list *list)
{
    size_t capacity = list->capacity == 0 ? 16 : 2 * list->capacity;
    struct file *files;

    if (list->count < list->capacity)
        return 0;
    files = reallocarray(list->files, capacity, sizeof(*files));
    if (files == NULL)
        return -ENOMEM;
    list->files = files;
    list->capacity = capacity;
    return 0;
}

/* What the store's callers know; any other trouble is the disk's. */
static int trouble(int error)
{
    if (error == EDQUOT)
        return -ENOSPC;
    return error == ENOSPC || error == EROFS || error == ENOMEM ? -error : -EIO;
}

int files_new(struct files **ret, const char *folder, uint64_t owner, struct err *err)
{
    struct files *f = calloc(1, sizeof(*f));
    int rc;

    if (f == NULL)
        return err_set(err, -ENOMEM, "Out of memory while opening %s.", folder);
    (void)snprintf(f->owner, sizeof(f->owner), "%0*" PRIx64, OWNER_DIGITS, owner);
    rc = folder_make(folder, &f->folder_fd, err);
    if (rc < 0) {
        free(f);
        return rc;
    }
    *ret = f;
    return 0;
}

struct files *files_free(struct files *f)
{
    if (f == NULL)
        return NULL;
    (void)close(f->folder_fd);
    free(f->made.files);
    free(f->forgotten.files);
    free(f->doubtful.files);
    free(f);
    return NULL;
}

static int write_all(int fd, const char *data, size_t bytes)
{
    while (bytes > 0) {
        ssize_t n = write(fd, data, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return trouble(errno);
        data += n;
        bytes -= (size_t)n;
    }
    return fsync(fd) < 0 ? -ESHUTDOWN : 0;
}

static int write_under(const struct files *f, const char *name, const void *data, size_t bytes)
{
    CLEANUP_FD int fd =
        openat(f->folder_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

    return fd < 0 ? trouble(errno) : write_all(fd, data, bytes);
}

int files_write(struct files *f, enum files_kind kind, uint64_t seq, const void *data, size_t bytes)
{
    struct file file = {kind, seq};
    char name[NAME_BYTES], temporary[NAME_BYTES + 4];
    int rc = list_reserve(&f->made);

    if (rc < 0)
        return rc;
    file_name(f, file, name);
    (void)snprintf(temporary, sizeof(temporary), "%s.tmp", name);
    rc = write_under(f, temporary, data, bytes);
    if (rc == 0 && renameat(f->folder_fd, temporary, f->folder_fd, name) < 0)
        rc = trouble(errno);
    if (rc < 0) {
        log_error("cannot write the file %s: %s", name,
                  rc == -ESHUTDOWN ? "its sync failed" : strerror(-rc));
        (void)unlinkat(f->folder_fd, temporary, 0);
        return rc;
    }
    f->made.files[f->made.count++] = file;
    return 0;
}

int files_forget(struct files *f, enum files_kind kind, uint64_t seq)
{
    int rc = list_reserve(&f->forgotten);

    if (rc < 0)
        return rc;
    f->forgotten.files[f->forgotten.count++] = (struct file) {kind, seq};
    return 0;
}

int files_sync(struct files *f)
{
    if (f->made.count == 0 || fsync(f->folder_fd) == 0)
        return 0;
    log_error("cannot sync the folder of files: %s", strerror(errno));
    return -ESHUTDOWN;
}

static bool list_has(const struct file_list *list, struct file file)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->files[i].kind == file.kind && list->files[i].seq == file.seq)
            return true;
    }
    return false;
}

static void unlink_all(struct files *f, struct file_list *list, const struct file_list *but)
{
    char name[NAME_BYTES];

    for (size_t i = 0; i < list->count; i++) {
        if (list_has(but, list->files[i]))
            continue;
        file_name(f, list->files[i], name);
        if (unlinkat(f->folder_fd, name, 0) < 0 && errno != ENOENT)
            log_warning("cannot remove the file %s, which is not needed any more: %s", name,
                        strerror(errno));
    }
    list->count = 0;
}

void files_commit(struct files *f)
{
    unlink_all(f, &f->forgotten, &(struct file_list) {.count = 0});
    unlink_all(f, &f->doubtful, &f->made);
    f->made.count = 0;
}

void files_rollback(struct files *f)
{
    unlink_all(f, &f->made, &f->doubtful);
    f->forgotten.count = 0;
}

void files_doubt(struct files *f)
{
    /* Without memory to remember them, the sweep at the next start finds them. */
    for (size_t i = 0; i < f->made.count && list_reserve(&f->doubtful) == 0; i++)
        f->doubtful.files[f->doubtful.count++] = f->made.files[i];
    f->made.count = 0;
    f->forgotten.count = 0;
}

int files_open_one(const struct files *f, enum files_kind kind, uint64_t seq, int *ret_fd,
                   size_t *ret_bytes)
{
    char name[NAME_BYTES];
    struct stat status;
    CLEANUP_FD int fd = -1;

    file_name(f, (struct file) {kind, seq}, name);
    fd = openat(f->folder_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT || errno == ENOMEM ? -errno : -EIO;
    if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode))
        return -EIO;
    *ret_bytes = (size_t)status.st_size;
    *ret_fd = take_fd(&fd);
    return 0;
}

/* Whether the name is that of a file of ours, perhaps of one that was never finished: then its kind is 0. */
static bool parse_file_name(const struct files *f, const char *name, struct file *ret)
{
    char digits[NAME_BYTES];
    const char *dot;

    if (strncmp(name, f->owner, OWNER_DIGITS) != 0 || name[OWNER_DIGITS] != '-')
        return false;
    name += OWNER_DIGITS + 1;
    dot = strchr(name, '.');
    if (dot == NULL || dot - name >= NAME_BYTES)
        return false;
    (void)snprintf(digits, sizeof(digits), "%.*s", (int)(dot - name), name);
    if (parse_u64(digits, &ret->seq) < 0)
        return false;
    ret->kind = strcmp(dot, ".input") == 0    ? FILES_INPUT
                : strcmp(dot, ".result") == 0 ? FILES_RESULT
                                              : (enum files_kind)0;
    return ret->kind != 0 || strcmp(dot, ".input.tmp") == 0 || strcmp(dot, ".result.tmp") == 0;
}

static void close_folder(DIR **folder)
{
    if (*folder != NULL)
        (void)closedir(*folder);
}

int files_sweep(struct files *f, int (*is_known)(void *arg, enum files_kind kind, uint64_t seq),
                void *arg)
{
    int fd = openat(f->folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder __attribute__((cleanup(close_folder))) = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *entry;
    int gone = 0;

    if (folder == NULL) {
        check_close_fd(&fd);
        return trouble(errno);
    }
    while ((entry = readdir(folder)) != NULL) {
        struct file file;
        int known;

        if (!parse_file_name(f, entry->d_name, &file))
            continue;
        known = file.kind == 0 ? 0 : is_known(arg, file.kind, file.seq);
        if (known < 0)
            return known;
        if (known == 0 && unlinkat(f->folder_fd, entry->d_name, 0) == 0)
            gone++;
    }
    return gone;
}
