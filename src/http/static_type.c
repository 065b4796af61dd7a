#include "http/static_type.h"

#include <string.h>
#include <strings.h>

#include "base/check.h"

/* XML tells its own charset; all other texts are UTF-8. */
static const struct static_type types[] = {
    {".html", "text/html; charset=utf-8", STATIC_PAGE},
    {".htm", "text/html; charset=utf-8", STATIC_PAGE},
    {".css", "text/css; charset=utf-8", STATIC_INERT},
    {".js", "text/javascript; charset=utf-8", STATIC_SCRIPT},
    {".mjs", "text/javascript; charset=utf-8", STATIC_SCRIPT},
    {".json", "application/json", STATIC_INERT},
    {".map", "application/json", STATIC_INERT},
    {".jsonld", "application/ld+json", STATIC_INERT},
    {".geojson", "application/geo+json", STATIC_INERT},
    {".webmanifest", "application/manifest+json", STATIC_INERT},
    {".txt", "text/plain; charset=utf-8", STATIC_INERT},
    {".log", "text/plain; charset=utf-8", STATIC_INERT},
    {".md", "text/markdown; charset=utf-8", STATIC_INERT},
    {".csv", "text/csv; charset=utf-8", STATIC_INERT},
    {".tsv", "text/tab-separated-values; charset=utf-8", STATIC_INERT},
    {".vtt", "text/vtt; charset=utf-8", STATIC_INERT},
    {".ics", "text/calendar; charset=utf-8", STATIC_INERT},
    {".yaml", "application/yaml", STATIC_INERT},
    {".yml", "application/yaml", STATIC_INERT},
    {".xml", "application/xml", STATIC_DOCUMENT},
    {".xsl", "application/xml", STATIC_DOCUMENT},
    {".xhtml", "application/xhtml+xml", STATIC_PAGE},
    {".rss", "application/rss+xml", STATIC_DOCUMENT},
    {".atom", "application/atom+xml", STATIC_DOCUMENT},
    {".svg", "image/svg+xml", STATIC_DOCUMENT},
    {".pdf", "application/pdf", STATIC_DOCUMENT},
    {".png", "image/png", STATIC_INERT},
    {".apng", "image/apng", STATIC_INERT},
    {".jpg", "image/jpeg", STATIC_INERT},
    {".jpeg", "image/jpeg", STATIC_INERT},
    {".gif", "image/gif", STATIC_INERT},
    {".webp", "image/webp", STATIC_INERT},
    {".avif", "image/avif", STATIC_INERT},
    {".jxl", "image/jxl", STATIC_INERT},
    {".bmp", "image/bmp", STATIC_INERT},
    {".tif", "image/tiff", STATIC_INERT},
    {".tiff", "image/tiff", STATIC_INERT},
    {".ico", "image/vnd.microsoft.icon", STATIC_INERT},
    {".woff", "font/woff", STATIC_INERT},
    {".woff2", "font/woff2", STATIC_INERT},
    {".ttf", "font/ttf", STATIC_INERT},
    {".otf", "font/otf", STATIC_INERT},
    {".wasm", "application/wasm", STATIC_INERT},
    {".mp4", "video/mp4", STATIC_INERT},
    {".m4v", "video/mp4", STATIC_INERT},
    {".webm", "video/webm", STATIC_INERT},
    {".ogv", "video/ogg", STATIC_INERT},
    {".mov", "video/quicktime", STATIC_INERT},
    {".mp3", "audio/mpeg", STATIC_INERT},
    {".m4a", "audio/mp4", STATIC_INERT},
    {".aac", "audio/aac", STATIC_INERT},
    {".ogg", "audio/ogg", STATIC_INERT},
    {".oga", "audio/ogg", STATIC_INERT},
    {".opus", "audio/ogg", STATIC_INERT},
    {".flac", "audio/flac", STATIC_INERT},
    {".wav", "audio/wav", STATIC_INERT},
    {".zip", "application/zip", STATIC_INERT},
    {".gz", "application/gzip", STATIC_INERT},
    {".tgz", "application/gzip", STATIC_INERT},
    {".tar", "application/x-tar", STATIC_INERT},
    {".zst", "application/zstd", STATIC_INERT},
    {".bz2", "application/x-bzip2", STATIC_INERT},
    {".xz", "application/x-xz", STATIC_INERT},
    {".7z", "application/x-7z-compressed", STATIC_INERT},
    {".parquet", "application/vnd.apache.parquet", STATIC_INERT},
    {".epub", "application/epub+zip", STATIC_INERT},
    {".rtf", "application/rtf", STATIC_INERT},
};

const struct static_type *static_type(const char *name)
{
    static const struct static_type unknown = {"", "application/octet-stream", STATIC_INERT};
    const char *ending = strrchr(name, '.');

    for (size_t i = 0; ending != NULL && i < ARRAY_SIZE(types); i++) {
        if (strcasecmp(ending, types[i].ending) == 0)
            return &types[i];
    }
    return &unknown;
}
