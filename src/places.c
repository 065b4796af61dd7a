#include "places.h"

#include <errno.h>
#include <pwd.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "base/beside.h"
#include "base/check.h"

static bool exists(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0;
}

static bool is_same(const char *a, const char *b)
{
    struct stat x, y;

    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static int find_program(const char *name, const char *const *places, char ret[PATH_MAX],
                        struct err *err)
{
    char folder[PATH_MAX];
    int rc = beside_folder(folder);

    if (rc < 0)
        return err_set(err, rc, "Cannot find this program's own folder: is /proc mounted?");
    if (beside_find(places, ret) < 0)
        return err_set(err, -ENOENT, "There is no %s beside %s/prong: run make, or make install.",
                       name, folder);
    return 0;
}

/* See places_find. */
static int find_kernels(struct places *p, const char **kernels, const char **builtins,
                        struct err *err)
{
    static const char *const folders[] = {"kernels", "../lib/prong/kernels", NULL};

    if (*builtins == NULL && beside_find(folders, p->kernels) == 0)
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
    int rc = find_program("prong-zygote", zygotes, p->zygote, err);

    if (rc == 0)
        rc = find_kernels(p, kernels, builtins, err);
    if (rc < 0)
        return rc;
    if (*www != NULL && !exists(*www))
        return err_set(err, -ENOENT, "There is no directory %s: --www names the pages.", *www);
    if (*www == NULL && beside_find(www_folders, p->www) == 0)
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

    return find_program("prong-client", clients, ret, err);
}
