#include "kernel/settings.h"

#include <errno.h>
#include <ini.h>
#include <jansson.h>

#include "base/err.h"

/* What inih asks for lines, and tells of them. */
struct reader {
    struct settings *settings;
    const char *file;
    const char *at, *end;
    unsigned line; /* of what was handed out last; 0: nothing yet */
    struct err *err;
    int rc;
};

#define bad(r, format, ...)                                                                        \
    ((r)->rc =                                                                                     \
         err_set((r)->err, -EINVAL, "%s, line %u: " format, (r)->file, (r)->line, ##__VA_ARGS__))

static const char *skip_blanks(const char *at, const char *end)
{
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n'))
        at++;
    return at;
}

/* inih takes "[a] b" for "[a]", cuts long names and does not tell of empty sections. */
static int begin_section(struct reader *r, const char *line, const char *end)
{
    struct settings *s = r->settings;
    const char *close = memchr(line, ']', (size_t)(end - line));
    const char *rest = close == NULL ? end : skip_blanks(close + 1, end);
    size_t bytes = close == NULL ? 0 : (size_t)(close - line) - 1;
    char *name;

    if (bytes == 0 || bytes > SETTINGS_NAME_MAX || (rest < end && *rest != ';'))
        return bad(r, "this begins like a section but is not [name] alone, of at most %d bytes.",
                   SETTINGS_NAME_MAX);
    if (s->section_count == SETTINGS_SECTIONS_MAX)
        return bad(r, "there are more than %d sections.", SETTINGS_SECTIONS_MAX);
    name = arena_text(&s->arena, line + 1, bytes);
    if (name == NULL)
        return r->rc = -ENOMEM;
    for (uint32_t i = 0; i < s->section_count; i++) {
        if (strcmp(s->sections[i].name, name) == 0)
            return bad(r, "section [%s] was there already, in line %u; put both into one.", name,
                       s->sections[i].line);
    }
    s->sections[s->section_count++] = (struct settings_section) {.name = name, .line = r->line};
    return 0;
}

/* The next line, as fgets would give it. */
static char *next_line(char *out, int capacity, void *arg)
{
    struct reader *r = arg;
    const char *end = memchr(r->at, '\n', (size_t)(r->end - r->at));
    const char *start;
    size_t bytes;

    if (r->rc < 0 || r->at == r->end)
        return NULL;
    r->line++;
    end = end == NULL ? r->end : end + 1;
    bytes = (size_t)(end - r->at);
    if (bytes >= (size_t)capacity || bytes > SETTINGS_LINE_MAX) {
        (void)bad(r, "the line is longer than %d bytes.", SETTINGS_LINE_MAX);
        return NULL;
    }
    start = skip_blanks(r->at, end);
    if (start < end && *start == '[' && begin_section(r, start, end) < 0)
        return NULL;
    memcpy(out, r->at, bytes);
    out[bytes] = '\0';
    r->at = end;
    return out;
}

static int add(struct reader *r, const char *key, const char *value)
{
    struct settings *s = r->settings;
    struct setting *new = &s->all[s->count];

    if (s->section_count == 0)
        return bad(r, "%s stands before the first section; begin with [kernel].", key);
    if (*key == '\0' || strlen(key) > SETTINGS_NAME_MAX)
        return bad(r, "write key = value, with a key of at most %d bytes.", SETTINGS_NAME_MAX);
    for (uint32_t i = 0; i < s->count; i++) {
        if (s->all[i].section == s->section_count - 1 && strcmp(s->all[i].key, key) == 0)
            return bad(r, "%s is set twice in [%s], first in line %u; leave one.", key,
                       s->sections[s->section_count - 1].name, s->all[i].line);
    }
    if (s->count == SETTINGS_MAX)
        return bad(r, "there are more than %d settings.", SETTINGS_MAX);
    *new = (struct setting) {
        .key = arena_text(&s->arena, key, strlen(key)),
        .value = arena_text(&s->arena, value, strlen(value)),
        .line = r->line,
        .section = s->section_count - 1,
    };
    if (new->key == NULL || new->value == NULL)
        return r->rc = -ENOMEM;
    s->count++;
    return 0;
}

static int take(void *arg, const char *section, const char *key, const char *value)
{
    struct reader *r = arg;

    (void)section;
    return r->rc == 0 && add(r, key, value) == 0;
}

static bool is_text(const char *text, size_t bytes)
{
    json_t *string = json_stringn(text, bytes); /* jansson refuses what is no UTF-8 */
    bool ok = string != NULL && memchr(text, '\0', bytes) == NULL;

    json_decref(string);
    return ok;
}

int settings_read(struct settings *ret, const char *file, const char *text, size_t bytes,
                  struct err *err)
{
    struct reader r = {.settings = ret, .file = file, .at = text, .end = text + bytes, .err = err};
    int line;

    *ret = (struct settings) {0};
    if (!is_text(text, bytes))
        return err_set(err, -EINVAL, "%s is not UTF-8 text.", file);
    ini_use_stack = false;
    ini_max_line = ini_initial_alloc = SETTINGS_LINE_MAX + 3;
    ini_allow_multiline = false;
    ini_stop_on_first_error = true;
    line = ini_parse_stream(next_line, &r, take, &r);
    if (r.rc == -ENOMEM || line == -2)
        return err_set(err, -ENOMEM, "%s cannot be read: there is no memory.", file);
    if (r.rc == 0 && line != 0)
        (void)bad(&r, "this is neither [section] nor key = value nor a comment after ; or #.");
    return r.rc;
}

void settings_release(struct settings *s)
{
    arena_release(&s->arena);
    s->count = s->section_count = 0;
}
