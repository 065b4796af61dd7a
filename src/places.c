#include "places.h"

#include <errno.h>
#include <pwd.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "base/fd.h"

static bool exists(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0;
}

/* The first of the candidates, relative to the executable's folder, that is there. */
static bool find(char out[PATH_MAX], const char *folder, const char *const *candidates)
{
    for (; *candidates != NULL; candidates++) {
        int n = snprintf(out, PATH_MAX, "%s/%s", folder, *candidates);
        if (n > 0 && n < PATH_MAX && exists(out))
            return true;
    }
    return false;
}

static int own_folder(char out[PATH_MAX])
{
    ssize_t n = readlink("/proc/self/exe", out, PATH_MAX - 1);
    char *slash;

    if (n <= 0)
        return -errno;
    out[n] = '\0';
    slash = strrchr(out, '/');
    if (slash == NULL)
        return -EINVAL;
    *slash = '\0';
    return 0;
}

static bool is_same(const char *a, const char *b)
{
    struct stat x, y;

    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* See places_find. */
static int find_kernels(struct places *p, const char *folder, const char **kernels,
                        const char **builtins, struct err *err)
{
    static const char *const folders[] = {"kernels", "../lib/prong/kernels", NULL};

    if (*builtins == NULL && find(p->kernels, folder, folders))
        *builtins = p->kernels;
    if (*builtins != NULL && strcmp(*builtins, "none") == 0)
        *builtins = NULL;
    else if (*builtins == NULL || !exists(*builtins))
        return err_set(err, -ENOENT, "There is no directory of kernels%s%s: name it by --builtins.",
                       *builtins == NULL ? "" : " ", *builtins == NULL ? "" : *builtins);
    if (*kernels != NULL && !exists(*kernels))
        return err_set(err, -ENOENT, "There is no directory of kernels %s: --kernels names yours.",
                       *kernels);
    if (*kernels == NULL && *builtins == NULL)
        return err_set(err, -EINVAL, "Without built-in kernels there must be --kernels.");
    if (*kernels == NULL)
        *kernels = *builtins;
    if (*builtins != NULL && is_same(*kernels, *builtins))
        *builtins = NULL;
    return 0;
}

int places_find(struct places *p, const char **kernels, const char **builtins, const char **www,
                struct err *err)
{
    static const char *const zygotes[] = {"prong-zygote", "../libexec/prong/prong-zygote", NULL};
    static const char *const www_folders[] = {"www", "../share/prong/www", NULL};
    char folder[PATH_MAX];
    int rc = own_folder(folder);

    if (rc < 0)
        return err_set(err, rc, "Cannot find this program's own folder: is /proc mounted?");
    if (!find(p->zygote, folder, zygotes))
        return err_set(err, -ENOENT,
                       "There is no prong-zygote beside %s/prong: run make, or make "
                       "install.",
                       folder);
    rc = find_kernels(p, folder, kernels, builtins, err);
    if (rc < 0)
        return rc;
    if (*www != NULL && !exists(*www))
        return err_set(err, -ENOENT, "There is no directory %s: --www names the pages.", *www);
    if (*www == NULL && find(p->www, folder, www_folders))
        *www = p->www;
    return 0;
}

static const char *home(void)
{
    const char *from_environment = getenv("HOME");
    const struct passwd *user;

    if (from_environment != NULL && *from_environment != '\0')
        return from_environment;
    user = getpwuid(geteuid());
    return user == NULL ? NULL : user->pw_dir;
}

int places_find_data(struct places *p, const char **data, struct err *err)
{
    const char *service = getenv("STATE_DIRECTORY"), *state = getenv("XDG_STATE_HOME");
    int n = -1;

    if (*data != NULL)
        return 0;
    if (service != NULL && *service != '\0')
        n = snprintf(p->data, PATH_MAX, "%.*s", (int)strcspn(service, ":"), service);
    else if (state != NULL && *state == '/')
        n = snprintf(p->data, PATH_MAX, "%s/prong", state);
    else if (home() != NULL)
        n = snprintf(p->data, PATH_MAX, "%s/.local/state/prong", home());
    if (n <= 0 || n >= PATH_MAX)
        return err_set(err, -EINVAL,
                       "There is no place to keep jobs and state in: name one by --data, or use "
                       "--store memory.");
    *data = p->data;
    return 0;
}

int places_find_client(char ret[PATH_MAX], struct err *err)
{
    static const char *const clients[] = {"prong-client", "../libexec/prong/prong-client", NULL};
    char folder[PATH_MAX];
    int rc = own_folder(folder);

    if (rc < 0)
        return err_set(err, rc, "Cannot find this program's own folder: is /proc mounted?");
    if (!find(ret, folder, clients))
        return err_set(err, -ENOENT,
                       "There is no prong-client beside %s/prong: run make, or make install.",
                       folder);
    return 0;
}
