/*
 * Through the gate and the router, without a socket. What the gate lets in must be what the reference reads: the same
 * method, target, headers and framing, up to the same byte. What it refuses is not looked at, since refusing too
 * much shows elsewhere.
 */
#include <string.h>
#include <strings.h>

#include "api/api.h"
#include "base/check.h"
#include "harness.h"
#include "http/gate.h"
#include "http/static_conditional.h"
#include "http/static_encoding.h"
#include "http/static_name.h"
#include "http/static_range.h"
#include "http/target.h"
#include "layout.h"
#include "reference.h"

enum { TARGET_BYTES_MAX = 2048, HEAD_BYTES_MAX = 4096, HEADERS_MAX = 100 };

struct verdict {
    struct gate gate;
    struct request_headers headers;
    bool is_accepted;
};

static struct gate_rules by_layout, by_meaning;

static void judge(struct verdict *v, const struct layout *l, const struct gate_rules *rules)
{
    gate_open(&v->gate, rules, &l->line, &v->headers);
    for (unsigned i = 0; i < l->count; i++) {
        const struct layout_header *h = &l->headers[i];
        if (!gate_header(&v->gate, h->name, h->name_bytes, h->value, h->value_bytes))
            break;
    }
    v->is_accepted = gate_close(&v->gate);
    CHECK(v->is_accepted == (v->gate.fault.detail == NULL));
    CHECK(v->gate.fault.name < PROBLEM_COUNT);
}

static bool same(struct reference_text text, const char *other, size_t bytes)
{
    return text.bytes == bytes && memcmp(text.at, other, bytes) == 0;
}

static void compare(const struct verdict *v, const struct layout *l, const char *data,
                    const struct reference_head *ref)
{
    const struct gate *g = &v->gate;
    const char *method = http_method_names[g->method];

    CHECK(same(ref->method, method, strlen(method)));
    CHECK(l->line.head_bytes == ref->bytes);
    CHECK(ref->target.at - data == l->line.target - l->memory);
    CHECK(ref->target.bytes == l->line.target_bytes);
    CHECK(g->is_http_1_0 == ref->is_http_1_0);
    CHECK(g->is_chunked == ref->is_chunked);
    CHECK(g->content_length == ref->content_length);
    CHECK(l->count == ref->headers);
    CHECK(ref->hosts == 1 || (ref->hosts == 0 && ref->is_http_1_0));
    CHECK(l->count <= HEADERS_MAX && ref->bytes <= HEAD_BYTES_MAX);
}

/* Each header that is read is the first of its name; another one makes it a list of lines. */
static void check_headers(const struct verdict *v, const struct layout *l)
{
    for (int i = 0; i < HEADER_COUNT; i++) {
        unsigned times = 0;
        for (unsigned j = 0; j < l->count; j++) {
            if (strcasecmp(l->headers[j].name, http_header_names[i]) != 0)
                continue;
            CHECK(times > 0 || v->headers.values[i] == l->headers[j].value);
            times++;
        }
        CHECK(times > 0 || v->headers.values[i] == NULL);
        CHECK((times > 1) == ((v->headers.in_lines >> i & 1) != 0));
    }
}

/* What was let in, written as it should be, is let in and means the same, also where only the meaning is judged. */
static void judge_rewritten(const struct verdict *v, const struct layout *l,
                            struct reference_text target)
{
    struct buf text;
    struct layout again;
    struct verdict rewritten;

    buf_init(&text, SIZE_MAX);
    CHECK(buf_printf(&text, "%s %.*s %s\r\n", l->line.method, (int)target.bytes, target.at,
                     l->line.version) == 0);
    for (unsigned i = 0; i < l->count; i++)
        CHECK(buf_printf(&text, "%s: %s\r\n", l->headers[i].name, l->headers[i].value) == 0);
    CHECK(buf_add_text(&text, "\r\n") == 0);
    CHECK(layout_parse(&again, text.data, text.size));
    for (int i = 0; i < 2; i++) {
        judge(&rewritten, &again, i == 0 ? &by_layout : &by_meaning);
        CHECK(rewritten.is_accepted);
        CHECK(rewritten.gate.method == v->gate.method);
        CHECK(rewritten.gate.is_chunked == v->gate.is_chunked);
        CHECK(rewritten.gate.content_length == v->gate.content_length);
        CHECK(rewritten.gate.header_count == v->gate.header_count);
    }
    layout_release(&again);
    buf_release(&text);
}

/* Escaping every byte and decoding it gives the same text. */
static void check_decoding(const char *decoded, size_t bytes)
{
    CLEANUP_FREE char *escaped = malloc(3 * bytes + 1), *again = malloc(bytes + 1);

    CHECK(escaped != NULL && again != NULL);
    for (size_t i = 0; i < bytes; i++)
        (void)snprintf(escaped + 3 * i, 4, "%%%02x", (unsigned char)decoded[i]);
    CHECK(target_decode(escaped, 3 * bytes, again, bytes + 1) == (ssize_t)bytes);
    CHECK(memcmp(decoded, again, bytes) == 0);
}

/* The route's pattern with its {names} filled in is the path, segment by segment. */
static void check_parts(const char *pattern, const char *path, const char *const *parts)
{
    unsigned part = 0;

    while (*pattern == '/') {
        char decoded[TARGET_BYTES_MAX + 1];
        size_t raw = strcspn(++path, "/"), literal = strcspn(++pattern, "/");
        ssize_t n = target_decode(path, raw, decoded, sizeof(decoded));
        CHECK(path[-1] == '/' && n >= 0);
        if (*pattern == '{')
            CHECK(n > 0 && strcmp(parts[part++], decoded) == 0);
        else
            CHECK((size_t)n == literal && memcmp(pattern, decoded, literal) == 0);
        path += raw;
        pattern += literal;
    }
    CHECK(*path == '\0' && *pattern == '\0');
    CHECK(part == REQUEST_PATH_PARTS_MAX || parts[part] == NULL);
}

/* Every argument is found in the query, and nothing is written behind the room for them. */
static void check_arguments(const char *query)
{
    size_t room = target_arguments_bytes(strlen(query)), count;
    CLEANUP_FREE char *out = malloc(room);
    const char *at = out;
    unsigned expected = 0;

    CHECK(out != NULL);
    count = target_arguments(query, out);
    for (size_t i = 0; i < 2 * count; i++)
        at += strlen(at) + 1;
    CHECK(at <= out + room);
    for (const char *p = query; *p != '\0'; p++)
        expected += *p != '&' && (p == query || p[-1] == '&');
    CHECK(count == expected);
}

static void route(enum http_method method, const struct target *target)
{
    const struct router router = api_router();
    const char *parts[REQUEST_PATH_PARTS_MAX] = {NULL};
    CLEANUP_FREE char *raw = strndup(target->path, target->path_bytes);
    CLEANUP_FREE char *storage = malloc(target->path_bytes + 1);
    CLEANUP_FREE char *decoded = malloc(target->path_bytes + 1);
    const struct route *found;
    char name[STATIC_NAME_BYTES];
    unsigned allowed;
    ssize_t n;

    CHECK(raw != NULL && storage != NULL && decoded != NULL);
    n = target_decode(raw, target->path_bytes, decoded, target->path_bytes + 1);
    CHECK(n >= 0 && (size_t)n == strlen(decoded));
    check_decoding(decoded, (size_t)n);
    found = router_find(&router, method, raw, parts, storage, target->path_bytes + 1, &allowed);
    if (found != NULL)
        check_parts(found->pattern, raw, parts);
    for (unsigned i = 0; static_name(decoded, raw, i, name); i++)
        CHECK(name[0] != '/' && name[0] != '.' && strstr(name, "/.") == NULL);
    if (target->query != NULL)
        check_arguments(target->query);
}

static void read_conditions(const char *const *v)
{
    const struct static_validators file = {
        .etag = "\"1-2-3\"", .modified = 1000000000, .date_use = STATIC_DATE_ORDERS};
    const struct static_conditions conditions = {
        .if_match = v[HEADER_IF_MATCH],
        .if_unmodified_since = v[HEADER_IF_UNMODIFIED_SINCE],
        .if_none_match = v[HEADER_IF_NONE_MATCH],
        .if_modified_since = v[HEADER_IF_MODIFIED_SINCE],
    };

    (void)static_judge(&conditions, &file);
    (void)static_if_range(v[HEADER_IF_RANGE], &file);
}

static void read_range(const char *text)
{
    static const uint64_t totals[] = {0, 1, 10, UINT64_MAX};

    for (size_t i = 0; i < ARRAY_SIZE(totals); i++) {
        struct static_range range;
        if (static_range_parse(text, totals[i], &range) != STATIC_RANGE_PART)
            continue;
        CHECK(range.bytes > 0 && range.first < totals[i]);
        CHECK(range.bytes <= totals[i] - range.first);
    }
}

/* Where the values go afterwards. */
static void read_values(const struct request_headers *headers)
{
    struct request r = {.headers = *headers};
    const char *const *v = r.headers.values;
    char type[32], trace[TRACE_BYTES];

    r.headers.in_lines = 0; /* joining needs libmicrohttpd */
    (void)request_accepts(&r, "application/json");
    (void)request_accepts(&r, "text/event-stream");
    request_media_type(&r, type, sizeof(type));
    CHECK(strlen(type) < sizeof(type));
    if (v[HEADER_TRACEPARENT] != NULL && trace_continue(v[HEADER_TRACEPARENT], trace))
        CHECK(strlen(trace) == TRACE_BYTES - 1);
    read_conditions(v);
    if (v[HEADER_RANGE] != NULL)
        read_range(v[HEADER_RANGE]);
    (void)static_encoding_choose(v[HEADER_ACCEPT_ENCODING], 1u << STATIC_BR | 1u << STATIC_GZIP);
}

static void examine(const struct layout *l, const char *data, size_t bytes)
{
    struct reference_head ref;
    struct verdict v;

    judge(&v, l, &by_layout);
    if (!v.is_accepted)
        return;
    CHECK(reference_head(data, bytes, &ref) == REFERENCE_WHOLE);
    compare(&v, l, data, &ref);
    check_headers(&v, l);
    judge_rewritten(&v, l, ref.target);
    route(v.gate.method, &l->line.parts);
    read_values(&v.headers);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    gate_rules_init(&by_layout, true, TARGET_BYTES_MAX, HEAD_BYTES_MAX, HEADERS_MAX);
    gate_rules_init(&by_meaning, false, TARGET_BYTES_MAX, HEAD_BYTES_MAX, HEADERS_MAX);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t bytes)
{
    const char *data = (const char *)input;
    size_t blank = reference_blank(data, bytes);
    struct layout l;

    if (layout_parse(&l, data + blank, bytes - blank))
        examine(&l, data + blank, bytes - blank);
    layout_release(&l);
    return 0;
}
