/*
 * F3, http's own. One form of a file (as it is, or compressed), and the answers that are made of it. One thread.
 */
#ifndef HTTP_STATIC_FILE_H
#define HTTP_STATIC_FILE_H

#include "http/request.h"
#include "http/static_conditional.h"
#include "http/static_encoding.h"
#include "http/static_open.h"
#include "http/static_range.h"
#include "http/static_type.h"

struct static_body;

/* What all forms of a file have in common. */
struct static_traits {
    const struct static_type *type;
    bool is_immutable;   /* its name says that it never changes */
    bool is_negotiated;  /* there are several forms */
    bool is_date_unique; /* of this form, among them */
};

struct static_file {
    enum static_encoding encoding;
    struct static_traits traits;
    struct static_validators validators;
    char date[STATIC_DATE_BYTES]; /* Last-Modified */
    uint64_t bytes;
    struct static_body *body; /* its bytes, or NULL when they are sent from `fd` */
    int fd;                   /* of the response `ok` */
    struct MHD_Response *ok, *not_modified;
    time_t dated[2]; /* the Date that each has */
};

/* Takes the fd, also when it fails: NULL when there is no memory, or when the file has become shorter than `v` says.
 * Up to STATIC_MEMORY_BYTES_MAX it is read into memory and the fd is closed. */
struct static_file *static_file_new(int fd, const struct static_version *v,
                                    enum static_encoding encoding,
                                    const struct static_traits *traits);
struct static_file *static_file_free(struct static_file *file);

/* Answers r with `file`, which must live until the answer is queued. */
void static_file_answer(struct static_file *file, struct request *r);

/* The same with a file that is not kept: it is taken. */
void static_file_answer_once(struct static_file *file, struct request *r);

/* 503: there is no memory or no descriptor for a file, which may be there. */
void static_respond_shortage(struct request *r);

#endif
