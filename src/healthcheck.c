#include "healthcheck.h"

#include <errno.h>
#include <netdb.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/check.h"

enum { PATIENCE_S = 3 };

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

static int ask(const struct addrinfo *address)
{
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    CLEANUP_FD int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char answer[16] = "";

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
        connect(fd, address->ai_addr, address->ai_addrlen) < 0)
        return complain("cannot connect", strerror(errno));
    if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) < 0 ||
        recv(fd, answer, sizeof(answer) - 1, MSG_WAITALL) < 0)
        return complain("no answer", strerror(errno));
    if (strncmp(answer, "HTTP/1.1 200", 12) != 0)
        return complain("not well", answer);
    return 0;
}

int healthcheck(const char *listen)
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
    rc = ask(address);
    freeaddrinfo(address);
    return rc;
}
