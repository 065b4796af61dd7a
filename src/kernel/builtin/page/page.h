/*
 * The parts of the kernel `page`, which reads what a stranger's server has sent: nothing of it is believed, and all of it
 * runs in a sandboxed worker. Like every kernel it sees prong/kernel.h and nothing else.
 */
#ifndef PAGE_H
#define PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_LINKS_MAX       100u   /* different ones that are named; the others are counted */
#define PAGE_LINK_BYTES_MAX  2048u  /* of one */
#define PAGE_LINKS_BYTES_MAX 16384u /* of all that are named */
#define PAGE_TITLE_BYTES_MAX 1024u

/* ---- text.c: UTF-8 that grows ---- */

struct text {
    char *data;
    size_t size, room;
    bool failed; /* no memory; later appends do nothing */
};

void text_add(struct text *t, const char *bytes, size_t count);
void text_add_code(struct text *t, uint32_t code); /* one that cannot be is U+FFFD */
void text_free(struct text *t);

/* Reads one character of UTF-8 and moves past it; U+FFFD for what is none. `at` must be before `end`. */
uint32_t text_read(const char **at, const char *end);

/* Where to cut so that no character is cut: at most `max`. */
size_t text_cut(const char *bytes, size_t size, size_t max);

/* Without regard to the case of ASCII letters. */
bool text_is(const char *bytes, size_t size, const char *lower);

/* ---- charset.c ---- */

/* The input as UTF-8 without NUL and control characters, and how it was read: the BOM says, else `label` (of the
 * Content-Type, may be empty), else a meta element, else what it looks like. The name is static. */
const char *charset_decode(const char *input, size_t size, const char *label, size_t label_size,
                           bool is_html, struct text *ret);

/* ---- entities.c ---- */

/* The character reference that begins with the '&' at *at, or U+0026 and one step. */
uint32_t entity_read(const char **at, const char *end);

/* ---- links.c ---- */

struct links {
    struct text named;            /* one after the other, each with a NUL */
    size_t count;                 /* of those */
    uint64_t *seen;               /* hashes of all */
    size_t seen_count, seen_room; /* seen_count: all different ones */
    struct text base;             /* what relative ones are relative to; empty: none */
};

/* Of the page, or of its base element. One that is neither http nor https is left out. */
void links_set_base(struct links *l, const char *url, size_t size);

/* The value of an href: an absolute http or https URL is made of it, or nothing. */
void links_add(struct links *l, const char *href, size_t size);
void links_free(struct links *l);

/* ---- html.c ---- */

struct page {
    struct text text, title;
    bool has_title, wants_space, wants_line;
    struct links links;
    size_t text_max;
    bool is_cut;
};

/* Reads all of it: title, text, links. */
void html_read(struct page *page, const char *html, size_t size);

/* The same for what has no tags. */
void plain_read(struct page *page, const char *text, size_t size);

#endif
