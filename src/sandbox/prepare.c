#include <errno.h>

#include "base/err.h"
#include "base/log.h"
#include "sandbox/internal.h"

static struct sandbox_report report;

const struct sandbox_report *sandbox_report(void)
{
    return &report;
}

static int prepare_nothing(const struct sandbox_config *config, struct err *err)
{
    (void)config;
    (void)err;
    return 0;
}

static int (*const prepares[LAYERS_COUNT])(const struct sandbox_config *config, struct err *err) = {
    prepare_nothing, /* no_new_privs: every system has that */
    prepare_nothing, /* limits */
    user_prepare,    landlock_prepare, seccomp_prepare, network_prepare, cgroup_prepare,
};

static int refuse_left_out(const struct sandbox_config *config, struct err *err)
{
    for (unsigned i = 0; i < LAYERS_COUNT; i++) {
        if (config->without & 1u << i)
            return err_set(err, -EINVAL,
                           "A strict sandbox has all its layers, but %s is to be left out; change "
                           "--sandbox or --sandbox-without.",
                           layers_name(i));
    }
    return 0;
}

/* A user that does not exist is a mistake and not the system's lack; a cgroup that is not offered is
 * nothing that a person could give in a moment. */
static bool is_fatal(const struct sandbox_config *config, uint32_t layer, int rc)
{
    if (layer == LAYER_USER && rc == -ENOENT)
        return true;
    return config->mode == LAYERS_STRICT && !(layer == LAYER_CGROUP && rc == -ENOTSUP);
}

static int prepare_layer(const struct sandbox_config *config, unsigned i, struct err *err)
{
    struct err why = {""};
    int rc = prepares[i](config, &why);

    if (rc == 0) {
        report.active |= 1u << i;
        return 0;
    }
    if (is_fatal(config, 1u << i, rc))
        return err_set(err, rc, "The sandbox has no layer %s. %s", layers_name(i), why.text);
    log_write(i == LAYERS_COUNT - 1 ? LOG_DEBUG : LOG_INFO, "the sandbox has no layer %s: %s",
              layers_name(i), why.text);
    return 0;
}

/* Without privileges the system gives these only to who can gain none. */
static uint32_t without_what_needs_it(uint32_t layers)
{
    if (layers & LAYER_NO_NEW_PRIVS)
        return layers;
    return layers & ~(uint32_t)(LAYER_LANDLOCK | LAYER_SECCOMP);
}

int sandbox_prepare(const struct sandbox_config *config, struct err *err)
{
    int rc = 0;

    report = (struct sandbox_report) {.landlock_abi = landlock_abi(), .uid = geteuid()};
    if (config->mode == LAYERS_OFF)
        return 0;
    if (config->mode == LAYERS_STRICT)
        rc = refuse_left_out(config, err);
    report.wanted = without_what_needs_it(LAYERS_ALL & ~config->without);
    for (unsigned i = 0; i < LAYERS_COUNT && rc == 0; i++) {
        if (report.wanted & 1u << i)
            rc = prepare_layer(config, i, err);
    }
    if (report.active & LAYER_USER)
        report.uid = user_uid();
    return rc;
}
