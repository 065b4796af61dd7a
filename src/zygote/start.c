#include "zygote/start.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>

#include "base/err.h"
#include "program/values.h"
#include "sandbox/sandbox.h"
#include "zygote/spawn.h"

enum { EXIT_NOT_STARTED = 126, WORD_BYTES_MAX = 16 << 20, FILES_MAX = 256 };

struct start {
    const struct start_config *config;
    const struct program *program;
    int theirs[LEND_FD_COUNT];
};

static _Noreturn void give_up(const char *what, const char *why)
{
    (void)fprintf(stderr, "%s: %s\n", what, why);
    (void)fflush(stderr);
    _exit(EXIT_NOT_STARTED);
}

/* Afterwards it has its three streams, and on SANDBOX_FIRST_FD the socket, if it speaks frames. */
static void enter_sandbox(const struct start *s)
{
    const struct manifest_limits *limits = &s->program->manifest->limits;
    bool once = s->program->runs_once;
    struct sandbox_policy policy = {
        .kind = SANDBOX_PROGRAM,
        .memory_bytes =
            limits->memory_bytes == 0 ? s->config->memory_bytes_max : limits->memory_bytes,
        .cpu_s = limits->cpu_s,
        .nofile = FILES_MAX,
        .network = limits->network,
        .threads = limits->threads,
        .read = limits->read,
        .read_count = limits->read_count,
    };
    int nothing = once ? -1 : open("/dev/null", O_RDONLY | O_CLOEXEC);
    int stdio[] = {once ? s->theirs[LEND_SOCKET] : nothing, s->theirs[LEND_OUT],
                   s->theirs[LEND_ERR]};
    struct sandbox_rules rules = {
        .name = "prong-program",
        .policy = &policy,
        .parent = s->config->zygote,
        .stdio = stdio,
        .keep = {s->theirs[LEND_SOCKET]},
        .keep_count = once ? 0 : 1,
    };
    struct err err;

    (void)dup2(s->theirs[LEND_ERR], STDERR_FILENO);
    if (sandbox_enter(&rules, &err) < 0)
        give_up("the sandbox", err.text);
    (void)signal(SIGPIPE, SIG_DFL);
}

/* Not a byte more: what follows is the program's. */
static void read_exactly(void *out, size_t bytes)
{
    size_t done = 0;

    while (done < bytes) {
        ssize_t n = read(STDIN_FILENO, (char *)out + done, bytes - done);
        if (n == 0 || (n < 0 && errno != EINTR))
            give_up("its parameters", "they did not come");
        done += n > 0 ? (size_t)n : 0;
    }
}

/* Nobody but this child reads what a request has brought. */
static void read_values(struct values *ret)
{
    uint32_t bytes;
    char *data;

    read_exactly(&bytes, sizeof(bytes));
    if (bytes > VALUES_BYTES_MAX)
        give_up("its parameters", "they are too long");
    data = malloc(bytes + 1U);
    if (data == NULL)
        give_up("its parameters", "there is no memory");
    read_exactly(data, bytes);
    if (values_read(data, bytes, ret) < 0)
        give_up("its parameters", "they make no sense");
}

/* What manifest_fill puts words together from. */
struct filling {
    const struct values *values;
    const struct prong_kernel *kernel;
};

static int put_value(void *arg, uint32_t index, struct buf *out)
{
    const struct filling *f = arg;
    const char *text = values_find(f->values, f->kernel->params[index].name);

    return text == NULL ? -EINVAL : buf_add_text(out, text);
}

static char *make_word(struct filling *f, const char *template)
{
    struct err err = {.text = "there is no memory"};
    struct buf b;
    char *word;

    buf_init(&b, WORD_BYTES_MAX);
    if (manifest_fill(template, f->kernel, put_value, f, &b, &err) < 0 || buf_add(&b, "", 1) < 0)
        give_up("its command", err.text);
    word = buf_take(&b);
    if (word == NULL)
        give_up("its command", "there is no memory");
    return word;
}

/* The words as they stand, or with what the task gives. */
static char **make_words(const struct values *v, const struct program *program)
{
    struct filling f = {.values = v};
    bool once = program->runs_once;
    size_t count = 0;
    char **words;

    if (once)
        f.kernel = &program->manifest->declared->kernel;
    while (program->argv[count] != NULL)
        count++;
    words = calloc(count + 1, sizeof(*words));
    for (size_t i = 0; words != NULL && i < count; i++)
        words[i] = once ? make_word(&f, program->argv[i]) : (char *)(uintptr_t)program->argv[i];
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
    if (program->runs_once)
        read_values(&values);
    words = make_words(&values, program);
    env = make_environment(&values, program->env);
    if (words == NULL || env == NULL)
        give_up(program->name, "there is no memory");
    if (chdir(program->dir) < 0)
        give_up(program->dir, strerror(errno));
    (void)execve(program->path, words, env);
    give_up(program->path, strerror(errno));
}

/* All close-on-exec: the child's end is made one of its three streams, or descriptor 3. */
static int make_pipes(struct start *s, int ours[LEND_FD_COUNT])
{
    int pair[2];

    for (int i = 0; i < LEND_FD_COUNT; i++)
        ours[i] = s->theirs[i] = -1;
    if (!s->program->runs_once) {
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
            return -errno;
    } else {
        if (pipe2(pair, O_CLOEXEC) < 0)
            return -errno;
    }
    /* The child writes to a socket too, but only reads its input. */
    ours[LEND_SOCKET] = pair[s->program->runs_once];
    s->theirs[LEND_SOCKET] = pair[!s->program->runs_once];
    for (int i = LEND_OUT; i <= LEND_ERR; i++) {
        if (pipe2(pair, O_CLOEXEC) < 0)
            return -errno;
        ours[i] = pair[0];
        s->theirs[i] = pair[1];
    }
    /* Our ends do not wait, and a worker may not say so itself. */
    for (int i = 0; i < LEND_FD_COUNT; i++)
        (void)fcntl(ours[i], F_SETFL, O_NONBLOCK | fcntl(ours[i], F_GETFL));
    return 0;
}

static void close_all(int fds[LEND_FD_COUNT])
{
    for (int i = 0; i < LEND_FD_COUNT; i++) {
        check_close_fd(&fds[i]);
        fds[i] = -1;
    }
}

pid_t start_program(const struct start_config *c, uint32_t place, int ret_fds[LEND_FD_COUNT])
{
    struct start s = {.config = c, .program = c->registry->programs[place]};
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
