#include "reference.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"

size_t reference_blank(const char *data, size_t bytes)
{
    size_t n = 0;

    for (;;) {
        const char *at = data + n, *end = memchr(at, '\n', bytes - n);
        if (end == NULL)
            return n;
        if (at[0] != '\0' && at != end && !(at[0] == '\r' && at + 1 == end))
            return n;
        n = (size_t)(end + 1 - data);
    }
}

static bool is_token(struct reference_text t)
{
    for (size_t i = 0; i < t.bytes; i++) {
        if (t.at[i] == '\0' ||
            (!isalnum((unsigned char)t.at[i]) && strchr("!#$%&'*+-.^_`|~", t.at[i]) == NULL))
            return false;
    }
    return t.bytes > 0;
}

static bool is(struct reference_text t, const char *text)
{
    return t.bytes == strlen(text) && strncasecmp(t.at, text, t.bytes) == 0;
}

static void take(struct reference_text *rest, size_t bytes)
{
    rest->at += bytes;
    rest->bytes -= bytes;
}

/* Takes a line off *rest. The end of it is not part of it. */
static enum reference take_line(struct reference_text *rest, struct reference_text *ret)
{
    const char *end = memchr(rest->at, '\n', rest->bytes);
    size_t n;

    if (end == NULL)
        return REFERENCE_SHORT;
    n = (size_t)(end - rest->at);
    if (n == 0 || end[-1] != '\r')
        return REFERENCE_BAD;
    *ret = (struct reference_text) {rest->at, n - 1};
    take(rest, n + 1);
    return REFERENCE_WHOLE;
}

static bool ends_line(char c)
{
    return c == '\r' || c == '\n' || c == '\0';
}

/* CR LF CR LF, or what libmicrohttpd makes the same of: a line end, and a line that is empty or begins with NUL or with a
 * colon. */
static bool ends_head(const char *four)
{
    const char *end = memchr(four, '\n', 3), *empty = end == NULL ? NULL : end + 1;

    if (end == NULL || four[3] != '\n' || memchr(empty, '\n', (size_t)(four + 3 - empty)) != NULL)
        return false;
    for (const char *p = four; p < four + 3; p++) {
        if (!(ends_line(*p) || (p == empty && *p == ':')) || (*p == '\r' && p[1] != '\n'))
            return false;
    }
    return true;
}

/* The same for a line of the head; *ret_is_last: the empty line behind it went with it. */
static enum reference take_head_line(struct reference_text *rest, struct reference_text *ret,
                                     bool *ret_is_last)
{
    const char *at = rest->at;
    size_t n = 0;

    while (n < rest->bytes && !ends_line(at[n]))
        n++;
    *ret = (struct reference_text) {at, n};
    *ret_is_last = n > 0 && rest->bytes - n >= 4 && ends_head(at + n);
    if (*ret_is_last) {
        take(rest, n + 4);
        return REFERENCE_WHOLE;
    }
    if (rest->bytes - n < 2)
        return REFERENCE_SHORT;
    if (at[n] == '\n' || at[n + 1] != '\n')
        return REFERENCE_BAD;
    take(rest, n + 2);
    return REFERENCE_WHOLE;
}

/* What is before the mark, which goes too; all of it when there is none. */
static struct reference_text take_to(struct reference_text *rest, char mark)
{
    const char *end = memchr(rest->at, mark, rest->bytes);
    struct reference_text taken = {rest->at, end == NULL ? rest->bytes : (size_t)(end - rest->at)};

    take(rest, taken.bytes + (end != NULL));
    return taken;
}

static struct reference_text trimmed(struct reference_text t)
{
    while (t.bytes > 0 && (t.at[0] == ' ' || t.at[0] == '\t')) {
        t.at++;
        t.bytes--;
    }
    while (t.bytes > 0 && (t.at[t.bytes - 1] == ' ' || t.at[t.bytes - 1] == '\t'))
        t.bytes--;
    return t;
}

static bool read_request_line(struct reference_text line, struct reference_head *h)
{
    h->method = take_to(&line, ' ');
    h->target = take_to(&line, ' ');
    h->is_http_1_0 = line.bytes == 8 && memcmp(line.at, "HTTP/1.0", 8) == 0;
    if (!h->is_http_1_0 && !(line.bytes == 8 && memcmp(line.at, "HTTP/1.1", 8) == 0))
        return false;
    for (size_t i = 0; i < h->target.bytes; i++) {
        if (h->target.at[i] <= ' ' || h->target.at[i] > '~')
            return false;
    }
    return is_token(h->method) && h->target.bytes > 0;
}

static bool read_length(struct reference_text value, uint64_t *ret)
{
    uint64_t n = 0;

    for (size_t i = 0; i < value.bytes; i++) {
        uint64_t digit = (uint64_t)value.at[i] - '0';
        if (digit > 9 || n > (UINT64_MAX - 1 - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    *ret = n;
    return value.bytes > 0;
}

static void read_connection(struct reference_text value, bool *closes, bool *keeps)
{
    while (value.bytes > 0) {
        struct reference_text option = trimmed(take_to(&value, ','));
        *closes |= is(option, "close");
        *keeps |= is(option, "keep-alive");
    }
}

struct headers {
    unsigned lengths, encodings;
    bool closes, keeps;
};

static bool read_header(struct reference_text line, struct reference_head *h, struct headers *seen)
{
    struct reference_text name = take_to(&line, ':'), value = trimmed(line);

    if (name.at + name.bytes == line.at || !is_token(name)) /* no colon, or no name */
        return false;
    for (size_t i = 0; i < line.bytes; i++) {
        if (((unsigned char)line.at[i] < ' ' && line.at[i] != '\t') || line.at[i] == 0x7f)
            return false;
    }
    h->headers++;
    h->hosts += is(name, "Host");
    if (is(name, "Connection"))
        read_connection(value, &seen->closes, &seen->keeps);
    if (is(name, "Content-Length"))
        return seen->lengths++ == 0 && read_length(value, &h->content_length);
    if (is(name, "Transfer-Encoding")) {
        h->is_chunked = true;
        return seen->encodings++ == 0 && is(value, "chunked");
    }
    return true;
}

static bool is_consistent(const struct reference_head *h, const struct headers *seen)
{
    return h->hosts <= 1 && (h->hosts == 1 || h->is_http_1_0) &&
           seen->lengths + seen->encodings <= 1 && !(h->is_chunked && h->is_http_1_0);
}

enum reference reference_head(const char *data, size_t bytes, struct reference_head *ret)
{
    struct reference_text rest = {data, bytes}, line;
    struct reference_head h = {.content_length = UINT64_MAX};
    struct headers seen = {.lengths = 0};
    bool is_last;
    enum reference rc = take_head_line(&rest, &line, &is_last);

    if (rc != REFERENCE_WHOLE)
        return rc;
    if (!read_request_line(line, &h))
        return REFERENCE_BAD;
    while (!is_last) {
        rc = take_head_line(&rest, &line, &is_last);
        if (rc != REFERENCE_WHOLE)
            return rc;
        if (line.bytes == 0)
            break;
        if (!read_header(line, &h, &seen))
            return REFERENCE_BAD;
    }
    if (!is_consistent(&h, &seen))
        return REFERENCE_BAD;
    h.is_last = seen.closes || (h.is_http_1_0 && !seen.keeps);
    h.bytes = (size_t)(rest.at - data);
    *ret = h;
    return REFERENCE_WHOLE;
}

uint64_t reference_seen(uint64_t seen, const void *data, size_t bytes)
{
    const unsigned char *p = data;

    for (size_t i = 0; i < bytes; i++)
        seen = (seen ^ p[i]) * 0x100000001b3ull;
    return seen;
}

static size_t scheme_bytes(struct reference_text target)
{
    if (target.bytes >= 7 && strncasecmp(target.at, "http://", 7) == 0)
        return 7;
    return target.bytes >= 8 && strncasecmp(target.at, "https://", 8) == 0 ? 8 : 0;
}

static struct reference_text path_of(struct reference_text target)
{
    size_t scheme = scheme_bytes(target);

    if (scheme > 0) {
        const char *end = target.at + target.bytes;
        target.at += scheme;
        while (target.at < end && *target.at != '/' && *target.at != '?')
            target.at++;
        target.bytes = (size_t)(end - target.at);
        if (target.bytes == 0 || target.at[0] == '?')
            target = (struct reference_text) {"/", 1};
    }
    return take_to(&target, '?');
}

/* "1f;name=value". Extensions are not for us: that they hold no control byte is enough. */
static bool read_chunk_size(struct reference_text line, uint64_t *ret)
{
    struct reference_text digits = take_to(&line, ';');

    *ret = 0;
    for (size_t i = 0; i < digits.bytes; i++) {
        const char *digit = memchr("0123456789abcdef", tolower((unsigned char)digits.at[i]), 16);
        if (digit == NULL || *ret >> 60 != 0)
            return false;
        *ret = *ret * 16 + (uint64_t)(strchr("0123456789abcdef", *digit) - "0123456789abcdef");
    }
    for (size_t i = 0; i < line.bytes; i++) {
        if ((unsigned char)line.at[i] < ' ' && line.at[i] != '\t')
            return false;
    }
    return digits.bytes > 0;
}

static enum reference read_trailers(struct reference_text *rest)
{
    struct reference_head unused = {.hosts = 0};
    struct headers seen = {.lengths = 0};
    struct reference_text line;

    for (;;) {
        enum reference rc = take_line(rest, &line);
        if (rc != REFERENCE_WHOLE || line.bytes == 0)
            return rc;
        if (!read_header(line, &unused, &seen))
            return REFERENCE_BAD;
    }
}

static enum reference read_chunks(struct reference_text *rest, uint64_t *seen)
{
    for (;;) {
        struct reference_text line;
        uint64_t n;
        enum reference rc = take_line(rest, &line);
        if (rc != REFERENCE_WHOLE)
            return rc;
        if (!read_chunk_size(line, &n))
            return REFERENCE_BAD;
        if (n == 0)
            return read_trailers(rest);
        if (n >= rest->bytes || rest->bytes - n < 2)
            return REFERENCE_SHORT;
        *seen = reference_seen(*seen, rest->at, (size_t)n);
        if (memcmp(rest->at + n, "\r\n", 2) != 0)
            return REFERENCE_BAD;
        rest->at += n + 2;
        rest->bytes -= n + 2;
    }
}

enum reference reference_request(const char *data, size_t bytes, struct reference_head *ret,
                                 size_t *ret_bytes, uint64_t *ret_seen)
{
    enum reference rc = reference_head(data, bytes, ret);
    struct reference_text rest, path;
    uint64_t seen = REFERENCE_SEEN;

    if (rc != REFERENCE_WHOLE)
        return rc;
    path = path_of(ret->target);
    seen = reference_seen(seen, ret->method.at, ret->method.bytes);
    seen = reference_seen(seen, path.at, path.bytes);
    rest = (struct reference_text) {data + ret->bytes, bytes - ret->bytes};
    if (ret->is_chunked) {
        rc = read_chunks(&rest, &seen);
        if (rc != REFERENCE_WHOLE)
            return REFERENCE_UNCLEAR;
    } else if (ret->content_length != UINT64_MAX) {
        if (ret->content_length > rest.bytes)
            return REFERENCE_SHORT;
        seen = reference_seen(seen, rest.at, (size_t)ret->content_length);
        rest.at += ret->content_length;
    }
    *ret_bytes = (size_t)(rest.at - data);
    *ret_seen = seen;
    return REFERENCE_WHOLE;
}
