#include "http/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/check.h"

/* What is inherited is the process's: each case has one of its own, and exits with 0 when all is as it should be. */

enum { FIRST_FD = 3, FAILED = 1 };

static void in_child(int (*test)(void))
{
    pid_t pid = fork();
    int status;

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(test());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void set_variables(const char *count, pid_t pid)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%d", pid);
    (void)setenv("LISTEN_PID", text, 1);
    (void)setenv("LISTEN_FDS", count, 1);
    (void)setenv("LISTEN_FDNAMES", "web", 1);
}

static int socket_at(int fd, int type, uint32_t address, bool listens)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
    int made = socket(AF_INET, type, 0);

    if (bind(made, (struct sockaddr *)&a, sizeof(a)) < 0 || (listens && listen(made, 1) < 0))
        return -1;
    if (made == fd)
        return 0;
    return dup2(made, fd) == fd ? close(made) : -1;
}

/* Whether it is refused with this and a sentence that has that, and the variables are gone. */
static int expect_failure(int rc, const char *word)
{
    struct err err = {""};
    int fd = -7;

    return listen_inherit(&fd, &err) == rc && fd == -7 && strstr(err.text, word) != NULL &&
                   getenv("LISTEN_FDS") == NULL
               ? 0
               : FAILED;
}

static int takes_the_socket(void)
{
    struct err err = {""};
    char url[64] = "";
    int fd = -1;

    set_variables("1", getpid());
    if (socket_at(FIRST_FD, SOCK_STREAM, INADDR_LOOPBACK, true) < 0 ||
        listen_inherit(&fd, &err) < 0 || fd != FIRST_FD)
        return FAILED;
    if (getenv("LISTEN_PID") != NULL || getenv("LISTEN_FDS") != NULL ||
        getenv("LISTEN_FDNAMES") != NULL)
        return FAILED + 1;
    if ((fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0 || (fcntl(fd, F_GETFL) & O_NONBLOCK) == 0)
        return FAILED + 2;
    if (listen_adopt(fd, false, url, sizeof(url), &err) < 0 ||
        strncmp(url, "http://127.0.0.1:", 17) != 0 || strcmp(url + 17, "0") == 0)
        return FAILED + 3;
    /* Once only: what comes to stand there later is ours. */
    return listen_inherit(&fd, &err) == 0 && fd == -1 ? 0 : FAILED + 4;
}

static int finds_none(void)
{
    struct err err = {""};
    int fd = -7;

    (void)unsetenv("LISTEN_PID");
    (void)unsetenv("LISTEN_FDS");
    if (listen_inherit(&fd, &err) < 0 || fd != -1)
        return FAILED;
    set_variables("1", getppid());
    if (listen_inherit(&fd, &err) < 0 || fd != -1 || getenv("LISTEN_FDS") != NULL)
        return FAILED + 1;
    set_variables("0", getpid());
    return listen_inherit(&fd, &err) == 0 && fd == -1 ? 0 : FAILED + 2;
}

static int refuses_two(void)
{
    set_variables("2", getpid());
    return expect_failure(-EINVAL, "2 sockets");
}

static int refuses_what_is_no_number(void)
{
    set_variables("one", getpid());
    return expect_failure(-EINVAL, "LISTEN_FDS=one");
}

static int refuses_what_is_not_there(void)
{
    set_variables("1", getpid());
    (void)close(FIRST_FD);
    return expect_failure(-EBADF, "descriptor 3");
}

static int refuses_what_is_no_socket(void)
{
    set_variables("1", getpid());
    (void)dup2(open("/dev/null", O_RDONLY), FIRST_FD);
    return expect_failure(-ENOTSOCK, "descriptor 3");
}

static int refuses_what_does_not_listen(void)
{
    set_variables("1", getpid());
    if (socket_at(FIRST_FD, SOCK_STREAM, INADDR_LOOPBACK, false) < 0)
        return FAILED;
    return expect_failure(-EINVAL, "listens on TCP");
}

static int refuses_datagrams(void)
{
    set_variables("1", getpid());
    if (socket_at(FIRST_FD, SOCK_DGRAM, INADDR_LOOPBACK, false) < 0)
        return FAILED;
    return expect_failure(-EINVAL, "listens on TCP");
}

static int minds_who_can_reach_it(void)
{
    struct err err = {""};
    char url[64] = "";

    if (socket_at(FIRST_FD, SOCK_STREAM, INADDR_ANY, true) < 0 ||
        listen_adopt(FIRST_FD, false, url, sizeof(url), &err) != -EACCES)
        return FAILED;
    return listen_adopt(FIRST_FD, true, url, sizeof(url), &err) == 0 ? 0 : FAILED + 1;
}

static void the_socket_is_taken_once(void **state)
{
    (void)state;
    in_child(takes_the_socket);
}

static void without_one_there_is_none(void **state)
{
    (void)state;
    in_child(finds_none);
}

static void what_cannot_be_served_is_refused(void **state)
{
    (void)state;
    in_child(refuses_two);
    in_child(refuses_what_is_no_number);
    in_child(refuses_what_is_not_there);
    in_child(refuses_what_is_no_socket);
    in_child(refuses_what_does_not_listen);
    in_child(refuses_datagrams);
}

static void others_need_a_word(void **state)
{
    (void)state;
    in_child(minds_who_can_reach_it);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_socket_is_taken_once),
        cmocka_unit_test(without_one_there_is_none),
        cmocka_unit_test(what_cannot_be_served_is_refused),
        cmocka_unit_test(others_need_a_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
