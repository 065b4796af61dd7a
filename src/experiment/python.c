#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"
#include "experiment/experiment.h"

/* Beside this program. */
static int find_script(char out[PATH_MAX])
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    int rc;

    if (n < 0)
        return -errno;
    self[n] = '\0';
    rc = snprintf(out, PATH_MAX, "%s.py", self);
    return rc < 0 || rc >= PATH_MAX ? -ENAMETOOLONG : 0;
}

int python_become(const char *experiment, const struct experiment_task *task)
{
    char script[PATH_MAX], n[24], workers[16];
    int rc = find_script(script);
    const char *words[] = {"python3", script, experiment, task->mode, n, workers, NULL};

    if (rc < 0)
        return rc;
    (void)snprintf(n, sizeof(n), "%llu", (unsigned long long)task->n);
    (void)snprintf(workers, sizeof(workers), "%u", task->workers);
    (void)fflush(stdout);
    (void)execvp(words[0], (char *const *)(uintptr_t)words);
    return -errno;
}
