#include "kernel/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/err.h"
#include "kernel/plugin.h"

/* The names of the directory, sorted, and what has become of those that are manifests. */
struct listing {
    struct folder *folder;
    struct dirent **names;
    int count;
    struct manifest *manifests[FOLDER_FILES_MAX]; /* by place in names; NULL for other files */
    bool is_spoiled[FOLDER_FILES_MAX];            /* a manifest that was refused */
    folder_refuse *refuse;
    void *arg;
};

static bool ends_with(const char *name, const char *ending)
{
    size_t n = strlen(name), m = strlen(ending);
    return n > m && strcmp(name + n - m, ending) == 0;
}

static int is_wanted(const struct dirent *entry)
{
    const char *name = entry->d_name;
    return name[0] != '.' &&
           (ends_with(name, ".so") || ends_with(name, ".kernel") || ends_with(name, ".py"));
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* The same name but for the ending. */
static bool are_twins(const char *a, const char *b)
{
    size_t n = (size_t)(strrchr(a, '.') - a);
    return n == (size_t)(strrchr(b, '.') - b) && memcmp(a, b, n) == 0;
}

/* The directory, if nobody else can put code into it. */
static int open_dir(const char *dir, struct folder *f, struct err *err)
{
    CLEANUP_FD int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat st;
    int rc;

    if (fd < 0 || fstat(fd, &st) < 0 || realpath(dir, f->dir) == NULL) {
        rc = -errno;
        return err_set(err, rc, "The kernels' directory %s cannot be read: %s.", dir,
                       strerror(-rc));
    }
    rc = plugin_check_owner(dir, &st, geteuid(), err);
    return rc < 0 ? rc : take_fd(&fd);
}

static void read_manifests(struct listing *l)
{
    struct err why;

    for (int i = 0; i < l->count; i++) {
        const char *name = l->names[i]->d_name;
        if (!ends_with(name, ".kernel") ||
            manifest_read(l->folder->dir, name, &l->manifests[i], &why) == 0)
            continue;
        l->is_spoiled[i] = true;
        l->refuse(l->arg, name, why.text);
    }
}

static void add(struct listing *l, const char *name, struct manifest *m, bool is_shared_object)
{
    struct folder *f = l->folder;
    char *copy = arena_text(&f->arena, name, strlen(name));

    if (copy == NULL) {
        l->refuse(l->arg, name, "There is no memory for it.");
        (void)manifest_free(m);
        return;
    }
    f->entries[f->count++] =
        (struct folder_entry) {.file = copy, .manifest = m, .is_shared_object = is_shared_object};
}

/* The place of the manifest beside a file; -1 when there is none. */
static int twin_of(const struct listing *l, const char *name)
{
    for (int i = 0; i < l->count; i++) {
        if (ends_with(l->names[i]->d_name, ".kernel") && are_twins(l->names[i]->d_name, name))
            return i;
    }
    return -1;
}

/* Whether a manifest runs this file as its library, or has it among its words. */
static bool is_named(const struct listing *l, const char *name)
{
    char path[PATH_MAX];

    (void)snprintf(path, sizeof(path), "%.*s/%s", PATH_MAX - NAME_MAX - 2, l->folder->dir, name);
    for (int i = 0; i < l->count; i++) {
        const struct manifest *m = l->manifests[i];
        if (m == NULL)
            continue;
        if (m->program != NULL && strcmp(m->program, path) == 0)
            return true;
        for (uint32_t word = 0; word < m->argc; word++) {
            const char *text = m->argv[word];
            if (strcmp(text, name) == 0 || strcmp(text, path) == 0 ||
                (strncmp(text, "./", 2) == 0 && strcmp(text + 2, name) == 0))
                return true;
        }
    }
    return false;
}

static void add_shared_objects(struct listing *l)
{
    for (int i = 0; i < l->count; i++) {
        const char *name = l->names[i]->d_name;
        int twin = ends_with(name, ".so") ? twin_of(l, name) : -1;
        struct manifest *limits = NULL;
        if (!ends_with(name, ".so") || is_named(l, name))
            continue;
        if (twin >= 0 && l->is_spoiled[twin]) {
            l->refuse(l->arg, name, "Its manifest was refused, so it is left out too.");
            continue;
        }
        if (twin >= 0 && l->manifests[twin]->kind == MANIFEST_LIMITS)
            limits = take_ptr(l->manifests[twin]);
        add(l, name, limits, true);
    }
}

static void add_script(struct listing *l, const char *name)
{
    struct manifest *m = NULL;
    struct err why;
    int twin = twin_of(l, name);

    if (!manifest_is_script(l->folder->dir, name) || is_named(l, name) ||
        (twin >= 0 && l->is_spoiled[twin]))
        return;
    if (manifest_of_script(l->folder->dir, name, &m, &why) < 0)
        l->refuse(l->arg, name, why.text);
    else
        add(l, name, m, false);
}

/* Scripts first judged by all manifests, which are handed over one by one. */
static void add_programs(struct listing *l)
{
    for (int i = 0; i < l->count; i++) {
        if (ends_with(l->names[i]->d_name, ".py"))
            add_script(l, l->names[i]->d_name);
    }
    for (int i = 0; i < l->count; i++) {
        if (l->manifests[i] != NULL)
            add(l, l->names[i]->d_name, take_ptr(l->manifests[i]), false);
    }
}

int folder_read(const char *dir, struct folder *ret, folder_refuse *refuse, void *arg,
                struct err *err)
{
    struct listing l = {.folder = ret, .refuse = refuse, .arg = arg};
    CLEANUP_FD int fd = -1;

    ret->count = 0;
    ret->arena = (struct arena) {0};
    fd = open_dir(dir, ret, err);
    if (fd < 0)
        return fd;
    l.count = scandirat(fd, ".", &l.names, is_wanted, by_name);
    if (l.count < 0) {
        int rc = -errno;
        return err_set(err, rc, "The kernels' directory %s cannot be read: %s.", dir,
                       strerror(-rc));
    }
    for (; l.count > FOLDER_FILES_MAX; free(l.names[l.count]))
        refuse(arg, l.names[--l.count]->d_name, "There are more than 512 files with kernels.");
    read_manifests(&l);
    add_shared_objects(&l);
    add_programs(&l);
    for (int i = 0; i < l.count; i++)
        free(l.names[i]);
    free(l.names);
    return 0;
}

void folder_release(struct folder *f)
{
    for (uint32_t i = 0; i < f->count; i++)
        (void)manifest_free(f->entries[i].manifest);
    f->count = 0;
    arena_release(&f->arena);
}
