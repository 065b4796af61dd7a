#include "kernel/registry.h"

#include <errno.h>

#include "base/check.h"
#include "base/err.h"
#include "ipc/description.h"

int registry_check_free(const struct registry *r, const char *name, struct err *err)
{
    if (r->count == PROTO_KERNELS_MAX)
        return err_set(err, -ENOSPC, "There are %d kernels already.", PROTO_KERNELS_MAX);
    for (uint32_t i = 0; i < r->count; i++) {
        if (strcmp(r->kernels[i].kernel.name, name) == 0)
            return err_set(err, -EEXIST, "There is a kernel called %s already.", name);
    }
    return 0;
}

int registry_add(struct registry *r, const struct prong_kernel *k, const struct prong_host *host,
                 struct err *err)
{
    struct registry_kernel *slot;
    int rc = registry_check_free(r, k->name, err);

    if (rc == 0)
        rc = description_check_fits(k, err);
    if (rc < 0)
        return rc;
    slot = &r->kernels[r->count];
    *slot = (struct registry_kernel) {.kernel = *k};
    if (k->init != NULL && k->init(host, &slot->state) != 0)
        return err_set(err, -EINVAL, "The init of kernel %s failed.", k->name);
    r->count++;
    return 0;
}

int registry_add_program(struct registry *r, const struct program *program)
{
    if (r->program_count == PROTO_PROGRAMS_MAX)
        return -ENOSPC;
    r->programs[r->program_count] = program;
    return (int)r->program_count++;
}

int registry_add_remote(struct registry *r, const struct prong_kernel *k, uint32_t place,
                        const struct registry_remote *remote, struct err *err)
{
    const struct program *program = r->programs[place];
    struct prong_kernel copy = *k;
    int rc;

    copy.flags |= DESCRIPTION_PROGRAM;
    copy.map = program->runs_once ? remote->once : k->plan == NULL ? remote->run : remote->map;
    copy.plan = k->plan == NULL ? NULL : remote->plan;
    copy.combine = k->combine == NULL ? NULL : remote->combine;
    copy.finish = k->finish == NULL ? NULL : remote->finish;
    copy.batch = NULL; /* each call crosses over for itself */
    copy.init = NULL;
    copy.selftest = NULL;
    rc = registry_add(r, &copy, NULL, err);
    if (rc < 0)
        return rc;
    r->kernels[r->count - 1].program = program;
    r->kernels[r->count - 1].program_place = place;
    return 0;
}

int registry_add_declared(struct registry *r, struct declared *d, struct err *err)
{
    int rc = registry_add(r, &d->kernel, NULL, err);

    if (rc < 0)
        (void)declared_free(d);
    else
        r->kernels[r->count - 1].declared = d;
    return rc;
}

void registry_break(struct registry *r, uint32_t index, const char *sentence)
{
    CHECK(index < r->count);
    if (r->kernels[index].broken == NULL)
        r->kernels[index].broken = strndup(sentence, DESCRIPTION_TEXT_MAX);
}

const struct registry_kernel *registry_get(const struct registry *r, uint32_t index)
{
    return index < r->count ? &r->kernels[index] : NULL;
}

void registry_release(struct registry *r)
{
    for (uint32_t i = 0; i < r->count; i++) {
        free(r->kernels[i].broken);
        (void)declared_free(r->kernels[i].declared);
    }
    r->count = r->program_count = 0;
}
