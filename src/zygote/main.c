/*
 * prong-zygote: loads the kernels, forks workers that run them, kills and reaps them. One thread.
 * prong starts it with a socket on descriptor 3 and tells it what to do there.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "base/beside.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/parse.h"
#include "ipc/proto.h"
#include "sandbox/sandbox.h"
#include "worker/host.h"
#include "worker/remote.h"
#include "zygote/announce.h"
#include "zygote/loop.h"
#include "zygote/offers.h"
#include "zygote/reap.h"
#include "zygote/trial.h"

enum { EXIT_USAGE = 64, EXIT_SYSTEM = 71 };

#define TRIAL_TIMEOUT_NS (5 * CLOCK_NS_PER_S)

static const char usage[] = "Usage: prong-zygote KERNELS_DIR LOG_LEVEL [--parent PID] "
                            "[--log-format FORMAT] [--enable-fault-kernel] [--builtins DIR]\n"
                            "  [--sandbox MODE] [--sandbox-user NAME] [--sandbox-without LAYERS] "
                            "[--worker-memory BYTES]\n"
                            "It is started by prong, with a socket on descriptor 3; to compute "
                            "something, run prong.\n";

struct arguments {
    const char *kernels_dir;
    const char *builtins; /* another directory, or NULL */
    enum log_level log_level;
    enum log_format log_format;
    pid_t parent; /* 0: not given */
    bool with_fault;
    struct sandbox_config sandbox;
    uint64_t worker_bytes_max;
};

/* Its caller is a program, so whatever is wrong gets the same answer. */
static _Noreturn void refuse(const char *why)
{
    (void)fprintf(stderr, "prong-zygote: %s\n%s", why, usage);
    _exit(EXIT_USAGE);
}

static pid_t read_pid(const char *text)
{
    uint64_t pid;

    if (text == NULL || parse_u64(text, &pid) < 0 || pid < 1 || pid > INT32_MAX)
        refuse("--parent takes the pid of prong.");
    return (pid_t)pid;
}

static enum log_format read_format(const char *text)
{
    enum log_format format;

    if (text == NULL || log_format_parse(text, &format) < 0)
        refuse("--log-format takes auto, logfmt or json.");
    return format;
}

/* Of what begins with --sandbox or is --worker-memory; false for any other flag. */
static bool read_sandbox(struct arguments *a, const char *flag, const char *value)
{
    struct err err;

    if (strcmp(flag, "--sandbox") == 0) {
        if (value == NULL || layers_mode_parse(value, &a->sandbox.mode, &err) < 0)
            refuse("--sandbox takes auto, strict or off.");
    } else if (strcmp(flag, "--sandbox-without") == 0) {
        if (value == NULL || layers_parse(value, &a->sandbox.without, &err) < 0)
            refuse("--sandbox-without takes names of layers with commas between.");
    } else if (strcmp(flag, "--sandbox-user") == 0) {
        a->sandbox.user = value;
    } else if (strcmp(flag, "--worker-memory") == 0) {
        if (value == NULL || parse_u64(value, &a->worker_bytes_max) < 0)
            refuse("--worker-memory takes a number of bytes.");
    } else {
        return false;
    }
    return true;
}

static struct arguments read_arguments(int argc, char **argv)
{
    struct arguments a = {0};

    if (argc < 3)
        refuse("It needs a directory of kernels and a log level.");
    a.kernels_dir = argv[1];
    if (log_level_parse(argv[2], &a.log_level) < 0)
        refuse("The log level is debug, info, warning or error.");
    for (int i = 3; i < argc; i++) {
        if (strcmp(argv[i], "--enable-fault-kernel") == 0)
            a.with_fault = true;
        else if (strcmp(argv[i], "--builtins") == 0)
            a.builtins = argv[++i];
        else if (strcmp(argv[i], "--parent") == 0)
            a.parent = read_pid(argv[++i]);
        else if (strcmp(argv[i], "--log-format") == 0)
            a.log_format = read_format(argv[++i]);
        else if (read_sandbox(&a, argv[i], argv[i + 1]))
            i++;
        else
            refuse("There is no such flag.");
    }
    return a;
}

static void check_socket(void)
{
    socklen_t bytes = sizeof(int);
    int type = 0;

    if (getsockopt(PROTO_ZYGOTE_FD, SOL_SOCKET, SO_TYPE, &type, &bytes) < 0 ||
        type != SOCK_SEQPACKET)
        refuse("Descriptor 3 is no socket of prong's: it is started by prong.");
    (void)fcntl(PROTO_ZYGOTE_FD, F_SETFD, FD_CLOEXEC);
}

/* Dies with prong, and leaves the terminal's signals to it: they go to the whole group, and it is
 * prong who then closes the socket. */
static void bind_to_parent(pid_t parent)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        _exit(EXIT_SYSTEM);
    if (parent != 0 && getppid() != parent)
        _exit(ZYGOTE_EXIT_DONE);
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
}

/* Workers are the parallelism; a library that starts threads of its own in each would fight with
 * them. Read by these libraries when they are loaded, so before the kernels. */
static void forbid_threads(void)
{
    (void)setenv("OMP_NUM_THREADS", "1", 1);
    (void)setenv("OPENBLAS_NUM_THREADS", "1", 1);
    (void)setenv("MKL_NUM_THREADS", "1", 1);
}

/* As programs are told of it, without links and dots. NULL when there is none. */
static const char *find_beside(const char *const *places, char path[PATH_MAX])
{
    char found[PATH_MAX];

    return beside_find(places, found) < 0 ? NULL : realpath(found, path);
}

/* Of the Python SDK; NULL when it is not there. */
static const char *find_sdk(void)
{
    static const char *const places[] = {"../../src/sdk/python", "../../lib/prong/python", NULL};
    static char path[PATH_MAX];

    return find_beside(places, path);
}

static const char *find_host(void)
{
    static const char *const places[] = {"prong-host", NULL};
    static char path[PATH_MAX];

    return find_beside(places, path);
}

/* What every program may read, wherever it lies; some of it may not be there. */
static size_t list_readable(const struct arguments *a, const char *ret[3])
{
    static char path[PATH_MAX];
    const char *builtins = a->builtins == NULL ? NULL : realpath(a->builtins, path);
    const char *candidates[] = {find_sdk(), find_host(), builtins};
    size_t count = 0;

    for (size_t i = 0; i < ARRAY_SIZE(candidates); i++) {
        if (candidates[i] != NULL)
            ret[count++] = candidates[i];
    }
    return count;
}

/* Before any foreign code is loaded. */
static void prepare_sandbox(struct arguments *a, int control_fd)
{
    const char *readable[3];
    char kernels_dir[PATH_MAX];
    struct err err = {""};
    int rc;

    a->sandbox.kernels_dir = realpath(a->kernels_dir, kernels_dir);
    a->sandbox.read = readable;
    a->sandbox.read_count = list_readable(a, readable);
    rc = sandbox_prepare(&a->sandbox, &err);
    a->sandbox.kernels_dir = NULL;
    a->sandbox.read = NULL;
    if (announce_sandbox(control_fd, sandbox_report(), rc < 0 ? err.text : "") < 0)
        _exit(ZYGOTE_EXIT_DONE);
    if (rc < 0)
        _exit(EXIT_SYSTEM);
}

static void load_programs(struct registry *r, struct refusals *refused, const struct folder *folder,
                          const struct zygote_config *z)
{
    struct offers_config config = {
        .folder = folder,
        .remote = remote_functions(),
        .sdk = find_sdk(),
        .host = find_host(),
        .memory_bytes_max = z->worker_bytes_max,
        .reap_fd = z->reap_fd,
        .refuse = refusals_add,
        .refuse_arg = refused,
    };
    uint64_t patience_ns = offers_patience_ns(folder);

    if (patience_ns > 0 && announce_loading(z->control_fd, patience_ns) < 0)
        _exit(ZYGOTE_EXIT_DONE);
    offers_run(r, &config);
}

/* Those that come with prong, beside somebody's own. */
static void load_builtins(struct registry *r, struct refusals *refused, const char *dir,
                          const struct trial_config *config, const struct zygote_config *z)
{
    static struct folder folder;
    struct trial_config builtins = *config;
    struct err err;

    builtins.folder = &folder;
    if (folder_read(dir, &folder, refusals_add, refused, &err) < 0)
        log_error("no built-in kernel is loaded: %s", err.text);
    trial_run(r, &builtins);
    load_programs(r, refused, &folder, z);
}

/* The folder stays: kernels point to the limits in its manifests. */
static void load_kernels(struct registry *r, struct refusals *refused, const struct arguments *a,
                         const struct zygote_config *z)
{
    static struct folder folder;
    struct trial_config config = {
        .folder = &folder,
        .host = host_table(),
        .with_fault = a->with_fault,
        .reap_fd = z->reap_fd,
        .timeout_ns = TRIAL_TIMEOUT_NS,
        .refuse = refusals_add,
        .refuse_arg = refused,
    };
    struct err err;

    if (a->builtins != NULL)
        load_builtins(r, refused, a->builtins, &config, z);
    if (folder_read(a->kernels_dir, &folder, refusals_add, refused, &err) < 0)
        log_error("no kernel is loaded: %s", err.text);
    trial_run(r, &config);
    load_programs(r, refused, &folder, z);
    for (uint32_t i = 0; i < r->count; i++) {
        if (r->kernels[i].broken != NULL)
            log_error("kernel %s is broken: %s", r->kernels[i].kernel.name, r->kernels[i].broken);
    }
}

int main(int argc, char **argv)
{
    static struct registry registry;
    static struct refusals refused;
    struct arguments a = read_arguments(argc, argv);
    struct zygote_config config = {
        .registry = &registry,
        .control_fd = PROTO_ZYGOTE_FD,
        .log_level = (int)a.log_level,
        .worker_bytes_max = a.worker_bytes_max,
    };

    check_socket();
    bind_to_parent(a.parent);
    log_init("prong-zygote", a.log_level);
    log_set_format(a.log_format);
    forbid_threads();
    config.reap_fd = reap_open();
    if (config.reap_fd < 0) {
        log_error("SIGCHLD cannot be awaited: %s", strerror(-config.reap_fd));
        _exit(EXIT_SYSTEM);
    }
    if (announce_hello(config.control_fd) < 0)
        _exit(ZYGOTE_EXIT_DONE);
    prepare_sandbox(&a, config.control_fd);
    load_kernels(&registry, &refused, &a, &config);
    /* Loaded; from here on only the children that become programs open a path. */
    if (chdir("/") < 0 || announce_kernels(config.control_fd, &registry, &refused) < 0)
        _exit(ZYGOTE_EXIT_DONE);
    log_debug("%u kernels are ready", registry.count);
    _exit(zygote_run(&config));
}
