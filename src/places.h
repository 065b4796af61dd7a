/*
 * F6. Where things are.
 */
#ifndef PLACES_H
#define PLACES_H

#include <limits.h>

#include "base/err.h"

struct places {
    char zygote[PATH_MAX], kernels[PATH_MAX], www[PATH_MAX], data[PATH_MAX];
};

/* Finds the zygote beside this executable (as built) or under ../libexec/prong (as installed), and likewise
 * the built-in kernels and the pages unless *builtins and *www name them already. *kernels is where one's own are, and those
 * that come with prong when there are none; then, and when they are called "none", *builtins is NULL. *www may stay NULL. */
int places_find(struct places *p, const char **kernels, const char **builtins, const char **www,
                struct err *err);

/* Where to keep what must last, unless *data names it already: $STATE_DIRECTORY (its first), $XDG_STATE_HOME/prong or
 * ~/.local/state/prong. It need not be there yet. */
int places_find_data(struct places *p, const char **data, struct err *err);

/* Finds prong-client in the same places as the zygote. */
int places_find_client(char ret[PATH_MAX], struct err *err);

#endif
