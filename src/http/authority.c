#include "http/authority.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"

enum { PORT_MAX = 65535 };

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

/* The text behind the host: nothing, or a colon and at most a number. */
static int read_port(const char *text, size_t bytes, unsigned *ret)
{
    unsigned port = 0;

    if (bytes > 0 && text[0] != ':')
        return -EINVAL;
    for (size_t i = 1; i < bytes; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -EINVAL;
        port = port * 10 + (unsigned)(text[i] - '0');
        if (port > PORT_MAX)
            return -EINVAL;
    }
    *ret = port;
    return 0;
}

static int read_brackets(const char *text, size_t bytes, struct authority *ret)
{
    const char *end = memchr(text, ']', bytes);
    size_t n = end == NULL ? 0 : (size_t)(end - text) - 1;
    char inside[INET6_ADDRSTRLEN];
    struct in6_addr address;

    if (end == NULL || n >= sizeof(inside))
        return -EINVAL;
    memcpy(inside, text + 1, n);
    inside[n] = '\0';
    if (inet_pton(AF_INET6, inside, &address) != 1)
        return -EINVAL;
    (void)inet_ntop(AF_INET6, &address, inside, sizeof(inside));
    (void)snprintf(ret->host, sizeof(ret->host), "[%s]", inside);
    return read_port(end + 1, bytes - (n + 2), &ret->port);
}

int authority_read(const char *text, size_t bytes, struct authority *ret)
{
    size_t n = 0;

    if (bytes > 0 && text[0] == '[')
        return read_brackets(text, bytes, ret);
    while (n < bytes && n < sizeof(ret->host) - 1 && is_name_byte(lower(text[n]))) {
        ret->host[n] = lower(text[n]);
        n++;
    }
    if (read_port(text + n, bytes - n, &ret->port) < 0)
        return -EINVAL;
    if (n > 0 && ret->host[n - 1] == '.')
        n--;
    ret->host[n] = '\0';
    return n == 0 || ret->host[n - 1] == '.' ? -EINVAL : 0;
}

bool authority_is_address(const struct authority *a)
{
    struct in_addr address;

    return a->host[0] == '[' || inet_pton(AF_INET, a->host, &address) == 1;
}

bool authority_is_loopback(const struct authority *a)
{
    return strcmp(a->host, "[::1]") == 0 || strcmp(a->host, "localhost") == 0 ||
           (strncmp(a->host, "127.", 4) == 0 && authority_is_address(a));
}

bool authority_is_wildcard(const struct authority *a)
{
    return strcmp(a->host, "0.0.0.0") == 0 || strcmp(a->host, "[::]") == 0;
}

static unsigned port_of(const char *scheme)
{
    return strcmp(scheme, "https") == 0 ? 443 : strcmp(scheme, "http") == 0 ? 80 : 0;
}

void authority_origin(const struct authority *a, const char *scheme, char out[ORIGIN_BYTES])
{
    if (a->port == 0 || a->port == port_of(scheme))
        (void)snprintf(out, ORIGIN_BYTES, "%s://%s", scheme, a->host);
    else
        (void)snprintf(out, ORIGIN_BYTES, "%s://%s:%u", scheme, a->host, a->port);
}

int origin_read(const char *text, size_t bytes, char out[ORIGIN_BYTES])
{
    static const char *const schemes[] = {"http", "https"};
    struct authority a;

    for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
        size_t n = strlen(schemes[i]);
        if (bytes < n + 3 || strncasecmp(text, schemes[i], n) != 0 ||
            memcmp(text + n, "://", 3) != 0)
            continue;
        if (authority_read(text + n + 3, bytes - n - 3, &a) < 0)
            return -EINVAL;
        authority_origin(&a, schemes[i], out);
        return 0;
    }
    return -EINVAL;
}
