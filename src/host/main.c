/*
 * prong-host: one shared object as a program of its own. It speaks the frames of a program on descriptor 3,
 * so that a kernel written for the ABI can run behind the walls of a process of its own, with a sandbox of
 * its own, or be tried with prong-check.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "base/err.h"
#include "host/job.h"
#include "host/serve.h"
#include "ipc/description.h"
#include "kernel/plugin.h"

enum { PROGRAM_FD = 3 };
enum { EXIT_LOAD = 1, EXIT_USAGE = 64, EXIT_PROTOCOL = 76 }; /* the latter two as in sysexits.h */

static _Noreturn void quit(int status, const char *why)
{
    (void)fprintf(stderr, "prong-host: %s\n", why);
    exit(status);
}

static void check_usage(int argc, char **argv)
{
    socklen_t bytes = sizeof(int);
    int type = 0;

    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        (void)printf(
            "Usage: prong-host KERNEL.so\n"
            "Offers the kernel over the socket on descriptor 3: in a manifest,\n"
            "command = prong-host KERNEL.so; by hand, prong-check prong-host KERNEL.so.\n");
        exit(0);
    }
    if (argc != 2)
        quit(EXIT_USAGE, "It takes one shared object; see --help.");
    if (getsockopt(PROGRAM_FD, SOL_SOCKET, SO_TYPE, &type, &bytes) < 0 || type != SOCK_STREAM)
        quit(EXIT_USAGE, "Descriptor 3 is no stream socket; see --help.");
    (void)fcntl(PROGRAM_FD, F_SETFD, FD_CLOEXEC);
}

/* Everything that can be wrong with it shows before READY. A name without a slash is of a file here, not of
 * the system's libraries. */
static void load(const char *name, struct plugin *p, void **ret_state)
{
    CLEANUP_FREE char *path = realpath(name, NULL);
    const char *sentence;
    struct err err;

    if (path == NULL)
        quit(EXIT_LOAD, strerror(errno));
    if (plugin_load(path, p, NULL, &err) < 0 || description_check_fits(&p->kernel, &err) < 0)
        quit(EXIT_LOAD, err.text);
    if (p->kernel.init != NULL && p->kernel.init(job_host(), ret_state) != 0)
        quit(EXIT_LOAD, "Its init failed.");
    sentence = p->kernel.selftest == NULL ? NULL : p->kernel.selftest(*ret_state);
    if (sentence != NULL)
        quit(EXIT_LOAD, sentence);
}

int main(int argc, char **argv)
{
    struct plugin p = {0};
    void *state = NULL;
    struct err err = {.text = "The socket cannot be used."};

    check_usage(argc, argv);
    load(argv[1], &p, &state);
    (void)prctl(PR_SET_NAME, p.kernel.name);
    if (serve_kernel(PROGRAM_FD, &p.kernel, state, &err) < 0)
        quit(EXIT_PROTOCOL, err.text);
    return 0;
}
