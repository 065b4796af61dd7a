/*
 * What no server can beat: 64 MiB (or the MiB given) through a loopback TCP connection into memory, and from there
 * by memcpy to where they could be worked on. Prints the seconds of both, of the socket and of the copy.
 *
 * All memory has been written before, and one process sends while the other receives, as with a server.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_s(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void fail(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

static char *written(size_t bytes, int with)
{
    char *memory = malloc(bytes);

    if (memory == NULL)
        fail("malloc");
    return memset(memory, with, bytes);
}

static int listen_anywhere(struct sockaddr_in *ret)
{
    socklen_t bytes = sizeof(*ret);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    *ret = (struct sockaddr_in) {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd < 0 || bind(fd, (struct sockaddr *)ret, sizeof(*ret)) < 0 || listen(fd, 1) < 0 ||
        getsockname(fd, (struct sockaddr *)ret, &bytes) < 0)
        fail("listen");
    return fd;
}

/* Twice, since the first time is the connection's warming up. */
static void send_twice(const struct sockaddr_in *to, size_t bytes)
{
    char *memory = written(bytes, 1);
    char go;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    if (fd < 0 || connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0)
        fail("connect");
    while (read(fd, &go, 1) == 1) {
        for (size_t sent = 0; sent < bytes;) {
            ssize_t n = write(fd, memory + sent, bytes - sent);
            if (n <= 0)
                fail("write");
            sent += (size_t)n;
        }
    }
    free(memory);
    (void)close(fd);
}

static void receive(int fd, char *to, size_t bytes)
{
    if (write(fd, "", 1) != 1)
        fail("write");
    for (size_t got = 0; got < bytes;) {
        ssize_t n = read(fd, to + got, bytes - got);
        if (n <= 0)
            fail("read");
        got += (size_t)n;
    }
}

int main(int argc, char **argv)
{
    size_t bytes = (argc > 1 ? strtoul(argv[1], NULL, 10) : 64) << 20;
    struct sockaddr_in address;
    int listener = listen_anywhere(&address);
    double begin, received, copied;
    char *in, *out;
    int fd;
    pid_t sender = fork();

    if (sender < 0)
        fail("fork");
    if (sender == 0) {
        send_twice(&address, bytes);
        _exit(EXIT_SUCCESS);
    }
    in = written(bytes, 2); /* behind the fork, or writing would copy pages */
    out = written(bytes, 3);
    fd = accept(listener, NULL, NULL);
    if (fd < 0)
        fail("accept");
    receive(fd, in, bytes);
    begin = now_s();
    receive(fd, in, bytes);
    received = now_s();
    memcpy(out, in, bytes);
    copied = now_s();
    (void)close(fd);
    (void)waitpid(sender, NULL, 0);
    printf("%.6f %.6f %.6f %d\n", copied - begin, received - begin, copied - received,
           out[bytes - 1]);
    free(in);
    free(out);
    return 0;
}
