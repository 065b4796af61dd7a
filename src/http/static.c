#include "http/static.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <microhttpd.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/clock.h"
#include "base/hash.h"
#include "http/response.h"
#include "http/static_name.h"

enum {
    WAYS = 4, /* a path may be kept in any slot of its set */
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
    uint64_t checked_ns;
};

struct static_files {
    int directory;
};

struct static_cache {
    const struct static_files *files;
    struct hash_key key; /* clients do not know it, so they cannot choose what falls into one set */
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
    *ret = files;
    return 0;
}

struct static_files *static_files_free(struct static_files *files)
{
    if (files != NULL) {
        (void)close(files->directory);
        free(files);
    }
    return NULL;
}

static struct static_file *file_free(struct static_file *file)
{
    if (file == NULL)
        return NULL;
    if (file->ok != NULL)
        MHD_destroy_response(file->ok);
    if (file->not_modified != NULL)
        MHD_destroy_response(file->not_modified);
    free(file->path);
    free(file);
    return NULL;
}

struct static_cache *static_cache_new(const struct static_files *files)
{
    struct static_cache *cache = calloc(1, sizeof(*cache));

    if (cache != NULL) {
        cache->files = files;
        cache->key = hash_key_new();
    }
    return cache;
}

struct static_cache *static_cache_free(struct static_cache *cache)
{
    if (cache == NULL)
        return NULL;
    for (size_t i = 0; i < SETS; i++) {
        for (size_t j = 0; j < WAYS; j++)
            (void)file_free(cache->slots[i][j]);
    }
    free(cache);
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

bool static_exists(const struct static_files *files, const struct request *r)
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

/* NULL when there is no memory or the file cannot be read. */
static struct static_file *file_new(const char *path, int fd, const struct version *v,
                                    const char *name, uint64_t now_ns)
{
    struct static_file *file = calloc(1, sizeof(*file));

    if (file == NULL)
        return NULL;
    file->version = *v;
    file->checked_ns = now_ns;
    write_etag(file->etag, v);
    file->path = strdup(path);
    file->ok = response_of(fd, v);
    file->not_modified = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    if (file->path != NULL && file->ok != NULL && file->not_modified != NULL &&
        add_type(file->ok, name) && add_validators(file->ok, v) &&
        add_validators(file->not_modified, v))
        return file;
    return file_free(file);
}

/* Where the path is kept; if it is not, where nothing is; else where the one is that was looked at first. */
static struct static_file **slot_of(struct static_cache *cache, const char *path)
{
    struct static_file **set = cache->slots[hash_bytes(cache->key, path, strlen(path)) % SETS];
    size_t place = 0;

    for (size_t i = 0; i < WAYS; i++) {
        if (set[i] != NULL && strcmp(set[i]->path, path) == 0)
            return &set[i];
        if (set[place] != NULL && (set[i] == NULL || set[i]->checked_ns < set[place]->checked_ns))
            place = i;
    }
    return &set[place];
}

static bool is_not_modified(struct request *r, const struct version *v, const char *etag)
{
    const char *wanted = request_header(r, HEADER_IF_NONE_MATCH);
    const char *since;

    if (wanted != NULL)
        return static_etag_matches(wanted, etag);
    since = request_header(r, HEADER_IF_MODIFIED_SINCE);
    return since != NULL && static_is_not_after(v->modified.tv_sec, since);
}

static void give(struct request *r, const struct static_file *file)
{
    r->file = file;
    r->answer_bytes = (uint64_t)file->version.bytes;
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
        r->answer_bytes = (uint64_t)v->bytes;
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

/* Looks at the file, and keeps it if it is new and small. */
static bool answer_from_disk(const struct static_files *files, struct request *r,
                             struct static_file **slot, bool is_kept)
{
    char name[STATIC_NAME_BYTES];
    struct stat st;
    CLEANUP_FD int fd = open_path(files, r, name, &st);
    struct version v = fd < 0 ? (struct version) {.bytes = 0} : version_of(&st);

    if (fd >= 0 && is_kept && is_same(&(*slot)->version, &v)) {
        (*slot)->checked_ns = r->start_ns;
        give(r, *slot);
        return true;
    }
    if (is_kept)
        *slot = file_free(*slot);
    if (fd < 0)
        return false;
    if (v.bytes > STATIC_CACHED_BYTES_MAX) {
        answer_large(r, take_fd(&fd), &v, name);
        return true;
    }
    (void)file_free(*slot);
    *slot = file_new(r->path, fd, &v, name, r->start_ns);
    if (*slot != NULL)
        give(r, *slot);
    return true;
}

bool static_answer(struct static_cache *cache, struct request *r)
{
    struct static_file **slot;
    bool is_kept;

    if (!static_path_is_plain(r->target))
        return false;
    slot = slot_of(cache, r->path);
    is_kept = *slot != NULL && strcmp((*slot)->path, r->path) == 0;
    if (!is_kept || r->start_ns >= (*slot)->checked_ns + CLOCK_NS_PER_S)
        return answer_from_disk(cache->files, r, slot, is_kept);
    give(r, *slot);
    return true;
}
