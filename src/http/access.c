#include "http/access.h"

#include <errno.h>

struct access {
    struct access_config config;
};

int access_new(struct access **ret, const struct access_config *config, struct err *err)
{
    struct access *access = calloc(1, sizeof(*access));

    if (access == NULL)
        return err_set(err, -ENOMEM, "no memory for the HTTP server");
    access->config = *config;
    *ret = access;
    return 0;
}

struct access *access_free(struct access *access)
{
    free(access);
    return NULL;
}

bool access_judge(const struct access *access, struct request *r, bool is_open)
{
    (void)access;
    (void)r;
    (void)is_open;
    return true;
}

void access_complete(const struct access *access, struct request *r)
{
    (void)access;
    (void)r;
}

void access_preflight(const struct access *access, struct request *r, const char *methods)
{
    (void)access;
    (void)r;
    (void)methods;
}

bool access_has_token(const struct access *access)
{
    return access->config.token_file != NULL;
}
