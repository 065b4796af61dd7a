#include "http/static.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "http/static_file.h"
#include "http/static_look.h"
#include "http/static_name.h"
#include "http/static_redirect.h"

enum {
    WAYS = 4, /* a path may be kept in any slot of its set */
    SETS = STATIC_KEPT_PATHS / WAYS,
};

#define COLD_NS (2 * CLOCK_NS_PER_S)

struct static_files {
    int directory;
};

struct entry {
    char *path; /* of the request */
    struct static_forms forms;
    struct static_file *files[STATIC_ENCODING_COUNT]; /* NULL until it is asked for */
    uint64_t checked_ns;
};

struct static_cache {
    const struct static_files *files;
    unsigned kept_fds;
    struct hash_key key; /* clients do not know it, so they cannot choose what falls into one set */
    struct entry *slots[SETS][WAYS];
    struct entry **last; /* the slot that was asked for last; never NULL */
};

int static_files_new(struct static_files **ret, const char *directory, struct err *err)
{
    CLEANUP_FD int fd = static_open_directory(directory, err);
    struct static_files *files;

    if (fd < 0)
        return fd;
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

static void drop_file(struct static_cache *cache, struct static_file *file)
{
    if (file != NULL && file->fd >= 0)
        cache->kept_fds--;
    (void)static_file_free(file);
}

static struct entry *entry_free(struct static_cache *cache, struct entry *entry)
{
    if (entry == NULL)
        return NULL;
    for (int i = 0; i < STATIC_ENCODING_COUNT; i++)
        drop_file(cache, entry->files[i]);
    free(entry->path);
    free(entry);
    return NULL;
}

static struct entry *entry_new(const char *path, const struct static_forms *forms)
{
    struct entry *entry = calloc(1, sizeof(*entry));

    if (entry == NULL)
        return NULL;
    entry->forms = *forms;
    entry->path = strdup(path);
    if (entry->path != NULL)
        return entry;
    free(entry);
    return NULL;
}

struct static_cache *static_cache_new(const struct static_files *files)
{
    struct static_cache *cache = calloc(1, sizeof(*cache));

    if (cache != NULL) {
        cache->files = files;
        cache->key = hash_key_new();
        cache->last = cache->slots[0];
    }
    return cache;
}

struct static_cache *static_cache_free(struct static_cache *cache)
{
    if (cache == NULL)
        return NULL;
    for (size_t i = 0; i < SETS; i++) {
        for (size_t j = 0; j < WAYS; j++)
            (void)entry_free(cache, cache->slots[i][j]);
    }
    free(cache);
    return NULL;
}

bool static_exists(const struct static_files *files, const struct request *r)
{
    CLEANUP_STATIC_LOOK struct static_look look;

    return static_look_at(files->directory, r, &look) == 0;
}

static enum static_encoding choose(struct request *r, const struct static_forms *forms)
{
    if (!static_forms_are_many(forms))
        return STATIC_IDENTITY;
    return static_encoding_choose(request_header(r, HEADER_ACCEPT_ENCODING), forms->present);
}

static struct static_file *load(struct static_look *look, enum static_encoding encoding)
{
    const struct static_type *type = static_type(look->name);
    const struct static_traits traits = {
        .type = type,
        .is_immutable = type->policy != STATIC_PAGE && static_name_has_hash(look->name),
        .is_negotiated = static_forms_are_many(&look->forms),
        .is_date_unique = static_form_has_own_date(&look->forms, encoding),
    };

    return static_file_new(take_fd(&look->fds[encoding]), &look->forms.versions[encoding], encoding,
                           &traits);
}

static void drop_open_files(struct static_cache *cache, struct entry *entry)
{
    for (int i = 0; i < STATIC_ENCODING_COUNT; i++) {
        if (entry->files[i] != NULL && entry->files[i]->fd >= 0) {
            drop_file(cache, entry->files[i]);
            entry->files[i] = NULL;
        }
    }
}

/* What is asked for is looked at every second. */
static void drop_cold(struct static_cache *cache, uint64_t now_ns)
{
    for (size_t i = 0; i < STATIC_KEPT_PATHS; i++) {
        struct entry *entry = cache->slots[i / WAYS][i % WAYS];
        if (entry != NULL && entry->checked_ns + COLD_NS < now_ns)
            drop_open_files(cache, entry);
    }
}

/* Whether the file may be kept; if so, its descriptor is counted. */
static bool may_keep(struct static_cache *cache, const struct static_file *file, uint64_t now_ns)
{
    if (file->fd < 0)
        return true;
    if (cache->kept_fds == STATIC_KEPT_FDS)
        drop_cold(cache, now_ns);
    if (cache->kept_fds == STATIC_KEPT_FDS)
        return false;
    cache->kept_fds++;
    return true;
}

/* Answers with the form that the client likes best; it is loaded if it is not kept yet. */
static void answer_form(struct static_cache *cache, struct entry *entry, struct static_look *look,
                        struct request *r)
{
    enum static_encoding encoding = choose(r, &entry->forms);
    struct static_file *file = entry->files[encoding];

    if (file == NULL) {
        file = load(look, encoding);
        if (file == NULL) {
            static_respond_shortage(r);
            return;
        }
        if (!may_keep(cache, file, r->start_ns)) {
            static_file_answer_once(file, r);
            return;
        }
        entry->files[encoding] = file;
    }
    static_file_answer(file, r);
}

/* Answers with what is kept, without a look at the disk, if the form that the client likes best is. */
static bool answer_kept(struct request *r, const struct entry *entry)
{
    struct static_file *file = entry->files[choose(r, &entry->forms)];

    if (file == NULL)
        return false;
    static_file_answer(file, r);
    return true;
}

/* False when the path is not one of a directory that has an index. */
static bool redirect(const struct static_files *files, struct request *r)
{
    char name[STATIC_NAME_BYTES];
    struct static_version version;
    CLEANUP_FD int fd = -1;

    if (snprintf(name, sizeof(name), "%s/index.html", r->path + 1) >= (int)sizeof(name))
        return false;
    fd = static_open(files->directory, name, &version);
    if (static_is_shortage(fd))
        static_respond_shortage(r);
    else if (fd >= 0)
        static_redirect(r);
    return fd >= 0 || static_is_shortage(fd);
}

static bool is_of(struct entry *const *slot, const char *path)
{
    return *slot != NULL && strcmp((*slot)->path, path) == 0;
}

/* Where the path is kept; if it is not, where nothing is; else where the one is that was looked at first. */
static struct entry **find_slot(struct static_cache *cache, const char *path)
{
    struct entry **set = cache->slots[hash_bytes(cache->key, path, strlen(path)) % SETS];
    size_t place = 0;

    for (size_t i = 0; i < WAYS; i++) {
        if (is_of(&set[i], path))
            return &set[i];
        if (set[place] != NULL && (set[i] == NULL || set[i]->checked_ns < set[place]->checked_ns))
            place = i;
    }
    return &set[place];
}

/* Looks at the disk, and keeps what is there. `is_kept`: the slot is this path's. */
static bool answer_from_disk(struct static_cache *cache, struct request *r, struct entry **slot,
                             bool is_kept)
{
    CLEANUP_STATIC_LOOK struct static_look look;
    int rc = static_look_at(cache->files->directory, r, &look);

    if (static_is_shortage(rc)) {
        if (!is_kept || !answer_kept(r, *slot))
            static_respond_shortage(r);
        return true;
    }
    if (rc < 0) {
        if (is_kept)
            *slot = entry_free(cache, *slot);
        return rc == -EISDIR && redirect(cache->files, r);
    }
    if (!is_kept || !static_forms_equal(&(*slot)->forms, &look.forms)) {
        (void)entry_free(cache, *slot);
        *slot = entry_new(r->path, &look.forms);
    }
    if (*slot == NULL) {
        static_respond_shortage(r);
        return true;
    }
    (*slot)->checked_ns = r->start_ns;
    answer_form(cache, *slot, &look, r);
    return true;
}

static bool answer(struct static_cache *cache, struct request *r)
{
    struct entry **slot = cache->last;
    bool is_kept = is_of(slot, r->path);

    if (!is_kept) {
        cache->last = slot = find_slot(cache, r->path);
        is_kept = is_of(slot, r->path);
    }

    if (is_kept && r->start_ns < (*slot)->checked_ns + CLOCK_NS_PER_S && answer_kept(r, *slot))
        return true;
    return answer_from_disk(cache, r, slot, is_kept);
}

bool static_answer(struct static_cache *cache, struct request *r)
{
    bool is_plain = r->path == r->target || static_path_is_plain(r->target);

    r->is_file = is_plain && answer(cache, r);
    return r->is_file;
}
