#include "healthcheck.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/check.h"

enum { PATIENCE_S = 3, ANSWER_BYTES = 16 };

static const char request[] = "GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

static int complain(const char *what, const char *why)
{
    fprintf(stderr, "prong: healthcheck: %s: %s\n", what, why);
    return -1;
}

/* "[::1]:80" and "1.2.3.4:80" taken apart, in place. */
static int split(char *listen, const char **ret_host, const char **ret_port)
{
    char *colon = strrchr(listen, ':');
    size_t n;

    if (colon == NULL)
        return -EINVAL;
    *colon = '\0';
    n = strlen(listen);
    if (n >= 2 && listen[0] == '[' && listen[n - 1] == ']') {
        listen[n - 1] = '\0';
        listen++;
    }
    if (strcmp(listen, "0.0.0.0") == 0)
        *ret_host = "127.0.0.1";
    else if (strcmp(listen, "::") == 0)
        *ret_host = "::1";
    else
        *ret_host = listen;
    *ret_port = colon + 1;
    return 0;
}

static int judge(const char *answer)
{
    return strncmp(answer, "HTTP/1.1 200", 12) == 0 ? 0 : complain("not well", answer);
}

static int ask_plainly(int fd)
{
    char answer[ANSWER_BYTES] = "";

    if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) < 0 ||
        recv(fd, answer, sizeof(answer) - 1, MSG_WAITALL) < 0)
        return complain("no answer", strerror(errno));
    return judge(answer);
}

static int talk(gnutls_session_t session)
{
    char answer[ANSWER_BYTES] = "";
    size_t n = 0;
    ssize_t rc = gnutls_handshake(session);

    if (rc < 0)
        return complain("no TLS", gnutls_strerror((int)rc));
    rc = gnutls_record_send(session, request, sizeof(request) - 1);
    while (rc > 0 && n < sizeof(answer) - 1) {
        rc = gnutls_record_recv(session, answer + n, sizeof(answer) - 1 - n);
        n += rc > 0 ? (size_t)rc : 0;
    }
    return rc < 0 ? complain("no answer", gnutls_strerror((int)rc)) : judge(answer);
}

static int ask_by_tls(int fd)
{
    gnutls_certificate_credentials_t credentials = NULL;
    gnutls_session_t session = NULL;
    int rc = gnutls_certificate_allocate_credentials(&credentials);

    if (rc == 0)
        rc = gnutls_init(&session, GNUTLS_CLIENT | GNUTLS_NO_SIGNAL);
    if (rc == 0)
        rc = gnutls_set_default_priority(session);
    if (rc == 0)
        rc = gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials);
    if (rc == 0) {
        gnutls_transport_set_int(session, fd);
        gnutls_handshake_set_timeout(session, PATIENCE_S * 1000);
        rc = talk(session);
    } else {
        rc = complain("no TLS", gnutls_strerror(rc));
    }
    if (session != NULL)
        gnutls_deinit(session);
    if (credentials != NULL)
        gnutls_certificate_free_credentials(credentials);
    return rc;
}

static int ask(const struct addrinfo *address, bool tls)
{
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    CLEANUP_FD int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
        connect(fd, address->ai_addr, address->ai_addrlen) < 0)
        return complain("cannot connect", strerror(errno));
    return tls ? ask_by_tls(fd) : ask_plainly(fd);
}

int healthcheck(const char *listen, bool tls)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    CLEANUP_FREE char *copy = strdup(listen);
    struct addrinfo *address;
    const char *host, *port;
    int rc;

    if (copy == NULL || split(copy, &host, &port) < 0)
        return complain("--listen", "is not ADDRESS:PORT");
    rc = getaddrinfo(host, port, &hints, &address);
    if (rc != 0)
        return complain(host, gai_strerror(rc));
    rc = ask(address, tls);
    freeaddrinfo(address);
    return rc;
}
