#include "http/request.h"

#include <errno.h>
#include <microhttpd.h>
#include <strings.h>

#include "base/check.h"
#include "base/clock.h"
#include "base/parse.h"
#include "http/connection.h"
#include "state/metrics.h"

enum { JOINED_BYTES_MAX = 32 << 10 };

const char *const http_method_names[HTTP_METHOD_COUNT + 1] = {
    [HTTP_GET] = "GET",        [HTTP_HEAD] = "HEAD",     [HTTP_POST] = "POST",
    [HTTP_PUT] = "PUT",        [HTTP_DELETE] = "DELETE", [HTTP_OPTIONS] = "OPTIONS",
    [HTTP_METHOD_COUNT] = "-",
};

const char *const http_header_names[HEADER_COUNT] = {
#define HEADER(id, name, how_often, judged) [HEADER_##id] = (name),
#include "http/headers.def"
#undef HEADER
};

struct joining {
    const char *name;
    struct buf out;
};

static enum MHD_Result join_line(void *arg, enum MHD_ValueKind kind, const char *name,
                                 const char *value)
{
    struct joining *j = arg;

    (void)kind;
    if (strcasecmp(name, j->name) == 0 && value != NULL) {
        if (j->out.size > 0)
            (void)buf_add_text(&j->out, ", ");
        (void)buf_add_text(&j->out, value);
    }
    return MHD_YES;
}

static const char *join_lines(struct request *r, enum http_header header)
{
    struct joining j = {.name = http_header_names[header]};

    if (!r->has_joined)
        memset(r->joined, 0, sizeof(r->joined));
    r->has_joined = true;
    if (r->joined[header] != NULL)
        return r->joined[header];
    buf_init(&j.out, JOINED_BYTES_MAX);
    (void)MHD_get_connection_values(r->connection, MHD_HEADER_KIND, join_line, &j);
    (void)buf_add(&j.out, "", 1);
    if (buf_failed(&j.out) < 0) {
        buf_release(&j.out);
        return r->headers.values[header];
    }
    r->joined[header] = j.out.data;
    return j.out.data;
}

const char *request_header(struct request *r, enum http_header header)
{
    if ((r->headers.in_lines & 1ull << header) != 0)
        return join_lines(r, header);
    return r->headers.values[header];
}

void request_free_joined(struct request *r)
{
    for (int i = 0; r->has_joined && i < HEADER_COUNT; i++)
        free(r->joined[i]);
}

void request_media_type(struct request *r, char *out, size_t capacity)
{
    const char *value = request_header(r, HEADER_CONTENT_TYPE);
    size_t n = value == NULL ? 0 : strcspn(value, "; \t");

    if (n >= capacity)
        n = 0;
    for (size_t i = 0; i < n; i++)
        out[i] = value[i] >= 'A' && value[i] <= 'Z' ? (char)(value[i] | 0x20) : value[i];
    out[n] = '\0';
}

/* Decoded when first asked for: most requests have none, and those for files ask for none. */
static void read_arguments(struct request *r)
{
    char *out = r->text + r->text_used;
    const char *query = r->parts_of_target.query;

    if (r->arguments != NULL)
        return;
    if (query == NULL)
        query = "";
    CHECK(target_arguments_bytes(strlen(query)) <= r->text_bytes - r->text_used);
    r->argument_count = target_arguments(query, out);
    r->arguments = out;
}

int request_each_query(struct request *r,
                       int (*each)(void *arg, const char *name, const char *value), void *arg)
{
    const char *p;
    int rc = 0;

    read_arguments(r);
    p = r->arguments;
    for (size_t i = 0; i < r->argument_count && rc == 0; i++) {
        const char *name = p, *value = name + strlen(name) + 1;
        p = value + strlen(value) + 1;
        rc = each(arg, name, value);
    }
    return rc;
}

struct query_search {
    const char *name, *value;
};

static int match_query(void *arg, const char *name, const char *value)
{
    struct query_search *search = arg;

    if (strcmp(name, search->name) != 0)
        return 0;
    search->value = value;
    return 1;
}

const char *request_query(struct request *r, const char *name)
{
    struct query_search search = {.name = name};

    (void)request_each_query(r, match_query, &search);
    return search.value;
}

/* How exactly a range of Accept names the type: 0 not at all, 1 by a star-slash-star, 2 by its first half, 3 in full. */
static int range_fit(const char *range, size_t n, const char *media_type)
{
    size_t half = strcspn(media_type, "/");

    if (n == 3 && memcmp(range, "*/*", 3) == 0)
        return 1;
    if (n == half + 2 && strncasecmp(range, media_type, half) == 0 &&
        memcmp(range + half, "/*", 2) == 0)
        return 2;
    return n == strlen(media_type) && strncasecmp(range, media_type, n) == 0 ? 3 : 0;
}

/* Whether the parameters behind a range say q=0, in any spelling. */
static bool refuses(const char *params, size_t n)
{
    const char *end = params + n;

    for (const char *p = params; p < end; p++) {
        if (*p != ';')
            continue;
        do
            p++;
        while (p < end && (*p == ' ' || *p == '\t'));
        if (end - p < 3 || strncasecmp(p, "q=0", 3) != 0)
            continue;
        p += 3;
        while (p < end && (*p == '.' || *p == '0'))
            p++;
        return p == end || *p < '1' || *p > '9';
    }
    return false;
}

bool request_accepts(struct request *r, const char *media_type)
{
    const char *p = request_header(r, HEADER_ACCEPT);
    bool accepted = false;
    int best = 0;

    if (p == NULL)
        return true;
    while (*p != '\0') {
        size_t element, range;
        p += strspn(p, ", \t");
        element = strcspn(p, ",");
        range = MIN(element, strcspn(p, "; \t"));
        if (range > 0 && range_fit(p, range, media_type) > best) {
            best = range_fit(p, range, media_type);
            accepted = !refuses(p + range, element - range);
        }
        p += element;
    }
    return accepted;
}

uint64_t request_content_length(const struct request *r)
{
    return r->content_length;
}

int request_socket(const struct request *r)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CONNECTION_FD);

    return info == NULL ? -1 : info->connect_fd;
}

bool request_park(struct request *r, void (*resumed)(struct request *r))
{
    CHECK(r->resumed == NULL);
    r->resumed = resumed;
    deadline_parked(&r->peer->deadline);
    if (!park_suspend(r->park.lot, &r->park, r->connection)) {
        r->resumed = NULL;
        return false;
    }
    metrics_add(METRIC_HTTP_PARKED, 0, 1);
    return true;
}

void request_unpark(struct request *r)
{
    CHECK(park_resume(&r->park));
}
