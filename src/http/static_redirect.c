#include "http/static_redirect.h"

#include <microhttpd.h>
#include <string.h>

#include "base/check.h"
#include "http/response.h"

enum { LOCATION_BYTES_MAX = 8 << 10 };

struct query {
    struct buf *out;
    bool has_any;
};

static void add_escaped(struct buf *out, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
            (c != '\0' && strchr("-._~", c) != NULL))
            (void)buf_add(out, &text[i], 1);
        else
            (void)buf_printf(out, "%%%02X", c);
    }
}

static enum MHD_Result add_argument(void *arg, enum MHD_ValueKind kind, const char *name,
                                    size_t name_bytes, const char *value, size_t value_bytes)
{
    struct query *q = arg;

    (void)kind;
    (void)buf_add_text(q->out, q->has_any ? "&" : "?");
    q->has_any = true;
    add_escaped(q->out, name, name_bytes);
    if (value != NULL) {
        (void)buf_add_text(q->out, "=");
        add_escaped(q->out, value, value_bytes);
    }
    return MHD_YES;
}

void static_redirect(struct request *r)
{
    struct buf location;
    struct query query = {.out = &location};

    buf_init(&location, LOCATION_BYTES_MAX);
    (void)buf_add_text(&location, r->target);
    (void)buf_add_text(&location, "/");
    (void)MHD_get_connection_values_n(r->connection, MHD_GET_ARGUMENT_KIND, add_argument, &query);
    (void)buf_add(&location, "", 1);
    if (buf_failed(&location) < 0) {
        respond_problem(r, PROBLEM_TARGET_TOO_LONG, NULL,
                        "This is a directory: put a slash behind its name.");
    } else {
        respond_empty(r, 308);
        respond_header(r, "Location", location.data);
    }
    buf_release(&location);
}
