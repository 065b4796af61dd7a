#include "zygote/spawn.h"

#include <errno.h>
#include <signal.h>

#include "base/check.h"

pid_t spawn_child(void (*run)(void *arg), void *arg)
{
    sigset_t all, before;
    int error;
    pid_t pid;

    /* So that no signal finds the child half made, with handlers that are not its own. */
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, &before);
    pid = fork();
    if (pid == 0) {
        run(arg);
        /* Returning would run the zygote's own code twice, on the same socket. */
        check_failed("a child does not return", __FILE__, __LINE__);
    }
    error = errno;
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return pid < 0 ? -error : pid;
}
