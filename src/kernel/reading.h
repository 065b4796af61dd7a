/*
 * F2, behind the wall. Between the files that read a manifest (manifest*.c), and for nobody else.
 */
#ifndef KERNEL_READING_H
#define KERNEL_READING_H

#include "base/err.h"
#include "kernel/manifest.h"
#include "kernel/settings.h"

/* One manifest on its way. */
struct reading {
    struct manifest *m;
    const struct settings *settings;
    const char *dir; /* absolute */
    /* The first setting that declares the kernel; NULL while there is none. */
    const struct setting *declaring;
    struct err *err;
};

/* -EINVAL with "FILE, line N: …" for a setting; `line` for what is not set. */
int reading_bad(const struct reading *r, unsigned line, const char *format, ...) PRINTF_LIKE(3, 4);

/* -ENOMEM with a sentence. */
int reading_no_memory(const struct reading *r);

/* The manifest's declared kernel, made when there is none yet; NULL when there is no memory. */
struct declared *reading_declared(struct reading *r, const struct setting *why);

/* A copy in the manifest's own memory, of at most `bytes_max` bytes. Negative errno with a sentence. */
int reading_text(const struct reading *r, const struct setting *s, size_t bytes_max,
                 struct arena *arena, const char **ret);

/* A manifest of this text, as if it stood in `dir`/`file`. */
int manifest_of_text(const char *dir, const char *file, const char *text, size_t bytes,
                     struct manifest **ret, struct err *err);

/* [param NAME] of section `index` (manifest_param.c). */
int reading_param(struct reading *r, uint32_t index);

/* Where the first word or the library is, and whether all files below the directory are safe to run
 * (manifest_command.c). */
int reading_find_program(const struct reading *r, const struct setting *s);

#endif
