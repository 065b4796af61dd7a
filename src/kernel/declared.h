/*
 * F2, behind the wall. A kernel that is declared by data, not by code: in a manifest, or by a
 * program. Its struct prong_kernel is like that of a shared object, so everything that reads
 * declarations takes it, but its functions only say which operations there are: whoever hosts it puts
 * his own in their place. Uses base, ipc and the ABI.
 */
#ifndef KERNEL_DECLARED_H
#define KERNEL_DECLARED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/arena.h"
#include "prong/kernel.h"

struct err;

enum {
    DECLARED_BYTES_MAX = 1 << 20, /* of a text or a JSON that says nothing else */
    DECLARED_COUNT_MAX =
        8388608,                 /* numbers of a PRONG_VALUES that says nothing else, and at most */
    DECLARED_TEXT_MAX = 8 << 20, /* bytes of a text or a JSON, at most: it must fit a task */
    DECLARED_CHOICE_BYTES_MAX = 63 /* of a word of a choice */
};

enum declared_op {
    DECLARED_PLAN = 1u << 0,
    DECLARED_MAP = 1u << 1, /* always there: with no plan it is "run", all of the work */
    DECLARED_COMBINE = 1u << 2,
    DECLARED_FINISH = 1u << 3,
};

struct declared {
    struct prong_kernel kernel; /* of this ABI; its params are those below */
    struct prong_param params[PRONG_PARAMS_MAX];
    struct arena arena; /* all its texts */
};

/* A kernel of version "1" with no parameters, which does DECLARED_MAP. Free with declared_free; it
 * may not be moved. NULL when there is no memory. */
struct declared *declared_new(void);
struct declared *declared_free(struct declared *d);

/* Puts functions that fail, with a sentence, where the kernel does something (enum declared_op), and
 * NULL elsewhere. */
void declared_set_ops(struct declared *d, unsigned ops);

/* The next parameter, required, with the widest bounds of its type. `name` is copied. NULL when there
 * are PRONG_PARAMS_MAX, or no memory. */
struct prong_param *declared_add(struct declared *d, const char *name, enum prong_type type);

/* The words of a manifest and of READY: "integer" and so on, "pure" and so on. -EINVAL for another. */
int declared_type(const char *word, enum prong_type *ret);
int declared_flag(const char *word, uint32_t *ret);
const char *declared_type_name(enum prong_type type);

/* A type, a slash, a subtype, in visible ASCII, of at most PROTO_MEDIA_MAX bytes. */
bool declared_is_media_type(const char *text);

/* "integer, number, string, choice, values or json", for sentences. */
extern const char declared_type_words[], declared_flag_words[];

/* The kernel that a description tells of, to be announced and never run. NULL when there is no memory. */
struct description;
struct declared *declared_of(const struct description *about);

/* Judges it as prong will: description_check, and that its description fits. -EINVAL with a sentence. */
int declared_check(const struct declared *d, struct err *err);

#endif
