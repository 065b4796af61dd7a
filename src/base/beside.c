#include "base/beside.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/check.h"

int beside_folder(char ret[PATH_MAX])
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self));
    char *slash;

    if (n < 0)
        return -errno;
    if ((size_t)n == sizeof(self))
        return -ENAMETOOLONG;
    self[n] = '\0';
    slash = strrchr(self, '/');
    if (slash == NULL)
        return -ENOENT;
    *slash = '\0';
    memcpy(ret, self, (size_t)(slash - self) + 1);
    return 0;
}

int beside_find(const char *const *places, char ret[PATH_MAX])
{
    char folder[PATH_MAX], candidate[PATH_MAX];
    struct stat st;
    int rc = beside_folder(folder);

    if (rc < 0)
        return rc;
    for (; *places != NULL; places++) {
        int n = snprintf(candidate, sizeof(candidate), "%s/%s", folder, *places);
        if (n > 0 && n < PATH_MAX && stat(candidate, &st) == 0) {
            memcpy(ret, candidate, (size_t)n + 1);
            return 0;
        }
    }
    return -ENOENT;
}
