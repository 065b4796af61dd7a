#include "http/gate.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/check.h"
#include "base/parse.h"
#include "http/bytes.h"

enum { VERSION_BYTES = 8 };

enum how_often { ONCE, LIST };

static const struct {
    size_t bytes;
    enum how_often how_often;
} known[HEADER_COUNT] = {
#define HEADER(id, name, how_often, judged) [HEADER_##id] = {sizeof(name) - 1, how_often},
#include "http/headers.def"
#undef HEADER
};

/* The same for all spellings of a name. */
static unsigned chain_of(const char *name, size_t bytes)
{
    unsigned first = (unsigned char)name[0] | 0x20u, last = (unsigned char)name[bytes - 1] | 0x20u;

    return ((unsigned)bytes * 5 + first * 3 + last) % GATE_CHAINS;
}

void gate_rules_init(struct gate_rules *rules, bool knows_layout, unsigned target_bytes_max,
                     unsigned header_bytes_max, unsigned headers_max)
{
    *rules = (struct gate_rules) {.knows_layout = knows_layout,
                                  .target_bytes_max = target_bytes_max,
                                  .header_bytes_max = header_bytes_max,
                                  .headers_max = headers_max};
    for (int i = 0; i < HEADER_COUNT; i++) {
        unsigned chain = chain_of(http_header_names[i], known[i].bytes);
        CHECK(known[i].bytes <= GATE_NAME_BYTES_MAX);
        rules->next[i] = rules->first[chain];
        rules->first[chain] = (uint8_t)(i + 1);
    }
}

bool gate_knows_layout(const char *library_version)
{
    static const char *const versions[] = {"0.9.75", "0.9.76", "0.9.77"};

    for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
        if (strcmp(library_version, versions[i]) == 0)
            return true;
    }
    return false;
}

static bool refuse(struct gate *g, enum problem_name name, const char *detail)
{
    g->fault = (struct gate_fault) {.name = name, .detail = detail};
    return false;
}

static bool refuse_limit(struct gate *g, enum problem_name name, const char *detail, unsigned limit,
                         const char *option)
{
    g->fault = (struct gate_fault) {name, detail, option, limit};
    return false;
}

static bool refuse_form(struct gate *g)
{
    return refuse(g, PROBLEM_BAD_REQUEST,
                  "Send a head whose lines end with CR LF, with single blanks in the request line, "
                  "no blank before a colon, no folded lines and no NUL.");
}

static bool judge_method(struct gate *g)
{
    size_t bytes;

    g->method = HTTP_METHOD_COUNT;
    for (int i = 0; i < HTTP_METHOD_COUNT; i++) {
        if (strcmp(g->line->method, http_method_names[i]) == 0) {
            g->method = (enum http_method)i;
            return true;
        }
    }
    bytes = strlen(g->line->method);
    if (bytes == 0 || bytes_span(g->line->method, bytes, BYTE_TOKEN) != bytes)
        return refuse(g, PROBLEM_BAD_REQUEST, "Send a method that is a token, such as GET.");
    return refuse(g, PROBLEM_NOT_IMPLEMENTED,
                  "Use one of the methods GET, HEAD, POST, PUT, DELETE, OPTIONS.");
}

static bool judge_version(struct gate *g)
{
    if (strcmp(g->line->version, "HTTP/1.1") == 0)
        return true;
    g->is_http_1_0 = strcmp(g->line->version, "HTTP/1.0") == 0;
    return g->is_http_1_0 || refuse(g, PROBLEM_VERSION, "Speak HTTP/1.1 or HTTP/1.0.");
}

/* Method, blank, target, blank, version, CR, LF: each blank and line end is a NUL by now. */
static bool follow_line(struct gate *g)
{
    const struct gate_line *line = g->line;
    const char *end =
        line->version + VERSION_BYTES; /* where it has a NUL, or it is another version */

    if (!g->rules->knows_layout)
        return true;
    if (line->target != line->method + strlen(line->method) + 1 ||
        line->version != line->target + line->target_bytes + 1 || end[1] != '\0')
        return refuse_form(g);
    g->next = end + 2;
    return true;
}

static bool judge_target(struct gate *g)
{
    const struct gate_line *line = g->line;
    const struct target *t = &line->parts;

    if (line->target_bytes > g->rules->target_bytes_max)
        return refuse_limit(g, PROBLEM_TARGET_TOO_LONG, "Send a shorter path and query.",
                            g->rules->target_bytes_max, "--target-max");
    if (!line->target_is_sound)
        return refuse(g, PROBLEM_BAD_REQUEST,
                      "Send a target of visible ASCII whose escapes are %xx, and not %00.");
    if (t->form == TARGET_ORIGIN || (t->form == TARGET_ASTERISK && g->method == HTTP_OPTIONS))
        return true;
    if (t->form == TARGET_ABSOLUTE)
        return target_is_authority(t->authority, t->authority_bytes) ||
               refuse(g, PROBLEM_BAD_REQUEST,
                      "Send a target whose authority is HOST or HOST:PORT.");
    return refuse(g, PROBLEM_BAD_REQUEST, "Send a path that begins with '/'.");
}

static bool judge_size(struct gate *g)
{
    return g->line->head_bytes <= g->rules->header_bytes_max ||
           refuse_limit(g, PROBLEM_HEADERS_TOO_LARGE, "Send fewer or shorter headers.",
                        g->rules->header_bytes_max, "--header-max");
}

void gate_open(struct gate *g, const struct gate_rules *rules, const struct gate_line *line,
               struct request_headers *headers)
{
    *g = (struct gate) {
        .rules = rules, .line = line, .headers = headers, .content_length = UINT64_MAX};
    bytes_clear(headers, sizeof(*headers));
    (void)(judge_method(g) && judge_version(g) && follow_line(g) && judge_target(g) &&
           judge_size(g));
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Name, colon, blanks, value, CR, LF, and all of it where the line before ended. A value that begins with a blank is
 * one that 0.9.77 has joined with the line behind it. */
static bool follows(struct gate *g, const char *name, size_t name_bytes, const char *value,
                    size_t value_bytes)
{
    const char *p = name + name_bytes + 1;

    if (name != g->next)
        return false;
    while (p < value && is_blank(*p))
        p++;
    g->next = value + value_bytes + 2;
    return p == value && !is_blank(*value) && value[value_bytes + 1] == '\0';
}

/* Of two tokens: there this bit is all that differs between the cases of a letter, and no other two are joined that
 * the names in headers.def have. */
static bool is_same_name(const char *a, const char *b, size_t bytes)
{
    const uint64_t cases = 0x2020202020202020;
    size_t i = 0;
    uint64_t v, w;

    for (; i + sizeof(v) <= bytes; i += sizeof(v)) {
        memcpy(&v, a + i, sizeof(v));
        memcpy(&w, b + i, sizeof(w));
        if ((v | cases) != (w | cases))
            return false;
    }
    while (i < bytes && (a[i] | 0x20) == (b[i] | 0x20))
        i++;
    return i == bytes;
}

/* Of a token. HEADER_COUNT when nobody reads it. */
static int find(const struct gate_rules *rules, const char *name, size_t bytes)
{
    unsigned i = rules->first[chain_of(name, bytes)];

    while (i != 0 &&
           (known[i - 1].bytes != bytes || !is_same_name(name, http_header_names[i - 1], bytes)))
        i = rules->next[i - 1];
    return i == 0 ? HEADER_COUNT : (int)i - 1;
}

static bool keep(struct gate *g, int header, char *value, size_t value_bytes)
{
    struct request_headers *h = g->headers;

    /* libmicrohttpd 0.9.75 keeps the blanks, and so takes "chunked " for something else than "chunked". */
    while (value_bytes > 0 && is_blank(value[value_bytes - 1]) &&
           header != HEADER_TRANSFER_ENCODING)
        value[--value_bytes] = '\0';
    if (h->values[header] == NULL)
        h->values[header] = value;
    else if (known[header].how_often == LIST)
        h->in_lines |= 1ull << header;
    else
        return refuse(g, PROBLEM_BAD_REQUEST, "Send each header that is no list only once.");
    return true;
}

bool gate_header(struct gate *g, const char *name, size_t name_bytes, char *value,
                 size_t value_bytes)
{
    int header;

    if (g->fault.detail != NULL)
        return false;
    if (++g->header_count > g->rules->headers_max)
        return refuse_limit(g, PROBLEM_HEADERS_TOO_LARGE, "Send fewer headers.",
                            g->rules->headers_max, "--headers-max");
    if (g->rules->knows_layout && !follows(g, name, name_bytes, value, value_bytes))
        return refuse_form(g);
    if (name_bytes == 0 || !bytes_are_token(name, name_bytes))
        return refuse(g, PROBLEM_BAD_REQUEST, "Send headers whose names are tokens.");
    if (!bytes_are_value(value, value_bytes))
        return refuse(g, PROBLEM_BAD_REQUEST, "Send headers without control bytes.");
    header = find(g->rules, name, name_bytes);
    return header == HEADER_COUNT || keep(g, header, value, value_bytes);
}

static bool judge_end(struct gate *g)
{
    return !g->rules->knows_layout ||
           (g->next + 2 == g->line->method + g->line->head_bytes && g->next[0] == '\0' &&
            g->next[1] == '\0') ||
           refuse_form(g);
}

/* An absolute target stands for Host (RFC 9112, 3.2.2). A proxy may have gone by either, so they must be one. */
static bool judge_host(struct gate *g)
{
    const char *host = g->headers->values[HEADER_HOST];
    const struct target *t = &g->line->parts;
    size_t bytes = host == NULL ? 0 : strlen(host);

    if (host == NULL)
        return g->is_http_1_0 || refuse(g, PROBLEM_BAD_REQUEST, "Send exactly one Host header.");
    if (!target_is_authority(host, bytes))
        return refuse(g, PROBLEM_BAD_REQUEST, "Send a Host header that is HOST or HOST:PORT.");
    if (t->form == TARGET_ABSOLUTE &&
        (t->authority_bytes != bytes || strncasecmp(t->authority, host, bytes) != 0))
        return refuse(g, PROBLEM_BAD_REQUEST, "Send the same host in the target and as Host.");
    return true;
}

/* The largest number means "unknown" to libmicrohttpd, and "absent" here. */
static bool judge_length(struct gate *g, const char *text)
{
    int rc = parse_u64(text, &g->content_length);

    if (rc == 0 && g->content_length != UINT64_MAX)
        return true;
    return rc == -EINVAL
               ? refuse(g, PROBLEM_BAD_REQUEST, "Send a Content-Length of digits only.")
               : refuse(g, PROBLEM_BODY_TOO_LARGE, "Send a Content-Length below 2 to the 64th.");
}

static bool judge_coding(struct gate *g, const char *coding)
{
    g->is_chunked = true;
    if (g->is_http_1_0)
        return refuse(g, PROBLEM_BAD_REQUEST, "Send Transfer-Encoding with HTTP/1.1 only.");
    return strcasecmp(coding, "chunked") == 0 ||
           refuse(g, PROBLEM_NOT_IMPLEMENTED, "Send Transfer-Encoding: chunked and nothing else.");
}

static bool judge_framing(struct gate *g)
{
    const char *length = g->headers->values[HEADER_CONTENT_LENGTH];
    const char *coding = g->headers->values[HEADER_TRANSFER_ENCODING];

    if (length != NULL && coding != NULL)
        return refuse(g, PROBLEM_BAD_REQUEST,
                      "Send either one Content-Length or one Transfer-Encoding.");
    if (length != NULL)
        return judge_length(g, length);
    return coding == NULL || judge_coding(g, coding);
}

static bool judge_expectation(struct gate *g)
{
    const char *expect = g->headers->values[HEADER_EXPECT];

    if (expect == NULL)
        return true;
    if (strcasecmp(expect, "100-continue") != 0)
        return refuse(g, PROBLEM_EXPECTATION_FAILED, "Expect 100-continue or nothing.");
    g->expects_continue = !g->is_http_1_0;
    return true;
}

bool gate_close(struct gate *g)
{
    return g->fault.detail == NULL && judge_end(g) && judge_host(g) && judge_framing(g) &&
           judge_expectation(g);
}
