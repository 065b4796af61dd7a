/*
 * For tests: a client that sends bytes as they are given and reads one answer at a time.
 */
#ifndef TEST_HTTP_CLIENT_H
#define TEST_HTTP_CLIENT_H

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"

enum { CLIENT_BYTES_MAX = 4 << 20, CLIENT_PATIENCE_MS = 10000 };

struct client {
    int fd;
    char *data; /* what was read and not yet given out */
    size_t bytes;
};

struct answer {
    int status;   /* 0: the connection ended before an answer */
    char *header; /* with the status line; NUL-terminated */
    char *body;   /* NUL-terminated; chunks are joined */
    size_t bytes;
};

static inline uint16_t url_port(const char *url)
{
    return (uint16_t)strtoul(strrchr(url, ':') + 1, NULL, 10);
}

/* -1 and errno when nobody listens. */
static inline int connect_to(const char *url)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons(url_port(url))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    (void)close(fd);
    return -1;
}

static inline struct client client_open(const char *url)
{
    struct client c = {.fd = connect_to(url), .data = malloc(CLIENT_BYTES_MAX + 1)};

    CHECK(c.fd >= 0 && c.data != NULL);
    return c;
}

static inline void client_close(struct client *c)
{
    (void)close(c->fd);
    free(c->data);
    *c = (struct client) {.fd = -1};
}

static inline void client_send_bytes(struct client *c, const void *data, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t n = send(c->fd, (const char *)data + done, bytes - done, MSG_NOSIGNAL);
        if (n < 0)
            return; /* the server may have closed on purpose; the answer will tell */
        done += (size_t)n;
    }
}

static inline void client_send(struct client *c, const char *text)
{
    client_send_bytes(c, text, strlen(text));
}

/* Whether anything comes, or the end, within this time. */
static inline bool client_hears(struct client *c, int ms)
{
    struct pollfd p = {.fd = c->fd, .events = POLLIN};

    return c->bytes > 0 || poll(&p, 1, ms) > 0;
}

/* False at the end, or when patience is. */
static inline bool client_more(struct client *c)
{
    struct pollfd p = {.fd = c->fd, .events = POLLIN};
    ssize_t n;

    CHECK(c->bytes < CLIENT_BYTES_MAX);
    if (poll(&p, 1, CLIENT_PATIENCE_MS) <= 0)
        return false;
    n = recv(c->fd, c->data + c->bytes, CLIENT_BYTES_MAX - c->bytes, 0);
    if (n <= 0)
        return false;
    c->bytes += (size_t)n;
    c->data[c->bytes] = '\0';
    return true;
}

/* Takes the first bytes out, as a new string. */
static inline char *client_take(struct client *c, size_t bytes)
{
    char *taken;

    while (c->bytes < bytes) {
        if (!client_more(c))
            return NULL;
    }
    taken = malloc(bytes + 1);
    CHECK(taken != NULL);
    memcpy(taken, c->data, bytes);
    taken[bytes] = '\0';
    c->bytes -= bytes;
    memmove(c->data, c->data + bytes, c->bytes + 1);
    return taken;
}

/* Up to and with the mark; NULL when it does not come. */
static inline char *client_take_to(struct client *c, const char *mark)
{
    for (;;) {
        const char *at = c->bytes == 0 ? NULL : memmem(c->data, c->bytes, mark, strlen(mark));
        if (at != NULL)
            return client_take(c, (size_t)(at - c->data) + strlen(mark));
        if (!client_more(c))
            return NULL;
    }
}

/* The value of a header, in the thread's memory; "" when absent. */
static inline const char *answer_header(const struct answer *a, const char *name)
{
    static _Thread_local char value[512];
    size_t n = strlen(name);

    for (const char *p = strstr(a->header, "\r\n"); p != NULL; p = strstr(p + 2, "\r\n")) {
        if (strncasecmp(p + 2, name, n) != 0 || p[2 + n] != ':')
            continue;
        p += 2 + n + 1;
        p += strspn(p, " ");
        (void)snprintf(value, sizeof(value), "%.*s", (int)strcspn(p, "\r"), p);
        return value;
    }
    return "";
}

static inline void answer_release(struct answer *a)
{
    free(a->header);
    free(a->body);
    *a = (struct answer) {.status = 0};
}

static inline void take_chunks(struct client *c, struct answer *a)
{
    a->body = calloc(1, 1);
    for (;;) {
        char *line = client_take_to(c, "\r\n");
        size_t n = line == NULL ? 0 : strtoul(line, NULL, 16);
        char *chunk = client_take(c, n + 2);
        free(line);
        if (chunk != NULL && n > 0) {
            a->body = realloc(a->body, a->bytes + n + 1);
            CHECK(a->body != NULL);
            memcpy(a->body + a->bytes, chunk, n);
            a->bytes += n;
            a->body[a->bytes] = '\0';
        }
        free(chunk);
        if (n == 0)
            return;
    }
}

/* The next answer; `headless` says that it is one to HEAD. */
static inline struct answer client_receive(struct client *c, bool headless)
{
    struct answer a = {.header = client_take_to(c, "\r\n\r\n")};

    if (a.header == NULL)
        return a;
    a.status = (int)strtol(a.header + strlen("HTTP/1.1 "), NULL, 10);
    if (strcasecmp(answer_header(&a, "Transfer-Encoding"), "chunked") == 0) {
        take_chunks(c, &a);
        return a;
    }
    a.bytes =
        headless || a.status == 304 ? 0 : strtoul(answer_header(&a, "Content-Length"), NULL, 10);
    a.body = client_take(c, a.bytes);
    return a;
}

/* Whether the server has closed. */
static inline bool client_is_closed(struct client *c)
{
    return c->bytes == 0 && !client_more(c);
}

#endif
