#include "ipc/layers.h"

#include <errno.h>

#include "base/err.h"

static const char *const names[LAYERS_COUNT] = {
    "no_new_privs", "limits", "user", "landlock", "seccomp", "network", "cgroup",
};

static const char *const mode_names[] = {
    [LAYERS_AUTO] = "auto",
    [LAYERS_STRICT] = "strict",
    [LAYERS_OFF] = "off",
};

static_assert(LAYER_CGROUP == 1 << (LAYERS_COUNT - 1), "every layer has a name");

const char *layers_name(unsigned index)
{
    CHECK(index < LAYERS_COUNT);
    return names[index];
}

static uint32_t find(const char *word, size_t bytes)
{
    for (unsigned i = 0; i < LAYERS_COUNT; i++) {
        if (strlen(names[i]) == bytes && memcmp(names[i], word, bytes) == 0)
            return 1u << i;
    }
    return 0;
}

int layers_parse(const char *list, uint32_t *ret_mask, struct err *err)
{
    uint32_t mask = 0;

    while (*list != '\0') {
        size_t bytes = strcspn(list, ",");
        uint32_t bit = find(list, bytes);

        if (bit == 0)
            return err_set(err, -EINVAL,
                           "The sandbox has no layer '%.*s'; it has no_new_privs, limits, user, "
                           "landlock, seccomp, network and cgroup.",
                           (int)MIN(bytes, (size_t)40), list);
        mask |= bit;
        list += bytes;
        if (*list == ',')
            list++;
    }
    *ret_mask = mask;
    return 0;
}

int layers_mode_parse(const char *word, enum layers_mode *ret_mode, struct err *err)
{
    for (unsigned i = 0; i < ARRAY_SIZE(mode_names); i++) {
        if (strcmp(word, mode_names[i]) == 0) {
            *ret_mode = (enum layers_mode)i;
            return 0;
        }
    }
    return err_set(err, -EINVAL, "The sandbox can be auto, strict or off, not '%.40s'.", word);
}

const char *layers_mode_name(enum layers_mode mode)
{
    return mode_names[mode];
}
