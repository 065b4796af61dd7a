#include "http/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "base/check.h"
#include "base/parse.h"

enum {
    HOST_BYTES = 256,
    FIRST_INHERITED_FD = 3, /* SD_LISTEN_FDS_START */
};

/* Splits "host:port"; the brackets of "[::1]:80" go. */
static int split(const char *where, char *host, size_t capacity, char *port, size_t port_capacity)
{
    const char *colon = strrchr(where, ':');
    size_t n = colon == NULL ? 0 : (size_t)(colon - where);
    uint64_t number;

    if (n >= 2 && where[0] == '[' && where[n - 1] == ']') {
        where++;
        n -= 2;
    } else if (n > 0 && memchr(where, ':', n) != NULL) {
        return -EINVAL;
    }
    if (n == 0 || n >= capacity || parse_u64(colon + 1, &number) < 0 || number > 65535)
        return -EINVAL;
    memcpy(host, where, n);
    host[n] = '\0';
    (void)snprintf(port, port_capacity, "%u", (unsigned)number);
    return 0;
}

static bool is_loopback(const struct sockaddr *address)
{
    const struct sockaddr_in *v4 = (const void *)address;
    const struct sockaddr_in6 *v6 = (const void *)address;

    if (address->sa_family == AF_INET)
        return (ntohl(v4->sin_addr.s_addr) >> 24) == 127;
    return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

static int open_socket(const struct addrinfo *ai)
{
    CLEANUP_FD int fd =
        socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, ai->ai_protocol);
    const int on = 1;

    if (fd < 0)
        return -errno;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, SOMAXCONN) < 0)
        return -errno;
    return take_fd(&fd);
}

static int describe(int fd, char *url, size_t url_bytes)
{
    struct sockaddr_storage address;
    socklen_t bytes = sizeof(address);
    const struct sockaddr_in *v4 = (const void *)&address;
    const struct sockaddr_in6 *v6 = (const void *)&address;
    char text[INET6_ADDRSTRLEN] = "";

    if (getsockname(fd, (struct sockaddr *)&address, &bytes) < 0)
        return -errno;
    if (address.ss_family == AF_INET) {
        (void)inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
        (void)snprintf(url, url_bytes, "http://%s:%u", text, ntohs(v4->sin_port));
    } else {
        (void)inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
        (void)snprintf(url, url_bytes, "http://[%s]:%u", text, ntohs(v6->sin6_port));
    }
    return 0;
}

/* A name may stand for several addresses; IPv4 is tried first, since that is where people look for
 * "localhost". */
static int open_first(const struct addrinfo *list, bool may_face_others)
{
    static const int families[] = {AF_INET, AF_INET6};
    int fd = -EADDRNOTAVAIL;

    for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
        for (const struct addrinfo *ai = list; ai != NULL && fd < 0; ai = ai->ai_next) {
            if (ai->ai_family != families[i])
                continue;
            fd = may_face_others || is_loopback(ai->ai_addr) ? open_socket(ai) : -EPERM;
        }
    }
    return fd;
}

static int refuse_others(const char *where, struct err *err)
{
    return err_set(err, -EACCES,
                   "will not listen on \"%s\": anyone who reaches it could compute here; use a "
                   "loopback address, --token-file FILE to let in who has a token, or "
                   "--insecure to let in everybody",
                   where);
}

int listen_open(const char *where, bool may_face_others, int *ret_fd, char *url, size_t url_bytes,
                struct err *err)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    char host[HOST_BYTES], port[8];
    struct addrinfo *list;
    int fd, rc;

    if (split(where, host, sizeof(host), port, sizeof(port)) < 0)
        return err_set(err, -EINVAL,
                       "cannot listen on \"%s\": write it as 127.0.0.1:8080 or [::1]:8080", where);
    rc = getaddrinfo(host, port, &hints, &list);
    if (rc != 0)
        return err_set(err, -EINVAL, "cannot listen on \"%s\": %s", where, gai_strerror(rc));
    fd = open_first(list, may_face_others);
    freeaddrinfo(list);
    if (fd == -EPERM)
        return refuse_others(where, err);
    if (fd < 0)
        return err_set(err, fd, "cannot listen on \"%s\": %s", where, strerror(-fd));
    rc = describe(fd, url, url_bytes);
    if (rc < 0) {
        (void)close(fd);
        return err_set(err, rc, "cannot listen on \"%s\": %s", where, strerror(-rc));
    }
    *ret_fd = fd;
    return 0;
}

int listen_adopt(int fd, bool may_face_others, char *url, size_t url_bytes, struct err *err)
{
    struct sockaddr_storage address;
    socklen_t bytes = sizeof(address);
    int rc = describe(fd, url, url_bytes);

    if (rc < 0 || getsockname(fd, (struct sockaddr *)&address, &bytes) < 0)
        return err_set(err, rc < 0 ? rc : -errno, "the inherited socket has no address");
    if (!may_face_others && !is_loopback((struct sockaddr *)&address))
        return refuse_others(url, err);
    return 0;
}

/* The number of sockets that are for this process; 0 without. */
static int count_inherited(uint64_t *ret_count, struct err *err)
{
    const char *pid_text = getenv("LISTEN_PID"), *count_text = getenv("LISTEN_FDS");
    uint64_t pid;

    *ret_count = 0;
    if (pid_text == NULL || count_text == NULL)
        return 0;
    if (parse_u64(pid_text, &pid) < 0 ||
        (pid == (uint64_t)getpid() && parse_u64(count_text, ret_count) < 0))
        return err_set(err, -EINVAL, "LISTEN_PID=%s and LISTEN_FDS=%s are no numbers", pid_text,
                       count_text);
    return 0;
}

static int option_of(int fd, int name)
{
    int value = 0;
    socklen_t bytes = sizeof(value);

    return getsockopt(fd, SOL_SOCKET, name, &value, &bytes) < 0 ? -errno : value;
}

static int check_inherited(int fd, struct err *err)
{
    int family = option_of(fd, SO_DOMAIN);

    if (family < 0)
        return err_set(err, family, "LISTEN_FDS is set, but descriptor %d is no socket: %s", fd,
                       strerror(-family));
    if ((family != AF_INET && family != AF_INET6) || option_of(fd, SO_TYPE) != SOCK_STREAM ||
        option_of(fd, SO_ACCEPTCONN) != 1)
        return err_set(err, -EINVAL,
                       "the socket in LISTEN_FDS is not one that listens on TCP; write it as "
                       "ListenStream=127.0.0.1:8080, with Accept=no");
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0)
        return err_set(err, -errno, "cannot use the socket in LISTEN_FDS: %s", strerror(errno));
    return 0;
}

int listen_inherit(int *ret_fd, struct err *err)
{
    uint64_t count;
    int rc = count_inherited(&count, err);

    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDS");
    (void)unsetenv("LISTEN_FDNAMES");
    if (rc == 0 && count > 1)
        rc = err_set(err, -EINVAL,
                     "LISTEN_FDS has %llu sockets, and one is served; leave one ListenStream=",
                     (unsigned long long)count);
    if (rc == 0 && count == 1)
        rc = check_inherited(FIRST_INHERITED_FD, err);
    if (rc < 0)
        return rc;
    *ret_fd = count == 1 ? FIRST_INHERITED_FD : -1;
    return 0;
}
