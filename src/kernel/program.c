#include "kernel/program.h"

#include <errno.h>

#include "base/check.h"
#include "base/clock.h"

/* Threads of libraries would fight with the workers for the cores. */
static const char *const usual[] = {
    "PATH=/usr/local/bin:/usr/bin:/bin",
    "LANG=C.UTF-8",
    "HOME=/",
    "OMP_NUM_THREADS=1",
    "OPENBLAS_NUM_THREADS=1",
    "MKL_NUM_THREADS=1",
    "NUMEXPR_NUM_THREADS=1",
    "PYTHONUNBUFFERED=1",
    "PYTHONDONTWRITEBYTECODE=1",
};

enum { ENV_MAX = ARRAY_SIZE(usual) + MANIFEST_VARIABLES_MAX + 2 };

static bool has_name_of(const char *variable, const char *other)
{
    size_t n = strcspn(other, "=") + 1;

    return strncmp(variable, other, n) == 0;
}

/* What the manifest says takes the place of the usual. */
static void put(const char **env, const char *variable)
{
    while (*env != NULL && !has_name_of(*env, variable))
        env++;
    *env = variable;
}

static int make_env(struct program *p, const char *sdk)
{
    p->env = calloc(ENV_MAX + 1, sizeof(*p->env));
    if (p->env == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < ARRAY_SIZE(usual); i++)
        put(p->env, usual[i]);
    if (sdk != NULL && asprintf(&p->python_path, "PYTHONPATH=%s", sdk) < 0) {
        p->python_path = NULL;
        return -ENOMEM;
    }
    if (sdk != NULL)
        put(p->env, p->python_path);
    for (size_t i = 0; p->manifest->environment[i] != NULL; i++)
        put(p->env, p->manifest->environment[i]);
    return 0;
}

/* A library is a word for another program, which loads it. */
static void set_words(struct program *p, const struct manifest *m, const char *host)
{
    p->path = m->program;
    p->argv = m->argv;
    if (m->kind != MANIFEST_LIBRARY)
        return;
    p->path = host;
    p->hosting[0] = "prong-host";
    p->hosting[1] = m->program;
    p->argv = p->hosting;
}

struct program *program_new(const struct manifest *m, const char *dir, const char *sdk,
                            const char *host)
{
    struct program *p = calloc(1, sizeof(*p));

    CHECK(m->kind != MANIFEST_LIMITS && (m->kind != MANIFEST_LIBRARY || host != NULL));
    if (p == NULL)
        return NULL;
    p->manifest = m;
    p->dir = dir;
    p->name = m->name;
    set_words(p, m, host);
    p->runs_once = m->kind == MANIFEST_EXEC;
    p->copies = m->copies;
    p->start_ns = m->limits.start_s * CLOCK_NS_PER_S;
    return make_env(p, sdk) < 0 ? program_free(p) : p;
}

struct program *program_free(struct program *p)
{
    if (p != NULL) {
        free(p->env);
        free(p->python_path);
    }
    free(p);
    return NULL;
}
