#include <string.h>

#include "kernel/builtin/page/page.h"

/*
 * A tokenizer, not a parser: it knows tags, attributes, comments and elements whose content is no text, and builds no tree.
 * What browsers would do with broken markup it does as far as the text and the links go.
 */

struct reader {
    struct page *page;
    const char *at, *end;
};

struct tag {
    const char *name;
    size_t name_size;
    bool is_end;
    const char *href; /* as it is written */
    size_t href_size;
};

static bool is_space(uint32_t c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f' || c == 0xa0;
}

static bool is_letter(char c)
{
    return (c | 32) >= 'a' && (c | 32) <= 'z';
}

static bool is_one_of(const struct tag *tag, const char *const *list)
{
    for (; *list != NULL; list++)
        if (text_is(tag->name, tag->name_size, *list))
            return true;
    return false;
}

/* ---- what is written ---- */

static void put(struct page *page, uint32_t code)
{
    struct text *t = &page->text;

    if (is_space(code)) {
        page->wants_space = true;
        return;
    }
    if (t->size + 5 > page->text_max) {
        page->is_cut = true;
        return;
    }
    if (t->size > 0 && (page->wants_line || page->wants_space))
        text_add(t, page->wants_line ? "\n" : " ", 1);
    page->wants_line = page->wants_space = false;
    text_add_code(t, code);
}

static void put_title(struct page *page, const char *from, const char *to)
{
    struct text *t = &page->title;
    bool wants_space = false;

    if (page->has_title)
        return;
    page->has_title = true;
    while (from < to && t->size + 5 < PAGE_TITLE_BYTES_MAX) {
        uint32_t code = *from == '&' ? entity_read(&from, to) : text_read(&from, to);
        if (is_space(code)) {
            wants_space = t->size > 0;
            continue;
        }
        if (wants_space)
            text_add(t, " ", 1);
        wants_space = false;
        text_add_code(t, code);
    }
}

/* ---- tags ---- */

static void skip_spaces(struct reader *r)
{
    while (r->at < r->end && is_space((uint8_t)*r->at))
        r->at++;
}

static size_t skip_until(struct reader *r, const char *stops)
{
    const char *from = r->at;

    while (r->at < r->end && strchr(stops, *r->at) == NULL)
        r->at++;
    return (size_t)(r->at - from);
}

static void read_value(struct reader *r, const char **ret, size_t *ret_size)
{
    char quote = *r->at;

    if (quote == '"' || quote == '\'') {
        const char stops[] = {quote, '\0'};
        *ret = ++r->at;
        *ret_size = skip_until(r, stops);
        r->at += r->at < r->end;
    } else {
        *ret = r->at;
        *ret_size = skip_until(r, " \t\n\r\f>");
    }
}

/* One attribute, or the '>' at which the tag ends: false then, and at the end of the page. */
static bool read_attribute(struct reader *r, struct tag *tag)
{
    const char *name, *value = NULL;
    size_t name_size, value_size = 0;

    while (r->at < r->end && (is_space((uint8_t)*r->at) || *r->at == '/'))
        r->at++;
    if (r->at == r->end || *r->at == '>')
        return false;
    name = r->at++;
    (void)skip_until(r, "= \t\n\r\f/>");
    name_size = (size_t)(r->at - name);
    skip_spaces(r);
    if (r->at < r->end && *r->at == '=') {
        r->at++;
        skip_spaces(r);
        if (r->at < r->end && *r->at != '>')
            read_value(r, &value, &value_size);
    }
    if (tag->href == NULL && value != NULL && text_is(name, name_size, "href")) {
        tag->href = value;
        tag->href_size = value_size;
    }
    return true;
}

/* `at` is at the '<'. False when the page ends within. */
static bool read_tag(struct reader *r, struct tag *ret)
{
    *ret = (struct tag) {.is_end = r->at[1] == '/'};
    r->at += 1 + ret->is_end;
    ret->name = r->at;
    ret->name_size = skip_until(r, " \t\n\r\f/>");
    while (read_attribute(r, ret))
        continue;
    if (r->at == r->end)
        return false;
    r->at++;
    return true;
}

/* Moves behind `mark`, or to the end. */
static void skip_past(struct reader *r, const char *mark)
{
    const char *found = memmem(r->at, (size_t)(r->end - r->at), mark, strlen(mark));

    r->at = found == NULL ? r->end : found + strlen(mark);
}

/* The end tag of the element that was just opened, or the end. */
static const char *find_end_tag(const struct reader *r, const struct tag *tag)
{
    for (const char *p = r->at; (size_t)(r->end - p) >= tag->name_size + 3; p++) {
        p = memchr(p, '<', (size_t)(r->end - p));
        if (p == NULL || (size_t)(r->end - p) < tag->name_size + 3)
            break;
        if (p[1] == '/' && strncasecmp(p + 2, tag->name, tag->name_size) == 0 &&
            strchr(" \t\n\r\f/>", p[2 + tag->name_size]) != NULL)
            return p;
    }
    return r->end;
}

static void take_link(struct page *page, const struct tag *tag)
{
    struct text href = {0};
    const char *at = tag->href, *end = tag->href + tag->href_size;
    bool is_base = text_is(tag->name, tag->name_size, "base");

    while (at < end && href.size <= PAGE_LINK_BYTES_MAX)
        text_add_code(&href, *at == '&' ? entity_read(&at, end) : text_read(&at, end));
    if (is_base)
        links_set_base(&page->links, href.data, href.size);
    else
        links_add(&page->links, href.data, href.size);
    text_free(&href);
}

static void open_element(struct reader *r, const struct tag *tag)
{
    static const char *const unread[] = {"script", "style", "noscript", "template",
                                         "iframe", "xmp",   "noembed",  "noframes",
                                         "svg",    "math",  NULL};
    static const char *const linking[] = {"a", "area", "base", NULL};

    if (tag->href != NULL && is_one_of(tag, linking))
        take_link(r->page, tag);
    if (text_is(tag->name, tag->name_size, "title")) {
        const char *end = find_end_tag(r, tag);
        put_title(r->page, r->at, end);
        r->at = end;
    } else if (is_one_of(tag, unread)) {
        r->at = find_end_tag(r, tag);
    }
}

static void read_element(struct reader *r)
{
    /* Around all others a word goes on. */
    static const char *const within[] = {
        "a",      "abbr", "b",   "bdi",  "bdo",   "cite", "code", "data", "del",  "dfn",   "em",
        "font",   "i",    "ins", "kbd",  "label", "mark", "q",    "s",    "samp", "small", "span",
        "strong", "sub",  "sup", "time", "tt",    "u",    "var",  "wbr",  "img",  NULL};
    struct tag tag;

    if (!read_tag(r, &tag))
        return;
    if (!is_one_of(&tag, within))
        r->page->wants_line = true;
    if (!tag.is_end)
        open_element(r, &tag);
}

/* At a '<'. False when it is only text. */
static bool read_markup(struct reader *r)
{
    size_t left = (size_t)(r->end - r->at);
    char next = left > 1 ? r->at[1] : '\0';
    char after = left > 2 ? r->at[2] : '\0';

    if (left >= 4 && memcmp(r->at, "<!--", 4) == 0) {
        r->at += 2; /* so that <!--> is one */
        skip_past(r, "-->");
    } else if (next == '!' || next == '?' || (next == '/' && left > 2 && !is_letter(after))) {
        skip_past(r, ">");
    } else if (is_letter(next) || (next == '/' && is_letter(after))) {
        read_element(r);
    } else {
        return false;
    }
    return true;
}

void html_read(struct page *page, const char *html, size_t size)
{
    struct reader r = {.page = page, .at = html, .end = html + size};

    while (r.at < r.end) {
        if (*r.at == '<' && read_markup(&r))
            continue;
        put(page, *r.at == '&' ? entity_read(&r.at, r.end) : text_read(&r.at, r.end));
    }
}

void plain_read(struct page *page, const char *text, size_t size)
{
    size_t kept = text_cut(text, size, page->text_max);

    page->is_cut = kept < size;
    text_add(&page->text, text, kept);
}
