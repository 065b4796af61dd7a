/*
 * F2, behind the wall. An INI file as a list: sections in their order, and what each sets. Knows what
 * is well formed and nothing of what it means. Uses base and inih. One thread, since inih is set up by
 * its own variables.
 */
#ifndef KERNEL_SETTINGS_H
#define KERNEL_SETTINGS_H

#include <stddef.h>
#include <stdint.h>

#include "kernel/arena.h"

struct err;

enum {
    SETTINGS_LINE_MAX = 4096, /* bytes, with the line's end */
    SETTINGS_NAME_MAX = 48,   /* bytes of a section's name and of a key: inih cuts what is longer */
    SETTINGS_SECTIONS_MAX = 64,
    SETTINGS_MAX = 512,
};

struct setting {
    const char *key, *value;
    unsigned line;
    uint32_t section; /* its index */
};

struct settings_section {
    const char *name;
    unsigned line;
};

struct settings {
    struct settings_section sections[SETTINGS_SECTIONS_MAX];
    struct setting all[SETTINGS_MAX];
    uint32_t section_count, count;
    struct arena arena; /* the texts */
};

/* Reads `bytes` of text; `file` is its name for sentences, which begin with it and the line. -EINVAL
 * with a sentence: a line that is neither [section], key = value, comment nor empty, or too long; a
 * section or a key twice; too many of them; NUL, or no UTF-8. Release `ret` in either case. */
int settings_read(struct settings *ret, const char *file, const char *text, size_t bytes,
                  struct err *err);

void settings_release(struct settings *s);

#endif
