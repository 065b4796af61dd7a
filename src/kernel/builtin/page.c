#include <string.h>

#include "kernel/builtin/page/page.h"
#include "prong/kernel.h"

/*
 * What is in a web page: title, links and text. The input is the page as it came; what its server said of it comes as
 * parameters. The work is done here because it is done with the bytes of strangers, in a worker that may do nothing else.
 */

enum { PARAM_CONTENT_TYPE, PARAM_BASE, PARAM_TEXT_MAX };

static const struct prong_param params[] = {
    [PARAM_CONTENT_TYPE] =
        PRONG_PARAM_TEXT("content_type", 256, "", "The Content-Type that came with it"),
    [PARAM_BASE] =
        PRONG_PARAM_TEXT("base", 8192, "", "Its URL, which relative links are relative to"),
    [PARAM_TEXT_MAX] = PRONG_PARAM_INT("text_max", 0, 64 << 20, 1 << 20, "Bytes of text, at most"),
};

enum form { NO_TEXT, PLAIN, HTML };

struct media {
    const char *type;
    size_t type_size;
    const char *charset;
    size_t charset_size;
};

static bool ends_with(const char *bytes, size_t size, const char *lower)
{
    size_t n = strlen(lower);

    return size >= n && text_is(bytes + size - n, n, lower);
}

/* "text/html; charset=utf-8" */
static struct media read_media(const char *text)
{
    struct media m = {.type = text, .type_size = strcspn(text, "; ")};
    const char *at = text + m.type_size;

    while (*at != '\0') {
        at += strspn(at, "; \t");
        if (strncasecmp(at, "charset=", 8) == 0) {
            at += 8 + (at[8] == '"' || at[8] == '\'');
            m.charset = at;
            m.charset_size = strcspn(at, "\"'; \t");
            break;
        }
        at += strcspn(at, ";");
    }
    return m;
}

static enum form guess_form(struct prong_buf input)
{
    const char *bytes = input.data;
    size_t at = 0;

    if (input.size == 0 || memchr(bytes, '\0', input.size < 512 ? input.size : 512) != NULL)
        return NO_TEXT;
    while (at < input.size && strchr(" \t\r\n\f", bytes[at]) != NULL)
        at++;
    return at < input.size && bytes[at] == '<' ? HTML : PLAIN;
}

static enum form form_of(const struct media *m, struct prong_buf input)
{
    if (m->type_size == 0)
        return guess_form(input);
    if (text_is(m->type, m->type_size, "text/html") || ends_with(m->type, m->type_size, "+xml") ||
        ends_with(m->type, m->type_size, "/xml"))
        return HTML;
    if ((m->type_size > 5 && text_is(m->type, 5, "text/")) ||
        ends_with(m->type, m->type_size, "json") || ends_with(m->type, m->type_size, "javascript"))
        return PLAIN;
    return NO_TEXT;
}

static int write_string(struct prong_ctx *ctx, const struct text *t)
{
    return prong_string(ctx, t->size == 0 ? "" : t->data, t->size);
}

static int write_title(struct prong_ctx *ctx, const struct page *page)
{
    return page->has_title && page->title.size > 0 ? write_string(ctx, &page->title)
                                                   : prong_print(ctx, "null");
}

static int write_links(struct prong_ctx *ctx, const struct links *links)
{
    const char *at = links->named.data;
    int err = 0;

    for (size_t i = 0; err == 0 && i < links->count; i++) {
        if (i > 0)
            err = prong_print(ctx, ",");
        if (err == 0)
            err = prong_string(ctx, at, strlen(at));
        at += strlen(at) + 1;
    }
    return err;
}

static int write_answer(struct prong_ctx *ctx, const struct page *page, const char *charset)
{
    int err = charset == NULL ? prong_print(ctx, "{\"charset\":null,\"title\":")
                              : prong_print(ctx, "{\"charset\":\"%s\",\"title\":", charset);

    if (err != 0 || (err = write_title(ctx, page)) != 0 ||
        (err = prong_print(ctx, ",\"links\":[")) != 0 ||
        (err = write_links(ctx, &page->links)) != 0 ||
        (err = prong_print(ctx, "],\"links_total\":%zu,\"text\":", page->links.seen_count)) != 0)
        return err;
    err = charset == NULL ? prong_print(ctx, "null") : write_string(ctx, &page->text);
    return err != 0 ? err : prong_print(ctx, ",\"text_cut\":%s}", page->is_cut ? "true" : "false");
}

static bool has_failed(const struct page *page, const struct text *decoded)
{
    return page->text.failed || page->title.failed || page->links.named.failed || decoded->failed;
}

static int map(struct prong_ctx *ctx, uint64_t lo, uint64_t hi)
{
    struct media media = read_media(prong_text(ctx, PARAM_CONTENT_TYPE));
    const char *base = prong_text(ctx, PARAM_BASE), *charset = NULL;
    struct page page = {.text_max = (size_t)prong_int(ctx, PARAM_TEXT_MAX)};
    struct text decoded = {0};
    struct prong_buf input;
    enum form form;
    int err;

    (void)lo;
    (void)hi;
    (void)prong_input(ctx, &input);
    form = form_of(&media, input);
    links_set_base(&page.links, base, strlen(base));
    if (form != NO_TEXT)
        charset = charset_decode(input.data, input.size, media.charset, media.charset_size,
                                 form == HTML, &decoded);
    if (form == HTML)
        html_read(&page, decoded.data, decoded.size);
    else if (form == PLAIN)
        plain_read(&page, decoded.data, decoded.size);
    err = has_failed(&page, &decoded) ? prong_fail(ctx, "There is no memory for this page.")
                                      : write_answer(ctx, &page, charset);
    text_free(&decoded);
    text_free(&page.text);
    text_free(&page.title);
    links_free(&page.links);
    return err;
}

static const char *selftest(void *state)
{
    static const char html[] =
        "<title>A &amp; B</title><p>caf\xc3\xa9<script>x</script><a href=../c?d#e>l";
    struct page page = {.text_max = 64};
    bool ok;

    (void)state;
    links_set_base(&page.links, "http://Example.org/a/b/", 23);
    html_read(&page, html, sizeof(html) - 1);
    ok = page.title.size == 5 && memcmp(page.title.data, "A & B", 5) == 0 && page.text.size == 7 &&
         memcmp(page.text.data, "caf\xc3\xa9\nl", 7) == 0 && page.links.count == 1 &&
         strcmp(page.links.named.data, "http://example.org/a/c?d") == 0;
    text_free(&page.text);
    text_free(&page.title);
    links_free(&page.links);
    return ok ? NULL : "A small page was misread.";
}

static const struct prong_kernel kernel = {
    .size = sizeof(kernel),
    .abi_major = PRONG_ABI_MAJOR,
    .abi_minor = PRONG_ABI_MINOR,
    .flags = PRONG_PURE | PRONG_IDEMPOTENT,
    .name = "page",
    .version = "1",
    .summary = "Finds title, links and text of a web page.",
    .example = "",
    .media_type = "application/json",
    .takes_raw = 1,
    .params = params,
    .param_count = sizeof(params) / sizeof(params[0]),
    .map = map,
    .selftest = selftest,
};

PRONG_EXPORT const struct prong_kernel *prong_kernel_entry(uint32_t host_abi_major,
                                                           uint32_t host_abi_minor)
{
    (void)host_abi_minor; /* a host with less refuses what the struct says */
    return host_abi_major == PRONG_ABI_MAJOR ? &kernel : NULL;
}
