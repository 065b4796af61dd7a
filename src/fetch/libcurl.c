#include "fetch/libcurl.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>

/* Debian's names. OpenSSL's flavour first: it reads the authorities' certificates once, GnuTLS's for each connection (25 ms in
 * which nothing else moves). */
static const char *const files[] = {"libcurl.so.4", "libcurl-gnutls.so.4"};

static const struct {
    const char *name;
    size_t offset;
} functions[] = {
#define FUNCTION(name) {"curl_" #name, offsetof(struct libcurl, name)},
#include "fetch/libcurl.def"
#undef FUNCTION
};

static bool find_functions(void *library, struct libcurl *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
        void *function = dlsym(library, functions[i].name);
        if (function == NULL)
            return false;
        memcpy((char *)ret + functions[i].offset, &function, sizeof(function));
    }
    return true;
}

int libcurl_load(struct libcurl *ret, struct err *err)
{
    struct libcurl found;
    void *library = NULL;

    for (size_t i = 0; i < ARRAY_SIZE(files) && library == NULL; i++)
        library = dlopen(files[i], RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (library == NULL)
        return err_set(err, -ELIBACC,
                       "Pages cannot be fetched here: libcurl is missing. Install Debian's "
                       "libcurl4 on the server.");
    if (!find_functions(library, &found) || found.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return err_set(err, -ELIBACC,
                       "Pages cannot be fetched here: libcurl does not work. Install Debian's "
                       "libcurl4 on the server.");
    *ret = found;
    return 0;
}
