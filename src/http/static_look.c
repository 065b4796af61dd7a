#include "http/static_look.h"

#include <errno.h>
#include <string.h>

#include "base/check.h"

void static_look_close(const struct static_look *look)
{
    for (int i = 0; i < STATIC_ENCODING_COUNT; i++)
        check_close_fd(&look->fds[i]);
}

/* Opens the file that a path names, under the first name that there is one for. -EISDIR when it names a directory. */
static int open_path(int directory, const struct request *r, char *name, struct static_version *ret)
{
    int rc = -ENOENT;

    for (unsigned i = 0; static_name(r->path, r->target, i, name); i++) {
        int fd = static_open(directory, name, ret);
        if (fd >= 0 || static_is_shortage(fd))
            return fd;
        rc = rc == -EISDIR ? rc : fd;
    }
    return rc;
}

static bool is_compressed(const char *name)
{
    size_t n = strlen(name);

    return n > 3 && (strcmp(name + n - 3, ".br") == 0 || strcmp(name + n - 3, ".gz") == 0);
}

/* Whole seconds: some compressors that copy the time of the original keep no more of it. */
static bool is_older(const struct static_version *a, const struct static_version *b)
{
    return a->modified.tv_sec < b->modified.tv_sec;
}

/* Opens the file's compressed forms that are not out of date. Only a shortage is a failure. */
static int look_for_forms(int directory, struct static_look *look)
{
    struct static_version *versions = look->forms.versions;
    size_t n = strlen(look->name);

    for (int i = 0; i < STATIC_IDENTITY && !is_compressed(look->name); i++) {
        CLEANUP_FD int fd = -1;
        memcpy(look->name + n, static_encoding_endings[i], strlen(static_encoding_endings[i]) + 1);
        fd = static_open(directory, look->name, &versions[i]);
        look->name[n] = '\0';
        if (static_is_shortage(fd))
            return fd;
        if (fd < 0 || is_older(&versions[i], &versions[STATIC_IDENTITY]))
            continue;
        look->fds[i] = take_fd(&fd);
        look->forms.present |= 1u << i;
    }
    return 0;
}

int static_look_at(int directory, const struct request *r, struct static_look *look)
{
    int fd;

    *look = (struct static_look) {.fds = {-1, -1, -1}};
    fd = open_path(directory, r, look->name, &look->forms.versions[STATIC_IDENTITY]);
    if (fd < 0)
        return fd;
    look->fds[STATIC_IDENTITY] = fd;
    look->forms.present = 1u << STATIC_IDENTITY;
    return look_for_forms(directory, look);
}

bool static_forms_equal(const struct static_forms *a, const struct static_forms *b)
{
    for (int i = 0; i < STATIC_ENCODING_COUNT; i++) {
        if ((a->present & 1u << i) != 0 && !static_version_equal(&a->versions[i], &b->versions[i]))
            return false;
    }
    return a->present == b->present;
}

bool static_forms_are_many(const struct static_forms *forms)
{
    return forms->present != 1u << STATIC_IDENTITY;
}

bool static_form_has_own_date(const struct static_forms *forms, enum static_encoding encoding)
{
    for (int i = 0; i < STATIC_ENCODING_COUNT; i++) {
        if (i != (int)encoding && (forms->present & 1u << i) != 0 &&
            forms->versions[i].modified.tv_sec == forms->versions[encoding].modified.tv_sec)
            return false;
    }
    return true;
}
