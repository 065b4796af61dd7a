#include "api/prefer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/parse.h"

enum { WORD_BYTES = 32 }; /* of the longest name or value that means something, and more */

struct reader {
    const char *at;
    struct prefer found;
    bool has_async, has_wait; /* also when they were no good */
};

static bool is_token(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static void skip_blanks(struct reader *r)
{
    r->at += strspn(r->at, " \t");
}

static void put(char *out, size_t *n, char c)
{
    if (*n < WORD_BYTES - 1)
        out[(*n)++] = c;
    out[*n] = '\0';
}

/* False when there is none. What is too long is cut, and then means nothing to us. */
static bool read_token(struct reader *r, char *out)
{
    size_t n = 0;

    out[0] = '\0';
    while (is_token(*r->at))
        put(out, &n, *r->at++);
    return n > 0;
}

static bool read_quoted(struct reader *r, char *out)
{
    size_t n = 0;

    out[0] = '\0';
    for (r->at++; *r->at != '"'; r->at++) {
        if (*r->at == '\\' && r->at[1] != '\0')
            r->at++;
        if (*r->at == '\0')
            return false;
        put(out, &n, *r->at);
    }
    r->at++;
    return true;
}

/* name [ "=" word ]; value "" when there is none, which means the same as an empty one. */
static bool read_pair(struct reader *r, char *name, char *value)
{
    value[0] = '\0';
    if (!read_token(r, name))
        return false;
    skip_blanks(r);
    if (*r->at != '=')
        return true;
    r->at++;
    skip_blanks(r);
    return *r->at == '"' ? read_quoted(r, value) : read_token(r, value);
}

static void take(struct reader *r, const char *name, const char *value)
{
    const uint64_t longest_ns = PREFER_WAIT_MAX_S * CLOCK_NS_PER_S;
    uint64_t ns;
    int rc;

    if (strcasecmp(name, "respond-async") == 0 && !r->has_async) {
        r->has_async = true;
        r->found.respond_async = *value == '\0';
    } else if (strcasecmp(name, "wait") == 0 && !r->has_wait) {
        r->has_wait = true;
        rc = parse_seconds_ns(value, &ns);
        r->found.wait = rc != -EINVAL;
        r->found.wait_ns = rc == 0 ? MIN(ns, longest_ns) : rc == -ERANGE ? longest_ns : 0;
    }
}

/* To the comma behind this preference, which is none within quotes. */
static void skip_to_comma(struct reader *r)
{
    char ignored[WORD_BYTES];

    while (*r->at != '\0' && *r->at != ',') {
        if (*r->at == '"')
            (void)read_quoted(r, ignored);
        else
            r->at++;
    }
}

/* A preference, then parameters, of which we know none. */
static void read_preference(struct reader *r)
{
    char name[WORD_BYTES], value[WORD_BYTES];
    bool is_sound = read_pair(r, name, value);

    skip_blanks(r);
    if (is_sound && (*r->at == ';' || *r->at == ',' || *r->at == '\0'))
        take(r, name, value);
    skip_to_comma(r);
}

struct prefer prefer_read(const char *value)
{
    struct reader r = {.at = value == NULL ? "" : value};

    for (;;) {
        r.at += strspn(r.at, ", \t");
        if (*r.at == '\0')
            return r.found;
        read_preference(&r);
    }
}

void prefer_write(const struct prefer *p, bool is_late, char out[PREFER_APPLIED_BYTES])
{
    bool async = p->respond_async && is_late;
    char wait[32] = "";

    if (p->wait)
        (void)snprintf(wait, sizeof(wait), "%swait=%.10g", async ? ", " : "",
                       (double)p->wait_ns / (double)CLOCK_NS_PER_S);
    (void)snprintf(out, PREFER_APPLIED_BYTES, "%s%s", async ? "respond-async" : "", wait);
}
