#include "kernel/manifest.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/parse.h"
#include "ipc/description.h"
#include "ipc/proto.h"
#include "kernel/plugin.h"
#include "kernel/reading.h"

/* ---- for all readers ---- */

int reading_bad(const struct reading *r, unsigned line, const char *format, ...)
{
    struct err what = {.text = ""};
    va_list args;

    va_start(args, format);
    (void)vsnprintf(what.text, sizeof(what.text), format, args);
    va_end(args);
    return err_set(r->err, -EINVAL, "%s, line %u: %s", r->m->file, line, what.text);
}

int reading_no_memory(const struct reading *r)
{
    return err_set(r->err, -ENOMEM, "%s cannot be read: there is no memory.", r->m->file);
}

struct declared *reading_declared(struct reading *r, const struct setting *why)
{
    if (r->declaring == NULL)
        r->declaring = why;
    if (r->m->declared == NULL)
        r->m->declared = declared_new();
    return r->m->declared;
}

int reading_text(const struct reading *r, const struct setting *s, size_t bytes_max,
                 struct arena *arena, const char **ret)
{
    size_t bytes = strlen(s->value);

    if (bytes > bytes_max)
        return reading_bad(r, s->line, "%s is longer than %zu bytes.", s->key, bytes_max);
    *ret = arena_text(arena, s->value, bytes);
    return *ret == NULL ? reading_no_memory(r) : 0;
}

static int take_number(const struct reading *r, const struct setting *s, uint32_t min, uint32_t max,
                       uint32_t *ret)
{
    uint64_t value;

    if (parse_u64(s->value, &value) < 0 || value < min || value > max)
        return reading_bad(r, s->line, "%s must be a whole number from %u to %u; got %.100s.",
                           s->key, min, max, s->value);
    *ret = (uint32_t)value;
    return 0;
}

/* ---- [kernel] ---- */

static int take_kind(struct reading *r, const struct setting *s, enum manifest_kind kind)
{
    struct err why;
    int count;

    if (r->m->kind != MANIFEST_LIMITS)
        return reading_bad(r, s->line,
                           "%s beside another of command, exec and library; leave one of them.",
                           s->key);
    r->m->kind = kind;
    if (kind == MANIFEST_LIBRARY)
        return reading_find_program(r, s);
    count = manifest_words(s->value, &r->m->arena, r->m->argv, &why);
    if (count < 0)
        return reading_bad(r, s->line, "%s: %s", s->key, why.text);
    r->m->argc = (uint32_t)count;
    return reading_find_program(r, s);
}

static int take_command(struct reading *r, const struct setting *s)
{
    return take_kind(r, s, MANIFEST_COMMAND);
}

static int take_exec(struct reading *r, const struct setting *s)
{
    return take_kind(r, s, MANIFEST_EXEC);
}

static int take_library(struct reading *r, const struct setting *s)
{
    return take_kind(r, s, MANIFEST_LIBRARY);
}

static int take_copies(struct reading *r, const struct setting *s)
{
    return take_number(r, s, 0, MANIFEST_COPIES_MAX, &r->m->copies);
}

static int take_name(struct reading *r, const struct setting *s)
{
    struct declared *d = reading_declared(r, s);

    if (parse_name(s->value, PRONG_NAME_MAX) < 0)
        return reading_bad(r, s->line, "name must be 1 to %u of a-z, 0-9, _ and -; got %.100s.",
                           PRONG_NAME_MAX, s->value);
    return d == NULL ? reading_no_memory(r)
                     : reading_text(r, s, PRONG_NAME_MAX, &d->arena, &d->kernel.name);
}

static int take_version(struct reading *r, const struct setting *s)
{
    struct declared *d = reading_declared(r, s);

    if (*s->value == '\0')
        return reading_bad(r, s->line, "version is empty; write 1, or leave it out.");
    return d == NULL ? reading_no_memory(r)
                     : reading_text(r, s, DESCRIPTION_TEXT_MAX, &d->arena, &d->kernel.version);
}

static int take_summary(struct reading *r, const struct setting *s)
{
    struct declared *d = reading_declared(r, s);

    return d == NULL ? reading_no_memory(r)
                     : reading_text(r, s, DESCRIPTION_TEXT_MAX, &d->arena, &d->kernel.summary);
}

static int take_example(struct reading *r, const struct setting *s)
{
    struct declared *d = reading_declared(r, s);

    return d == NULL ? reading_no_memory(r)
                     : reading_text(r, s, DESCRIPTION_TEXT_MAX, &d->arena, &d->kernel.example);
}

static int take_media_type(struct reading *r, const struct setting *s)
{
    struct declared *d = reading_declared(r, s);

    if (!declared_is_media_type(s->value))
        return reading_bad(r, s->line, "media_type must be like application/json; got %.100s.",
                           s->value);
    return d == NULL ? reading_no_memory(r)
                     : reading_text(r, s, PROTO_MEDIA_MAX, &d->arena, &d->kernel.media_type);
}

static int take_flags(struct reading *r, const struct setting *s)
{
    struct declared *d = reading_declared(r, s);
    const char *words[MANIFEST_WORDS_MAX + 1];
    struct err why;
    uint32_t flag;
    int count;

    if (d == NULL)
        return reading_no_memory(r);
    count = *s->value == '\0' ? 0 : manifest_words(s->value, &d->arena, words, &why);
    if (count < 0)
        return reading_bad(r, s->line, "flags: %s", why.text);
    for (int i = 0; i < count; i++) {
        if (declared_flag(words[i], &flag) < 0)
            return reading_bad(r, s->line, "there is no flag %s; write some of %s.", words[i],
                               declared_flag_words);
        d->kernel.flags |= flag;
    }
    return 0;
}

static int take_input(struct reading *r, const struct setting *s)
{
    struct declared *d = reading_declared(r, s);

    if (strcmp(s->value, "raw") != 0 && strcmp(s->value, "none") != 0)
        return reading_bad(r, s->line, "input must be raw or none; got %.100s.", s->value);
    if (d == NULL)
        return reading_no_memory(r);
    d->kernel.takes_raw = strcmp(s->value, "raw") == 0;
    return 0;
}

/* ---- [limits], [sandbox], [environment] ---- */

static int take_memory(struct reading *r, const struct setting *s)
{
    uint64_t value;

    if (parse_bytes(s->value, &value) < 0 ||
        (value != 0 && (value < MANIFEST_MEMORY_MIN || value > MANIFEST_MEMORY_MAX)))
        return reading_bad(r, s->line,
                           "memory must be bytes from 16M to 64T such as 512M, or 0 for the "
                           "server's --worker-memory; got %.100s.",
                           s->value);
    r->m->limits.memory_bytes = value;
    return 0;
}

static int take_cpu(struct reading *r, const struct setting *s)
{
    return take_number(r, s, 0, MANIFEST_CPU_S_MAX, &r->m->limits.cpu_s);
}

static int take_start(struct reading *r, const struct setting *s)
{
    return take_number(r, s, 1, MANIFEST_START_S_MAX, &r->m->limits.start_s);
}

static int take_yes(const struct reading *r, const struct setting *s, bool *ret)
{
    if (strcmp(s->value, "yes") != 0 && strcmp(s->value, "no") != 0)
        return reading_bad(r, s->line, "%s must be yes or no; got %.100s.", s->key, s->value);
    *ret = strcmp(s->value, "yes") == 0;
    return 0;
}

static int take_network(struct reading *r, const struct setting *s)
{
    return take_yes(r, s, &r->m->limits.network);
}

static int take_threads(struct reading *r, const struct setting *s)
{
    return take_yes(r, s, &r->m->limits.threads);
}

static int take_read(struct reading *r, const struct setting *s)
{
    const char *words[MANIFEST_WORDS_MAX + 1];
    struct err why;
    int count = *s->value == '\0' ? 0 : manifest_words(s->value, &r->m->arena, words, &why);

    if (count < 0)
        return reading_bad(r, s->line, "read: %s", why.text);
    if (count > MANIFEST_READ_MAX)
        return reading_bad(r, s->line, "read has %d paths; at most %d are possible.", count,
                           MANIFEST_READ_MAX);
    for (int i = 0; i < count; i++) {
        if (words[i][0] != '/')
            return reading_bad(r, s->line, "read takes absolute paths; got %.200s.", words[i]);
        if (access(words[i], F_OK) < 0)
            return reading_bad(r, s->line, "%.200s cannot be read: %s.", words[i], strerror(errno));
        r->m->limits.read[r->m->limits.read_count++] = words[i];
    }
    return 0;
}

static bool is_variable(const char *name)
{
    if (*name != '_' && !isalpha((unsigned char)*name))
        return false;
    while (*name == '_' || isalnum((unsigned char)*name))
        name++;
    return *name == '\0';
}

static int take_variable(struct reading *r, const struct setting *s)
{
    size_t bytes = strlen(s->key) + 1 + strlen(s->value) + 1;
    uint32_t n = 0;
    char *text;

    if (!is_variable(s->key))
        return reading_bad(r, s->line, "%s is no name of a variable: A-Z, a-z, 0-9 and _.", s->key);
    while (r->m->environment[n] != NULL)
        n++;
    if (n == MANIFEST_VARIABLES_MAX)
        return reading_bad(r, s->line, "there are more than %d variables.", MANIFEST_VARIABLES_MAX);
    text = arena_alloc(&r->m->arena, bytes);
    if (text == NULL)
        return reading_no_memory(r);
    (void)snprintf(text, bytes, "%s=%s", s->key, s->value);
    r->m->environment[n] = text;
    return 0;
}

/* ---- all of it ---- */

/* Of a shared object that workers load themselves, only two may be set. */
static const struct key_row {
    const char *section, *key; /* NULL: any key */
    int (*take)(struct reading *r, const struct setting *s);
    bool is_for_limits;
} rows[] = {
    {"kernel", "command", take_command, false},
    {"kernel", "exec", take_exec, false},
    {"kernel", "library", take_library, false},
    {"kernel", "copies", take_copies, false},
    {"kernel", "name", take_name, false},
    {"kernel", "version", take_version, false},
    {"kernel", "summary", take_summary, false},
    {"kernel", "example", take_example, false},
    {"kernel", "media_type", take_media_type, false},
    {"kernel", "flags", take_flags, false},
    {"kernel", "input", take_input, false},
    {"limits", "memory", take_memory, true},
    {"limits", "cpu", take_cpu, true},
    {"limits", "start", take_start, false},
    {"sandbox", "network", take_network, false},
    {"sandbox", "threads", take_threads, false},
    {"sandbox", "read", take_read, false},
    {"environment", NULL, take_variable, false},
};

static const char *section_of(const struct reading *r, const struct setting *s)
{
    return r->settings->sections[s->section].name;
}

static bool is_param(const char *section)
{
    return strncmp(section, "param ", strlen("param ")) == 0;
}

static const struct key_row *find_row(const char *section, const char *key)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (strcmp(rows[i].section, section) == 0 &&
            (rows[i].key == NULL || strcmp(rows[i].key, key) == 0))
            return &rows[i];
    }
    return NULL;
}

static int unknown_key(const struct reading *r, const struct setting *s)
{
    const char *section = section_of(r, s);
    char known[200] = "";
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_SIZE(rows) && n < sizeof(known); i++) {
        if (strcmp(rows[i].section, section) == 0)
            n += (size_t)snprintf(known + n, sizeof(known) - n, "%s%s", n == 0 ? "" : ", ",
                                  rows[i].key);
    }
    return reading_bad(r, s->line, "there is no key %s in [%s]; it has %s.", s->key, section,
                       known);
}

static int check_sections(const struct reading *r)
{
    for (uint32_t i = 0; i < r->settings->section_count; i++) {
        const struct settings_section *section = &r->settings->sections[i];
        bool is_known = is_param(section->name);
        for (size_t k = 0; k < ARRAY_SIZE(rows) && !is_known; k++)
            is_known = strcmp(rows[k].section, section->name) == 0;
        if (!is_known)
            return reading_bad(r, section->line,
                               "there is no section [%s]; there are [kernel], [param NAME], "
                               "[limits], [sandbox] and [environment].",
                               section->name);
    }
    return 0;
}

static int take_all(struct reading *r)
{
    int rc = check_sections(r);

    for (uint32_t i = 0; i < r->settings->count && rc == 0; i++) {
        const struct setting *s = &r->settings->all[i];
        const struct key_row *row = find_row(section_of(r, s), s->key);
        if (row != NULL)
            rc = row->take(r, s);
        else if (!is_param(section_of(r, s)))
            rc = unknown_key(r, s);
    }
    for (uint32_t i = 0; i < r->settings->section_count && rc == 0; i++) {
        if (is_param(r->settings->sections[i].name))
            rc = reading_param(r, i);
    }
    return rc;
}

static int put_nothing(void *arg, uint32_t index, struct buf *out)
{
    const struct prong_kernel *k = arg;

    (void)out;
    return k->params[index].type == PRONG_VALUES ? -EDOM : 0;
}

/* The line of [kernel] KEY; 0 when it is not set. */
static unsigned line_of(const struct reading *r, const char *key)
{
    for (uint32_t i = 0; i < r->settings->count; i++) {
        const struct setting *s = &r->settings->all[i];
        if (strcmp(section_of(r, s), "kernel") == 0 && strcmp(s->key, key) == 0)
            return s->line;
    }
    return 0;
}

/* Every {parameter} is one, and none decides what is run. */
static int check_template(const struct reading *r)
{
    struct prong_kernel *k = &r->m->declared->kernel;
    unsigned line = line_of(r, "exec");
    struct buf ignored;
    struct err why;
    int rc = 0;

    if (strpbrk(r->m->argv[0], "{}") != NULL)
        return reading_bad(r, line, "the program itself cannot be a parameter.");
    buf_init(&ignored, MANIFEST_BYTES_MAX);
    for (uint32_t i = 1; i < r->m->argc && rc == 0; i++)
        rc = manifest_fill(r->m->argv[i], k, put_nothing, k, &ignored, &why);
    buf_release(&ignored);
    if (rc == -EDOM)
        return reading_bad(r, line,
                           "a parameter of type values goes to standard input; it cannot "
                           "be put into a word.");
    return rc < 0 ? reading_bad(r, line, "exec: %s", why.text) : 0;
}

/* No command, no exec, no library: right only beside a shared object, and with little to say. */
static int check_limits(const struct reading *r)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/%s.so", r->dir, r->m->name);

    if (n < 0 || n >= (int)sizeof(path) || access(path, F_OK) < 0)
        return err_set(r->err, -EINVAL,
                       "%s has neither command nor exec nor library in [kernel], and there is no "
                       "%s.so beside it.",
                       r->m->file, r->m->name);
    for (uint32_t i = 0; i < r->settings->count; i++) {
        const struct setting *s = &r->settings->all[i];
        const struct key_row *row = find_row(section_of(r, s), s->key);
        if (row == NULL || !row->is_for_limits)
            return reading_bad(r, s->line,
                               "for %s.so only memory and cpu in [limits] count; write library = "
                               "%s.so in [kernel] to run it in a process of its own.",
                               r->m->name, r->m->name);
    }
    return 0;
}

static int check_declared(struct reading *r)
{
    struct manifest *m = r->m;
    struct err why;

    if (m->kind == MANIFEST_EXEC && reading_declared(r, NULL) == NULL)
        return reading_no_memory(r);
    if (m->declared == NULL)
        return 0;
    if (m->kind == MANIFEST_LIBRARY)
        return reading_bad(r, r->declaring->line,
                           "a library says itself what its kernel is; leave this out.");
    if (m->declared->kernel.name == NULL)
        m->declared->kernel.name = m->name;
    if (declared_check(m->declared, &why) < 0)
        return err_set(r->err, -EINVAL, "%s: %s", m->file, why.text);
    return m->kind == MANIFEST_EXEC ? check_template(r) : 0;
}

static int read_text(struct manifest *m, const char *dir, const char *text, size_t bytes,
                     struct err *err)
{
    struct settings *settings = calloc(1, sizeof(*settings));
    struct reading r = {.m = m, .settings = settings, .dir = dir, .err = err};
    int rc;

    if (settings == NULL)
        return reading_no_memory(&r);
    rc = settings_read(settings, m->file, text, bytes, err);
    if (rc == 0)
        rc = take_all(&r);
    if (rc == 0)
        rc = m->kind == MANIFEST_LIMITS ? check_limits(&r) : check_declared(&r);
    settings_release(settings);
    free(settings);
    return rc;
}

/* The file's bytes, malloc'd; NULL with a sentence and *ret_rc. */
static char *load(const char *path, size_t *ret_bytes, int *ret_rc, struct err *err)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat st;
    char *text;
    ssize_t n;

    if (fd < 0 || fstat(fd, &st) < 0) {
        *ret_rc = err_set(err, -errno, "%s cannot be read: %s.", path, strerror(errno));
        return NULL;
    }
    *ret_rc = plugin_check_owner(path, &st, geteuid(), err);
    if (*ret_rc < 0)
        return NULL;
    if (!S_ISREG(st.st_mode) || st.st_size > MANIFEST_BYTES_MAX) {
        *ret_rc =
            err_set(err, -EINVAL, "%s is no file of at most %d bytes.", path, MANIFEST_BYTES_MAX);
        return NULL;
    }
    text = malloc(MANIFEST_BYTES_MAX);
    n = text == NULL ? -ENOMEM : fd_read_from_start(fd, text, MANIFEST_BYTES_MAX);
    if (n < 0) {
        *ret_rc = err_set(err, (int)n, "%s cannot be read: %s.", path, strerror((int)-n));
        free(text);
        return NULL;
    }
    *ret_bytes = (size_t)n;
    return text;
}

/* Without its ending; the name of a kernel, when nothing else gives it one. */
static struct manifest *manifest_new(const char *file)
{
    const char *dot = strrchr(file, '.');
    size_t bytes = dot == NULL ? strlen(file) : (size_t)(dot - file);
    struct manifest *m = calloc(1, sizeof(*m));

    if (m == NULL)
        return NULL;
    m->limits.start_s = MANIFEST_START_S;
    m->file = arena_text(&m->arena, file, strlen(file));
    m->name = arena_text(&m->arena, file, bytes);
    return m->file == NULL || m->name == NULL ? manifest_free(m) : m;
}

int manifest_of_text(const char *dir, const char *file, const char *text, size_t bytes,
                     struct manifest **ret, struct err *err)
{
    struct manifest *m = manifest_new(file);
    int rc;

    if (m == NULL)
        return err_set(err, -ENOMEM, "%s cannot be read: there is no memory.", file);
    rc = read_text(m, dir, text, bytes, err);
    if (rc < 0)
        (void)manifest_free(m);
    else
        *ret = m;
    return rc;
}

int manifest_read(const char *dir, const char *file, struct manifest **ret, struct err *err)
{
    CLEANUP_FREE char *text = NULL;
    char path[PATH_MAX];
    size_t bytes = 0;
    int rc = snprintf(path, sizeof(path), "%s/%s", dir, file);

    if (rc < 0 || rc >= (int)sizeof(path))
        return err_set(err, -ENAMETOOLONG, "The path of %s is too long.", file);
    text = load(path, &bytes, &rc, err);
    return text == NULL ? rc : manifest_of_text(dir, file, text, bytes, ret, err);
}

struct manifest *manifest_free(struct manifest *m)
{
    if (m != NULL) {
        (void)declared_free(m->declared);
        arena_release(&m->arena);
    }
    free(m);
    return NULL;
}
