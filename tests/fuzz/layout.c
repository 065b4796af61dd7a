#include "layout.h"

#include <ctype.h>
#include <string.h>

#include "base/check.h"

struct cursor {
    char *at;
    size_t left;
};

/* The next line, NUL-terminated; NULL when there is none. */
static char *take_line(struct cursor *c, size_t *ret_bytes)
{
    char *line = c->at, *end = memchr(line, '\n', c->left);

    if (end == NULL)
        return NULL;
    *ret_bytes = (size_t)(end - line);
    *end = '\0';
    if (end > line && end[-1] == '\r') {
        end[-1] = '\0';
        --*ret_bytes;
    }
    c->left -= (size_t)(end + 1 - line);
    c->at = end + 1;
    return line;
}

static bool is_version(const char *version, size_t bytes)
{
    return bytes == 8 && memcmp(version, "HTTP/1.", 7) == 0 && isdigit((unsigned char)version[7]);
}

/* The target ends at the last blank. */
static bool split_line(struct gate_line *line, char *text, size_t bytes)
{
    char *end = text + bytes, *target = memchr(text, ' ', bytes), *version = end;

    if (target == NULL || target == text)
        return false;
    *target++ = '\0';
    while (target < end && *target == ' ')
        target++;
    while (version > target && *version != ' ')
        version--;
    if (version <= target || !is_version(version + 1, (size_t)(end - version - 1)))
        return false;
    *version = '\0';
    line->method = text;
    line->target = target;
    line->version = version + 1;
    return true;
}

static int digit_of(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : (c | 0x20) - 'a' + 10;
}

static void unescape(char *text)
{
    char *out = text;

    while (*text != '\0') {
        if (text[0] == '%' && isxdigit((unsigned char)text[1]) &&
            isxdigit((unsigned char)text[2])) {
            *out++ = (char)(digit_of(text[1]) * 16 + digit_of(text[2]));
            text += 3;
        } else {
            *out++ = *text++;
        }
    }
    *out = '\0';
}

/* What libmicrohttpd does to the target before the handler is called. */
static void spoil_target(char *target)
{
    char *query = strchr(target, '?');

    while (query != NULL) {
        char *next = strpbrk(query + 1, "&=");
        *query = '\0';
        unescape(query + 1);
        query = next;
    }
    unescape(target);
}

static bool split_header(struct layout_header *h, char *line)
{
    char *colon = strchr(line, ':');

    if (colon == NULL)
        return false;
    *colon++ = '\0';
    colon += strspn(colon, " \t");
    *h = (struct layout_header) {line, colon, 0, 0};
    return true;
}

static void glue(struct layout *l, const char *line)
{
    struct layout_header *h = &l->headers[l->count - 1];
    char *name;

    line += strspn(line, " \t");
    name = malloc(strlen(h->name) + strlen(line) + 1);
    CHECK(name != NULL);
    (void)memcpy(name, h->name, strlen(h->name));
    (void)memcpy(name + strlen(h->name), line, strlen(line) + 1);
    free(l->glued[l->count - 1]);
    l->glued[l->count - 1] = name;
    h->name = name;
}

static bool take_headers(struct layout *l, struct cursor *c)
{
    for (;;) {
        size_t bytes;
        char *line = take_line(c, &bytes);
        if (line == NULL)
            return false;
        if (l->count > 0 && line[0] == ':')
            line[0] = '\0';
        if (line[0] == '\0')
            return true;
        if (l->count > 0 && (line[0] == ' ' || line[0] == '\t'))
            glue(l, line);
        else if (l->count == LAYOUT_HEADERS_MAX || !split_header(&l->headers[l->count++], line))
            return false;
    }
}

static bool parse(struct layout *l, size_t bytes)
{
    struct cursor c = {l->memory, bytes};
    size_t line_bytes;
    char *line = take_line(&c, &line_bytes);

    if (line == NULL || !split_line(&l->line, line, line_bytes))
        return false;
    l->line.target_bytes = strlen(l->line.target);
    l->target = strdup(l->line.target);
    CHECK(l->target != NULL);
    l->line.target_is_sound = target_is_sound(l->target, l->line.target_bytes);
    l->line.parts = target_split(l->target);
    spoil_target(l->memory + (l->line.target - l->memory));
    if (!take_headers(l, &c))
        return false;
    for (unsigned i = 0; i < l->count; i++) {
        l->headers[i].name_bytes = strlen(l->headers[i].name);
        l->headers[i].value_bytes = strlen(l->headers[i].value);
    }
    l->line.head_bytes = (size_t)(c.at - l->memory);
    return true;
}

static bool parse_copy(struct layout *l, const char *data, size_t bytes)
{
    *l = (struct layout) {.memory = malloc(bytes)};
    CHECK(l->memory != NULL);
    (void)memcpy(l->memory, data, bytes);
    return parse(l, bytes);
}

bool layout_parse(struct layout *l, const char *data, size_t bytes)
{
    size_t head_bytes;

    if (!parse_copy(l, data, bytes))
        return false;
    head_bytes = l->line.head_bytes;
    layout_release(l);
    CHECK(parse_copy(l, data, head_bytes) && l->line.head_bytes == head_bytes);
    return true;
}

void layout_release(struct layout *l)
{
    for (unsigned i = 0; i < l->count; i++)
        free(l->glued[i]);
    free(l->target);
    free(l->memory);
}
