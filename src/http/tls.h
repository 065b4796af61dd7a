/*
 * F3, http's own. The certificate and the key for https, which libmicrohttpd's GnuTLS serves. They are read once, at
 * start: a new certificate needs a new start.
 *
 * No Strict-Transport-Security is sent: a browser would keep it for every port of the name, also for those of others
 * on localhost, and who has a name for good can have a proxy say it.
 */
#ifndef HTTP_TLS_H
#define HTTP_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* 1.2 and 1.3, and nothing under 128 bits. */
#define TLS_PRIORITIES "SECURE128:+SECURE192:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

/* PEM as texts; both NULL: no TLS. */
struct tls {
    char *cert, *key;
    size_t key_bytes;
};

/* Reads both files, whose names may be NULL, and tries them. -EINVAL when one is missing, is no PEM, or does not fit the
 * other; -EACCES when others than the owner can read or write the key; -ENOTSUP when libmicrohttpd was built
 * without TLS; and what the system says, with a sentence. Without names *ret is empty. */
int tls_read(struct tls *ret, const char *cert_file, const char *key_file, struct err *err);

bool tls_is_on(const struct tls *tls);

/* Puts zeros in the key's place, once the server has its own form of it. */
void tls_wipe_key(struct tls *tls);

void tls_release(struct tls *tls);

#endif
