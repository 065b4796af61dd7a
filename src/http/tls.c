#include "http/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <microhttpd.h>
#include <string.h>
#include <sys/stat.h>

#include "base/check.h"
#include "base/fd.h"

enum { FILE_BYTES_MAX = 1 << 20 };

static int complain(struct err *err, int rc, const char *option, const char *path)
{
    return err_set(err, rc, "%s %s: %s", option, path, strerror(-rc));
}

/* The file as a text. */
static int read_file(const char *option, const char *path, bool is_secret, char **ret,
                     size_t *ret_bytes, struct err *err)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat st;
    char *text;
    ssize_t n;

    if (fd < 0 || fstat(fd, &st) < 0)
        return complain(err, -errno, option, path);
    if (!S_ISREG(st.st_mode) || st.st_size == 0 || st.st_size > FILE_BYTES_MAX)
        return err_set(err, -EINVAL, "%s %s is no file in PEM of 1 byte to 1 MiB.", option, path);
    if (is_secret && (st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return err_set(err, -EACCES, "%s %s is open to others: chmod 600 %s", option, path, path);
    text = malloc((size_t)st.st_size + 1);
    if (text == NULL)
        return complain(err, -ENOMEM, option, path);
    n = fd_read_from_start(fd, text, (size_t)st.st_size);
    if (n != st.st_size) {
        free(text);
        return complain(err, n < 0 ? (int)n : -EIO, option, path);
    }
    text[n] = '\0';
    *ret = text;
    *ret_bytes = (size_t)st.st_size;
    return 0;
}

/* Here, because libmicrohttpd would only say that it does not start. */
static int try_pair(const struct tls *tls, size_t cert_bytes, const char *cert_file,
                    const char *key_file, struct err *err)
{
    const gnutls_datum_t cert = {.data = (unsigned char *)tls->cert, .size = (unsigned)cert_bytes};
    const gnutls_datum_t key = {.data = (unsigned char *)tls->key,
                                .size = (unsigned)tls->key_bytes};
    gnutls_certificate_credentials_t credentials;
    int rc = gnutls_certificate_allocate_credentials(&credentials);

    if (rc < 0)
        return err_set(err, -ENOMEM, "no memory for TLS");
    rc = gnutls_certificate_set_x509_key_mem(credentials, &cert, &key, GNUTLS_X509_FMT_PEM);
    gnutls_certificate_free_credentials(credentials);
    return rc >= 0 ? 0
                   : err_set(err, -EINVAL, "--tls-cert %s and --tls-key %s cannot be used: %s",
                             cert_file, key_file, gnutls_strerror(rc));
}

static int read_pair(struct tls *tls, const char *cert_file, const char *key_file, struct err *err)
{
    size_t cert_bytes;
    int rc = read_file("--tls-cert", cert_file, false, &tls->cert, &cert_bytes, err);

    if (rc == 0)
        rc = read_file("--tls-key", key_file, true, &tls->key, &tls->key_bytes, err);
    return rc < 0 ? rc : try_pair(tls, cert_bytes, cert_file, key_file, err);
}

int tls_read(struct tls *ret, const char *cert_file, const char *key_file, struct err *err)
{
    struct tls tls = {.cert = NULL};
    int rc;

    if (cert_file == NULL && key_file == NULL) {
        *ret = tls;
        return 0;
    }
    if (cert_file == NULL || key_file == NULL)
        return err_set(err, -EINVAL, "--tls-cert and --tls-key go together: %s is missing.",
                       cert_file == NULL ? "--tls-cert" : "--tls-key");
    if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES)
        return err_set(err, -ENOTSUP,
                       "--tls-cert: this libmicrohttpd (%s) was built without TLS; use a proxy "
                       "that does https.",
                       MHD_get_version());
    rc = read_pair(&tls, cert_file, key_file, err);
    if (rc < 0)
        tls_release(&tls);
    else
        *ret = tls;
    return rc;
}

bool tls_is_on(const struct tls *tls)
{
    return tls->cert != NULL;
}

void tls_wipe_key(struct tls *tls)
{
    if (tls->key != NULL)
        explicit_bzero(tls->key, tls->key_bytes);
}

void tls_release(struct tls *tls)
{
    tls_wipe_key(tls);
    free(tls->cert);
    free(tls->key);
    *tls = (struct tls) {.cert = NULL};
}
