/*
 * F3, pure. Accept-Encoding: which of the forms that a file, or what else is read like one, is there in.
 */
#ifndef HTTP_STATIC_ENCODING_H
#define HTTP_STATIC_ENCODING_H

/* The better one first: it is taken when the client likes two equally. */
enum static_encoding {
    STATIC_BR,
    STATIC_GZIP,
    STATIC_IDENTITY, /* the file itself */
    STATIC_ENCODING_COUNT
};

/* What the name of such a file ends with: ".br", ".gz", "". */
extern const char *const static_encoding_endings[STATIC_ENCODING_COUNT];

/* For Content-Encoding: "br", "gzip"; NULL for the file itself. */
extern const char *const static_encoding_names[STATIC_ENCODING_COUNT];

/* The one that the client likes best (RFC 9110, 12.5.3) among those `present` (1 << encoding); the file itself is
 * always there, and is taken when nothing is acceptable. `accept_encoding` may be NULL. */
enum static_encoding static_encoding_choose(const char *accept_encoding, unsigned present);

#endif
