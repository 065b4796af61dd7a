#include "http/static_name.h"

#include <stdio.h>
#include <string.h>

bool static_path_is_plain(const char *target)
{
    return strchr(target, '%') == NULL || strcasestr(target, "%2f") == NULL;
}

/* No segment is empty, but the last, or begins with a dot; no byte could mean something else elsewhere. */
static bool is_servable(const char *path)
{
    if (path[0] != '/')
        return false;
    for (const char *p = path; *p != '\0'; p++) {
        if (*p == '\\' || (unsigned char)*p < ' ' || *p == 0x7f)
            return false;
        if (*p == '/' && (p[1] == '.' || p[1] == '/'))
            return false;
    }
    return true;
}

bool static_name(const char *path, const char *target, unsigned i, char out[STATIC_NAME_BYTES])
{
    size_t n = strlen(path);
    const char *ending = "";

    if (!is_servable(path) || !static_path_is_plain(target))
        return false;
    if (path[n - 1] == '/')
        ending = "index.html";
    else if (i == 1)
        ending = ".html";
    if (i > 1 || (i == 1 && path[n - 1] == '/'))
        return false;
    return snprintf(out, STATIC_NAME_BYTES, "%s%s", path + 1, ending) < STATIC_NAME_BYTES;
}

/* Of n digits: as many as hashes are cut to, and neither a number nor a word. */
static bool is_hash(const char *digits, size_t n)
{
    bool has_letter = strcspn(digits, "abcdef") < n;
    bool has_figure = strcspn(digits, "0123456789") < n;

    return has_letter && has_figure &&
           (n == 8 || n == 16 || n == 20 || n == 32 || n == 40 || n == 64);
}

bool static_name_has_hash(const char *name)
{
    const char *slash = strrchr(name, '/');
    const char *part = slash == NULL ? name : slash + 1;

    for (;;) {
        size_t n = strspn(part, "0123456789abcdef");
        if (part[n] == '.' && is_hash(part, n))
            return true;
        part += strcspn(part, ".-_");
        if (*part == '\0')
            return false;
        part++;
    }
}
