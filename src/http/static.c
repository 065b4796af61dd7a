#include "http/static.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <microhttpd.h>
#include <stdatomic.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/clock.h"
#include "base/hash.h"
#include "http/response.h"
#include "http/static_name.h"
#include "thread/lock.h"

enum {
    WAYS = 4,
    SETS = STATIC_CACHED_FILES_MAX / WAYS,
    DATE_BYTES = 32,
    ETAG_BYTES = 40,
};

/* A file as it was when we looked. */
struct version {
    dev_t device;
    ino_t inode;
    off_t bytes;
    struct timespec modified;
};

struct static_file {
    char *path; /* of the request */
    struct version version;
    char etag[ETAG_BYTES];
    struct MHD_Response *ok, *not_modified;
    uint64_t checked_ns;    /* under the lock */
    _Atomic unsigned holds; /* the cache's and the requests' */
};

/* A path may be kept in any slot of its set; the set is found by a hash whose key clients do not know. */
struct static_files {
    int directory;
    struct hash_key key;
    struct lock lock; /* of the slots */
    struct static_file *slots[SETS][WAYS];
};

static int open_beneath(int directory, const char *name)
{
    const struct open_how how = {
        .flags = O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    long fd = syscall(SYS_openat2, directory, name, &how, sizeof(how));

    return fd < 0 ? -errno : (int)fd;
}

int static_files_new(struct static_files **ret, const char *directory, struct err *err)
{
    CLEANUP_FD int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct static_files *files;
    int probe;

    if (fd < 0)
        return err_set(err, -errno, "cannot open the directory %s: %s", directory, strerror(errno));
    probe = open_beneath(fd, ".");
    if (probe < 0)
        return err_set(err, probe, "cannot serve files from %s: openat2 failed: %s", directory,
                       strerror(-probe));
    (void)close(probe);
    files = calloc(1, sizeof(*files));
    if (files == NULL)
        return err_set(err, -ENOMEM, "no memory for the files of %s", directory);
    files->directory = take_fd(&fd);
    files->key = hash_key_new();
    lock_init(&files->lock, LOCK_LIMITS);
    *ret = files;
    return 0;
}

void static_file_release(const struct static_file *shared)
{
    union {
        const struct static_file *in;
        struct static_file *out;
    } u = {.in = shared};
    struct static_file *file = u.out;

    if (file == NULL || atomic_fetch_sub(&file->holds, 1) != 1)
        return;
    if (file->ok != NULL)
        MHD_destroy_response(file->ok);
    if (file->not_modified != NULL)
        MHD_destroy_response(file->not_modified);
    free(file->path);
    free(file);
}

struct static_files *static_files_free(struct static_files *files)
{
    if (files == NULL)
        return NULL;
    for (size_t i = 0; i < SETS; i++) {
        for (size_t j = 0; j < WAYS; j++)
            static_file_release(files->slots[i][j]);
    }
    lock_release(&files->lock);
    (void)close(files->directory);
    free(files);
    return NULL;
}

struct MHD_Response *static_file_response(const struct static_file *file, unsigned status)
{
    return status == 304 ? file->not_modified : file->ok;
}

/* Opens the file that a path names; the name it was found under goes to `name`. */
static int open_path(const struct static_files *files, const struct request *r,
                     char name[STATIC_NAME_BYTES], struct stat *ret_stat)
{
    for (unsigned i = 0; static_name(r->path, r->target, i, name); i++) {
        CLEANUP_FD int fd = open_beneath(files->directory, name);
        if (fd >= 0 && fstat(fd, ret_stat) == 0 && S_ISREG(ret_stat->st_mode))
            return take_fd(&fd);
    }
    return -ENOENT;
}

bool static_exists(struct static_files *files, const struct request *r)
{
    char name[STATIC_NAME_BYTES];
    struct stat st;
    CLEANUP_FD int fd = open_path(files, r, name, &st);

    return fd >= 0;
}

static struct version version_of(const struct stat *st)
{
    return (struct version) {
        .device = st->st_dev, .inode = st->st_ino, .bytes = st->st_size, .modified = st->st_mtim};
}

static bool is_same(const struct version *a, const struct version *b)
{
    return a->device == b->device && a->inode == b->inode && a->bytes == b->bytes &&
           a->modified.tv_sec == b->modified.tv_sec && a->modified.tv_nsec == b->modified.tv_nsec;
}

static void write_etag(char out[ETAG_BYTES], const struct version *v)
{
    (void)snprintf(out, ETAG_BYTES, "\"%llx-%llx\"",
                   (unsigned long long)clock_from_timespec(v->modified),
                   (unsigned long long)v->bytes);
}

/* What all answers about one version have in common. */
static bool add_validators(struct MHD_Response *response, const struct version *v)
{
    char etag[ETAG_BYTES], date[DATE_BYTES];
    struct tm tm;

    write_etag(etag, v);
    if (gmtime_r(&v->modified.tv_sec, &tm) == NULL)
        return false;
    (void)strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
    return MHD_add_response_header(response, "ETag", etag) == MHD_YES &&
           MHD_add_response_header(response, "Last-Modified", date) == MHD_YES &&
           MHD_add_response_header(response, "Cache-Control", "no-cache") == MHD_YES;
}

static bool add_type(struct MHD_Response *response, const char *name)
{
    const char *type = static_type(name);

    if (strncmp(type, "text/html", 9) == 0 &&
        (MHD_add_response_header(
             response, "Content-Security-Policy",
             "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
             "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'") ==
             MHD_NO ||
         MHD_add_response_header(response, "Referrer-Policy", "no-referrer") == MHD_NO))
        return false;
    return MHD_add_response_header(response, "Content-Type", type) == MHD_YES &&
           MHD_add_response_header(response, "X-Content-Type-Options", "nosniff") == MHD_YES;
}

static char *read_all(int fd, size_t bytes)
{
    CLEANUP_FREE char *data = malloc(bytes + 1);
    size_t done = 0;

    while (data != NULL && done < bytes) {
        ssize_t n = pread(fd, data + done, bytes - done, (off_t)done);
        if (n <= 0)
            return NULL;
        done += (size_t)n;
    }
    return take_ptr(data);
}

static struct MHD_Response *response_of(int fd, const struct version *v)
{
    char *data = read_all(fd, (size_t)v->bytes);
    struct MHD_Response *response;

    if (data == NULL)
        return NULL;
    response = MHD_create_response_from_buffer((size_t)v->bytes, data, MHD_RESPMEM_MUST_FREE);
    if (response == NULL)
        free(data);
    return response;
}

/* NULL when there is no memory or the file cannot be read. The hold is the caller's. */
static struct static_file *file_new(const char *path, int fd, const struct version *v,
                                    const char *name, uint64_t now_ns)
{
    struct static_file *file = calloc(1, sizeof(*file));

    if (file == NULL)
        return NULL;
    file->version = *v;
    file->checked_ns = now_ns;
    write_etag(file->etag, v);
    atomic_init(&file->holds, 1);
    file->path = strdup(path);
    file->ok = response_of(fd, v);
    file->not_modified = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    if (file->path != NULL && file->ok != NULL && file->not_modified != NULL &&
        add_type(file->ok, name) && add_validators(file->ok, v) &&
        add_validators(file->not_modified, v))
        return file;
    static_file_release(file);
    return NULL;
}

static struct static_file **set_of(struct static_files *files, const char *path)
{
    return files->slots[hash_bytes(files->key, path, strlen(path)) % SETS];
}

/* The kept answer, with a hold for the caller; NULL when there is none. *ret_fresh is false for the one
 * caller in a second who must look at the file. */
static struct static_file *cached(struct static_files *files, const char *path, uint64_t now_ns,
                                  bool *ret_fresh)
{
    struct static_file **set = set_of(files, path);
    LOCKED(&files->lock);

    for (size_t i = 0; i < WAYS; i++) {
        struct static_file *file = set[i];
        if (file == NULL || strcmp(file->path, path) != 0)
            continue;
        *ret_fresh = now_ns < file->checked_ns + CLOCK_NS_PER_S;
        if (!*ret_fresh)
            file->checked_ns = now_ns;
        atomic_fetch_add(&file->holds, 1);
        return file;
    }
    return NULL;
}

/* Puts `file` (NULL: nothing) where the path was, else where nothing is, else where the longest unseen is. */
static void cache(struct static_files *files, const char *path, struct static_file *file)
{
    struct static_file **set = set_of(files, path);
    struct static_file *old;
    size_t place = 0;

    lock_take(&files->lock);
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i] != NULL && strcmp(set[i]->path, path) == 0) {
            place = i;
            break;
        }
        if (set[i] == NULL || (set[place] != NULL && set[i]->checked_ns < set[place]->checked_ns))
            place = i;
    }
    old = set[place];
    if (file == NULL && old != NULL && strcmp(old->path, path) != 0)
        old = NULL; /* another thread has dropped it */
    else
        set[place] = file;
    if (file != NULL)
        atomic_fetch_add(&file->holds, 1);
    lock_drop(&files->lock);
    static_file_release(old);
}

static bool is_not_modified(const struct request *r, const struct version *v, const char *etag)
{
    const char *wanted = request_header(r, "If-None-Match");
    const char *since;

    if (wanted != NULL)
        return static_etag_matches(wanted, etag);
    since = request_header(r, "If-Modified-Since");
    return since != NULL && static_is_not_after(v->modified.tv_sec, since);
}

/* Takes the hold. */
static void give(struct request *r, const struct static_file *file)
{
    r->file = file;
    r->status = is_not_modified(r, &file->version, file->etag) ? 304 : 200;
}

/* A file too large to keep, sent from the page cache. Takes the fd. */
static void answer_large(struct request *r, int fd, const struct version *v, const char *name)
{
    char etag[ETAG_BYTES];

    write_etag(etag, v);
    if (is_not_modified(r, v, etag)) {
        (void)close(fd);
        respond_empty(r, 304);
    } else {
        r->response = MHD_create_response_from_fd64((uint64_t)v->bytes, fd);
        r->status = 200;
        if (r->response == NULL)
            (void)close(fd);
    }
    if (r->response != NULL &&
        (!add_validators(r->response, v) || (r->status == 200 && !add_type(r->response, name)))) {
        MHD_destroy_response(r->response);
        r->response = NULL;
    }
}

static bool answer_from_disk(struct static_files *files, struct request *r,
                             struct static_file *known)
{
    char name[STATIC_NAME_BYTES];
    struct stat st;
    CLEANUP_FD int fd = open_path(files, r, name, &st);
    struct version v = fd < 0 ? (struct version) {.bytes = 0} : version_of(&st);
    struct static_file *file;

    if (fd >= 0 && known != NULL && is_same(&known->version, &v)) {
        give(r, known);
        return true;
    }
    static_file_release(known);
    if (fd < 0 || v.bytes > STATIC_CACHED_BYTES_MAX) {
        if (known != NULL)
            cache(files, r->path, NULL);
        if (fd >= 0)
            answer_large(r, take_fd(&fd), &v, name);
        return fd >= 0 || r->response != NULL;
    }
    file = file_new(r->path, fd, &v, name, r->start_ns);
    if (file == NULL)
        return false;
    cache(files, r->path, file);
    give(r, file);
    return true;
}

bool static_answer(struct static_files *files, struct request *r)
{
    bool fresh = false;
    struct static_file *file = cached(files, r->path, r->start_ns, &fresh);

    if (!static_path_is_plain(r->target)) {
        static_file_release(file);
        return false;
    }
    if (file == NULL || !fresh)
        return answer_from_disk(files, r, file);
    give(r, file);
    return true;
}
