#include "http/static_name.h"

#include <string.h>
#include <strings.h>

#include "base/check.h"

static const struct {
    const char *ending, *type;
} types[] = {
    {".html", "text/html; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".mjs", "text/javascript; charset=utf-8"},
    {".json", "application/json"},
    {".txt", "text/plain; charset=utf-8"},
    {".md", "text/markdown; charset=utf-8"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".jpg", "image/jpeg"},
    {".webp", "image/webp"},
    {".ico", "image/vnd.microsoft.icon"},
    {".woff2", "font/woff2"},
    {".webmanifest", "application/manifest+json"},
};

const char *static_type(const char *name)
{
    const char *ending = strrchr(name, '.');

    for (size_t i = 0; ending != NULL && i < ARRAY_SIZE(types); i++) {
        if (strcasecmp(ending, types[i].ending) == 0)
            return types[i].type;
    }
    return "application/octet-stream";
}

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

bool static_etag_matches(const char *if_none_match, const char *etag)
{
    size_t bytes = strlen(etag);

    for (const char *p = if_none_match; *p != '\0';) {
        p += strspn(p, ", \t");
        if (strncmp(p, "W/", 2) == 0)
            p += 2;
        if (*p == '*' || strncmp(p, etag, bytes) == 0)
            return true;
        p += strcspn(p, ",");
    }
    return false;
}

bool static_is_not_after(time_t modified, const char *http_date)
{
    struct tm tm = {.tm_sec = 0};
    const char *end = strptime(http_date, "%a, %d %b %Y %H:%M:%S GMT", &tm);

    return end != NULL && *end == '\0' && modified <= timegm(&tm);
}
