#include "http/head.h"

#include <string.h>

#include "base/check.h"

enum {
    RECORD_BYTES = 64,        /* of one header line */
    OWN_RECORDS = 3,          /* of what head_hide adds */
    ANSWER_HEAD_BYTES = 2048, /* for the head of the answer, which is made in the same memory */
    MEMORY_UNIT_BYTES = 64,
    GROW_BYTES = 1,
};

static const char cookie[] = "Cookie", no_cookies[] = "";

/* It reads into half of the memory, and when a head is not complete in what it has, makes that larger by an
 * eighth of the rest. So the records and the answer must fit into the other half, and into seven eighths of what
 * the longest head leaves. */
size_t head_memory_bytes(const struct gate_rules *rules)
{
    size_t beside =
        (size_t)RECORD_BYTES * (rules->headers_max + OWN_RECORDS) + (size_t)ANSWER_HEAD_BYTES;
    size_t bytes = MAX(2 * beside, rules->header_bytes_max + beside / 7 * 8 + 8);

    return (bytes + MEMORY_UNIT_BYTES - 1) / MEMORY_UNIT_BYTES * MEMORY_UNIT_BYTES;
}

size_t head_options(const struct gate_rules *rules, struct MHD_OptionItem *out)
{
    size_t n = 0;

    out[n++] = (struct MHD_OptionItem) {MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                                        (intptr_t)head_memory_bytes(rules), NULL};
    /* It would make room to read on before it has to. */
    out[n++] = (struct MHD_OptionItem) {MHD_OPTION_CONNECTION_MEMORY_INCREMENT, GROW_BYTES, NULL};
    /* Where the gate cannot see how lines end, the library must judge it. 1.0 has a newer option for the same, which
     * those who build with older headers lack. */
    if (!rules->knows_layout)
        out[n++] = (struct MHD_OptionItem) {MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL};
    CHECK(n <= HEAD_OPTIONS_MAX);
    return n;
}

/* libmicrohttpd's memory, which it hands out as if it were not to be written to. */
static char *writable(const char *text)
{
    union {
        const char *in;
        char *out;
    } u = {.in = text};

    return u.out;
}

/* It takes the arguments apart when it comes back from the callback, up to the first NUL; and of several Cookie lines
 * only the first. */
void head_hide(const char *uri, struct MHD_Connection *connection)
{
    const char *query = strchr(uri, '?');

    if (query != NULL)
        writable(query)[1] = '\0';
    (void)MHD_set_connection_value_n(connection, MHD_HEADER_KIND, cookie, sizeof(cookie) - 1,
                                     no_cookies, 0);
}

static enum MHD_Result pass_header(void *arg, enum MHD_ValueKind kind, const char *name,
                                   size_t name_bytes, const char *value, size_t value_bytes)
{
    (void)kind;
    if (value == no_cookies)
        return MHD_YES;
    return gate_header(arg, name, name_bytes, writable(value == NULL ? "" : value), value_bytes)
               ? MHD_YES
               : MHD_NO;
}

void head_judge(struct gate *g, const struct gate_rules *rules, struct gate_line *line,
                struct request_headers *headers, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);

    line->head_bytes = info == NULL ? 0 : info->header_size;
    gate_open(g, rules, line, headers);
    (void)MHD_get_connection_values_n(connection, MHD_HEADER_KIND, pass_header, g);
    (void)gate_close(g);
}
