#include <errno.h>

#include "fetch/internal.h"

struct parts {
    char *scheme, *host, *port, *url;
};

static void parts_free(const struct libcurl *curl, struct parts *p)
{
    curl->free(p->scheme);
    curl->free(p->host);
    curl->free(p->port);
    curl->free(p->url);
}

static const char *explain(CURLUcode code)
{
    switch (code) {
    case CURLUE_USER_NOT_ALLOWED:
        return "a user name in it is not taken";
    case CURLUE_BAD_SCHEME:
    case CURLUE_UNSUPPORTED_SCHEME:
        return "it must begin with http:// or https://";
    case CURLUE_BAD_PORT_NUMBER:
        return "its port is no port";
    case CURLUE_NO_HOST:
    case CURLUE_BAD_HOSTNAME:
    case CURLUE_BAD_IPV6:
        return "its host is no name and no address";
    default:
        return "it is malformed, or too long";
    }
}

static CURLUcode take_apart(const struct libcurl *curl, CURLU *u, const char *text,
                            struct parts *ret)
{
    CURLUcode code = CURLUE_MALFORMED_INPUT;

    if (strlen(text) <= FETCH_URL_BYTES_MAX)
        code = curl->url_set(u, CURLUPART_URL, text, CURLU_DISALLOW_USER);
    if (code == CURLUE_OK)
        code = curl->url_get(u, CURLUPART_SCHEME, &ret->scheme, 0);
    if (code == CURLUE_OK && strcasecmp(ret->scheme, "http") != 0 &&
        strcasecmp(ret->scheme, "https") != 0)
        code = CURLUE_UNSUPPORTED_SCHEME;
    if (code == CURLUE_OK)
        code = curl->url_get(u, CURLUPART_HOST, &ret->host, 0);
    if (code == CURLUE_OK)
        code = curl->url_get(u, CURLUPART_PORT, &ret->port, CURLU_DEFAULT_PORT);
    if (code == CURLUE_OK)
        code = curl->url_set(u, CURLUPART_FRAGMENT, NULL, 0);
    if (code == CURLUE_OK)
        code = curl->url_get(u, CURLUPART_URL, &ret->url, 0);
    return code;
}

static bool hand_over(const struct parts *p, char **ret_url, char **ret_host)
{
    char *url = strdup(p->url), *host = NULL;

    if (url == NULL || asprintf(&host, "%s:%s", p->host, p->port) < 0) {
        free(url);
        return false;
    }
    for (char *c = host; *c != '\0'; c++)
        *c = (char)(*c >= 'A' && *c <= 'Z' ? *c + 'a' - 'A' : *c);
    *ret_url = url;
    *ret_host = host;
    return true;
}

/* A text without a scheme is refused: libcurl would guess one. */
bool url_normalise(const struct libcurl *curl, const char *text, char **ret_url, char **ret_host,
                   char *ret_detail, size_t capacity)
{
    CURLU *u = curl->url();
    struct parts parts = {NULL};
    CURLUcode code = u == NULL ? CURLUE_OUT_OF_MEMORY : take_apart(curl, u, text, &parts);
    bool ok = code == CURLUE_OK && hand_over(&parts, ret_url, ret_host);

    if (!ok)
        (void)snprintf(ret_detail, capacity, "This is no URL that can be fetched: %s.",
                       explain(code));
    parts_free(curl, &parts);
    curl->url_cleanup(u);
    return ok;
}
