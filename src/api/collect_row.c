#include "api/collect.h"
#include "base/clock.h"
#include "base/escape.h"
#include "jobs/json.h"

enum {
    ROW_BYTES_MAX = 1 << 20,
    ANSWER_BYTES_MAX = 256 << 20,
    ESCAPED_MAX = 6, /* bytes of JSON for one of text */
};

static double to_ms(uint64_t ns)
{
    return (double)(ns / CLOCK_NS_PER_US) / 1000.0;
}

/* Any bytes, as a JSON string; null for NULL. */
static void put_string(struct buf *b, const char *text)
{
    size_t bytes = text == NULL ? 0 : strlen(text) * ESCAPED_MAX;
    char *out;

    if (text == NULL) {
        (void)buf_add_text(b, "null");
        return;
    }
    (void)buf_add_text(b, "\"");
    out = buf_reserve(b, bytes + 1);
    if (out != NULL)
        b->size += escape_json(text, out, bytes + 1);
    (void)buf_add_text(b, "\"");
}

/* A member of what the kernel said, or what stands for its absence. */
static void put_about(struct buf *b, const struct collect_row *row, const char *name,
                      const char *absent)
{
    json_t *value = row->about == NULL ? NULL : json_object_get(row->about, name);
    CLEANUP_FREE char *text =
        value == NULL ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);

    (void)buf_printf(b, ",\"%s\":%s", name, text == NULL ? absent : text);
}

static void put_answer(struct buf *b, const struct fetch_page *page)
{
    (void)buf_add_text(b, ",\"status\":");
    (void)(page->status == 0 ? buf_add_text(b, "null") : buf_printf(b, "%ld", page->status));
    (void)buf_add_text(b, ",\"content_type\":");
    put_string(b, page->content_type);
    (void)buf_printf(b, ",\"bytes\":%zu,\"sha256\":", page->bytes);
    put_string(b, *page->sha256 == '\0' ? NULL : page->sha256);
}

static void put_error(struct buf *b, const struct collect_row *row)
{
    (void)buf_add_text(b, ",\"error\":");
    if (row->code == NULL) {
        (void)buf_add_text(b, "null");
        return;
    }
    (void)buf_add_text(b, "{\"code\":");
    put_string(b, row->code);
    (void)buf_add_text(b, ",\"detail\":");
    put_string(b, row->detail == NULL ? "" : row->detail);
    (void)buf_add_text(b, "}");
}

static void put_row(struct buf *b, const struct collect_row *row, bool with_index)
{
    const struct collect *c = row->collect;
    const struct fetch_page *page = &row->page;

    (void)buf_add_text(b, "{");
    if (with_index)
        (void)buf_printf(b, "\"index\":%zu,", row->index);
    (void)buf_add_text(b, "\"url\":");
    put_string(b, c->batch.urls[row->index]);
    (void)buf_add_text(b, ",\"final_url\":");
    put_string(b, page->final_url);
    put_answer(b, page);
    put_about(b, row, "charset", "null");
    put_about(b, row, "title", "null");
    put_about(b, row, "links", "[]");
    put_about(b, row, "links_total", "0");
    (void)buf_printf(b, ",\"started_ms\":%.3f,\"time_ms\":%.3f,\"processed\":%s",
                     to_ms(page->begun_ns - c->begun_ns), to_ms(page->took_ns),
                     row->processed == NULL ? "null" : row->processed);
    put_error(b, row);
    (void)buf_add_text(b, "}");
}

void collect_row_text(const struct collect_row *row, bool with_index, struct buf *ret)
{
    buf_init(ret, ROW_BYTES_MAX);
    put_row(ret, row, with_index);
}

void collect_text(const struct collect *c, struct buf *ret)
{
    buf_init(ret, ANSWER_BYTES_MAX);
    (void)buf_add_text(ret, "{\"results\":[");
    for (size_t i = 0; i < c->batch.count; i++) {
        (void)buf_add_text(ret, i > 0 ? "," : "");
        put_row(ret, &c->rows[i], false);
    }
    (void)buf_printf(ret, "],\"wall_ms\":%.3f,\"sum_ms\":%.3f}", to_ms(c->wall_ns),
                     to_ms(c->sum_ns));
}

void collect_row_fail(struct collect_row *row, const char *code, const char *detail)
{
    if (row->code != NULL)
        return;
    row->code = code;
    row->detail = strdup(detail);
}
