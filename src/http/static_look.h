/*
 * F3, http's own. What a path leads to on the disk, now: a file, and its compressed forms beside it.
 */
#ifndef HTTP_STATIC_LOOK_H
#define HTTP_STATIC_LOOK_H

#include "http/request.h"
#include "http/static_encoding.h"
#include "http/static_name.h"
#include "http/static_open.h"

/* The forms that a file is there in, and the version of each. */
struct static_forms {
    unsigned present; /* 1 << encoding */
    struct static_version versions[STATIC_ENCODING_COUNT];
};

bool static_forms_equal(const struct static_forms *a, const struct static_forms *b);

/* Whether there is more than the file itself, so that answers vary with Accept-Encoding. */
bool static_forms_are_many(const struct static_forms *forms);

/* Whether no other form has the same date of modification, in seconds. */
bool static_form_has_own_date(const struct static_forms *forms, enum static_encoding encoding);

struct static_look {
    char name[STATIC_NAME_BYTES + sizeof(".br")]; /* of the file itself */
    struct static_forms forms;
    int fds[STATIC_ENCODING_COUNT]; /* -1 when absent, or taken */
};

/* Opens the file under the first name that the path may stand for, and its forms. 0; -EISDIR for a directory, what
 * static_is_shortage knows, or another negative errno when there is no such file. *ret is to be closed in
 * any case. */
int static_look_at(int directory, const struct request *r, struct static_look *ret);
void static_look_close(const struct static_look *look);

#define CLEANUP_STATIC_LOOK __attribute__((cleanup(static_look_close)))

#endif
