#include "zygote/start.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/err.h"
#include "program/values.h"
#include "worker/sandbox.h"
#include "zygote/spawn.h"

enum { EXIT_NOT_STARTED = 126, CHILD_FD = 3, WORDS_MAX = 256 };

struct start {
    const struct start_config *config;
    const struct program *program;
    const int *once_fds;
    int theirs[LEND_FD_COUNT];
};

static _Noreturn void give_up(const char *what, const char *why)
{
    (void)fprintf(stderr, "%s: %s\n", what, why);
    (void)fflush(stderr);
    _exit(EXIT_NOT_STARTED);
}

static void limit(int resource, uint64_t value)
{
    struct rlimit limit = {.rlim_cur = value, .rlim_max = value};

    if (value > 0 && setrlimit((__rlimit_resource_t)resource, &limit) < 0)
        give_up("a limit is refused", strerror(errno));
}

/* Afterwards: nothing or the input, the pipes, and on CHILD_FD the socket, or what the task gives. */
static void enter_sandbox(const struct start *s)
{
    bool once = s->once_fds != NULL;
    struct sandbox_rules rules = {
        .name = "prong-program",
        .parent = s->config->zygote,
        .keep = {once ? s->once_fds[LEND_ONCE_VALUES] : s->theirs[LEND_SOCKET],
                 s->theirs[LEND_OUT], s->theirs[LEND_ERR],
                 once ? s->once_fds[LEND_ONCE_INPUT] : -1},
        .keep_count = 4,
    };
    struct err err;

    (void)dup2(s->theirs[LEND_ERR], STDERR_FILENO);
    if (sandbox_enter(&rules, &err) < 0)
        give_up("the sandbox", err.text);
    if (dup2(CHILD_FD + LEND_OUT, STDOUT_FILENO) < 0 ||
        (once && dup2(CHILD_FD + 3, STDIN_FILENO) < 0))
        give_up("its streams", strerror(errno));
    (void)close_range(CHILD_FD + 1, ~0U, 0);
    (void)signal(SIGPIPE, SIG_DFL);
    if (!once)
        (void)fcntl(CHILD_FD, F_SETFD, 0);
}

/* Nobody but this child reads what a request has brought. */
static void read_values(struct values *ret)
{
    struct stat st;
    void *map;

    if (fstat(CHILD_FD, &st) < 0 || st.st_size < 0 || st.st_size > VALUES_BYTES_MAX)
        give_up("its parameters", "they are not there");
    ret->count = 0;
    if (st.st_size == 0)
        return;
    map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, CHILD_FD, 0);
    if (map == MAP_FAILED || values_read(map, (size_t)st.st_size, ret) < 0)
        give_up("its parameters", "they make no sense");
}

static char **make_words(const struct values *v, const char *const *template)
{
    size_t count = 0;
    char **words;

    while (template[count] != NULL)
        count++;
    words = calloc(count + 1, sizeof(*words));
    for (size_t i = 0; words != NULL && i < count; i++) {
        words[i] = values_expand(v, template[i]);
        if (words[i] == NULL)
            give_up("its command", "there is no memory");
    }
    return words;
}

static char **make_environment(const struct values *v, const char *const *given)
{
    size_t count = 0;
    char **env;

    while (given[count] != NULL)
        count++;
    env = calloc(count + v->count + 1, sizeof(*env));
    for (size_t i = 0; env != NULL && i < count; i++)
        env[i] = (char *)(uintptr_t)given[i];
    for (size_t i = 0; env != NULL && i < v->count; i++) {
        if (strlen(v->pairs[i].text) <= VALUES_VARIABLE_MAX)
            env[count++] = values_variable(&v->pairs[i]);
    }
    return env;
}

static void run_child(void *arg)
{
    const struct start *s = arg;
    const struct program *program = s->program;
    struct values values = {0};
    char **words, **env;

    enter_sandbox(s);
    if (s->once_fds != NULL) {
        read_values(&values);
        (void)fcntl(CHILD_FD, F_SETFD, FD_CLOEXEC);
    }
    words = make_words(&values, program->argv);
    env = make_environment(&values, program->env);
    if (words == NULL || env == NULL)
        give_up(program->name, "there is no memory");
    if (chdir(s->config->registry->dir) < 0)
        give_up(s->config->registry->dir, strerror(errno));
    limit(RLIMIT_AS, program->memory_bytes);
    limit(RLIMIT_CPU, program->cpu_s);
    environ = env; /* its own PATH is searched */
    (void)execvp(words[0], words);
    give_up(words[0], strerror(errno));
}

/* Both ends close-on-exec: the child's is made one of its three streams, or descriptor 3. */
static int make_pipes(struct start *s, int ours[LEND_FD_COUNT])
{
    int pair[2];

    for (int i = 0; i < LEND_FD_COUNT; i++)
        ours[i] = s->theirs[i] = -1;
    if (s->once_fds == NULL) {
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
            return -errno;
        ours[LEND_SOCKET] = pair[0];
        s->theirs[LEND_SOCKET] = pair[1];
    }
    for (int i = LEND_OUT; i <= LEND_ERR; i++) {
        if (pipe2(pair, O_CLOEXEC) < 0)
            return -errno;
        ours[i] = pair[0];
        s->theirs[i] = pair[1];
    }
    return 0;
}

static void close_all(int fds[LEND_FD_COUNT])
{
    for (int i = 0; i < LEND_FD_COUNT; i++) {
        check_close_fd(&fds[i]);
        fds[i] = -1;
    }
}

pid_t start_program(const struct start_config *c, uint32_t place, const int *once_fds,
                    int ret_fds[LEND_FD_COUNT])
{
    struct start s = {
        .config = c, .program = c->registry->programs[place], .once_fds = once_fds};
    int ours[LEND_FD_COUNT];
    pid_t pid = make_pipes(&s, ours);

    if (pid == 0)
        pid = spawn_child(run_child, &s);
    close_all(s.theirs);
    if (pid < 0)
        close_all(ours);
    else
        memcpy(ret_fds, ours, sizeof(ours));
    return pid;
}
