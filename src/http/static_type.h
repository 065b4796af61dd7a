/*
 * F3, http's own, pure. Media types by the ending of a name, and what a browser must be told about them.
 */
#ifndef HTTP_STATIC_TYPE_H
#define HTTP_STATIC_TYPE_H

enum static_policy {
    STATIC_INERT,    /* a browser runs none of it */
    STATIC_SCRIPT,   /* may be a worker's, which then has the policy of its own answer */
    STATIC_PAGE,     /* HTML and XHTML */
    STATIC_DOCUMENT, /* can hold scripts, and has no need of them: SVG, XML, PDF */
};

struct static_type {
    const char *ending; /* ".html"; in any case */
    const char *media_type;
    enum static_policy policy;
};

/* application/octet-stream when the ending is not known. */
const struct static_type *static_type(const char *name);

#endif
