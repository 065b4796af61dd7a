#include <errno.h>
#include <limits.h>
#include <sys/stat.h>

#include "kernel/plugin.h"
#include "kernel/reading.h"

static const char *const search[] = {"/usr/local/bin", "/usr/bin", "/bin"};

/* The path of a word as the program will see it, since it starts in the kernels' directory. */
static bool path_of(const struct reading *r, const char *word, char out[PATH_MAX])
{
    int n = word[0] == '/' ? snprintf(out, PATH_MAX, "%s", word)
                           : snprintf(out, PATH_MAX, "%s/%s", r->dir, word);
    return n > 0 && n < PATH_MAX;
}

static bool is_file(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static int check_owner(const struct reading *r, const struct setting *s, const char *path)
{
    struct stat st;
    struct err why;

    if (stat(path, &st) < 0)
        return reading_bad(r, s->line, "%s cannot be read: %s.", path, strerror(errno));
    if (plugin_check_owner(path, &st, geteuid(), &why) < 0) {
        (void)reading_bad(r, s->line, "%s", why.text);
        return -EPERM;
    }
    return 0;
}

/* Files of ours among the words are code that will run as us, like "python3 fib.py". */
static int check_words(const struct reading *r, const struct setting *s)
{
    size_t n = strlen(r->dir);
    char path[PATH_MAX];
    int rc = 0;

    for (uint32_t i = 1; i < r->m->argc && rc == 0; i++) {
        if (!path_of(r, r->m->argv[i], path) || !is_file(path))
            continue;
        if (r->m->argv[i][0] != '/' || (strncmp(path, r->dir, n) == 0 && path[n] == '/'))
            rc = check_owner(r, s, path);
    }
    return rc;
}

static bool on_path(const char *name, char out[PATH_MAX])
{
    for (size_t i = 0; i < ARRAY_SIZE(search); i++) {
        int n = snprintf(out, PATH_MAX, "%s/%s", search[i], name);
        if (n > 0 && n < PATH_MAX && is_file(out) && access(out, X_OK) == 0)
            return true;
    }
    return false;
}

int reading_find_program(const struct reading *r, const struct setting *s)
{
    const char *word = r->m->kind == MANIFEST_LIBRARY ? s->value : r->m->argv[0];
    bool is_bare = strchr(word, '/') == NULL && r->m->kind != MANIFEST_LIBRARY;
    char path[PATH_MAX];
    bool found = path_of(r, word, path) && is_file(path);
    int rc;

    if (!found && is_bare)
        found = on_path(word, path);
    if (!found)
        return reading_bad(r, s->line, "there is no file %s%s%s.", word,
                           word[0] == '/' ? "" : " beside the manifest",
                           is_bare ? ", nor in /usr/local/bin, /usr/bin or /bin" : "");
    if (r->m->kind != MANIFEST_LIBRARY && access(path, X_OK) < 0)
        return reading_bad(
            r, s->line,
            "%s is not executable; run chmod +x on it, or name what runs it, such as "
            "python3 %s.",
            word, word);
    rc = check_owner(r, s, path);
    if (rc < 0)
        return rc;
    r->m->program = arena_text(&r->m->arena, path, strlen(path));
    return r->m->program == NULL ? reading_no_memory(r) : check_words(r, s);
}
