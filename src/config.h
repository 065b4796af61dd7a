/*
 * F6. What the options say: from options.def, the flags and the environment.
 */
#ifndef CONFIG_H
#define CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define CONFIG_MEMBER_TEXT    const char *
#define CONFIG_MEMBER_FLAG    bool
#define CONFIG_MEMBER_COUNT   uint64_t
#define CONFIG_MEMBER_SECONDS uint64_t
#define CONFIG_MEMBER_BYTES   uint64_t

struct config {
#define GROUP(title)
#define OPTION(field, name, kind, def, min, max, value, help) CONFIG_MEMBER_##kind field;
#include "options.def"
#undef OPTION
#undef GROUP
};

/* Reads it all; texts point into argv, the environment or static memory. Options whose default is worked
 * out are NULL or 0. -EINVAL with a sentence that names the option. *ret_wants is 'h' or 'v' when --help or
 * --version was given, else 0. */
int config_read(struct config *ret, int argc, char **argv, char *ret_wants, struct err *err);

/* What --help prints. */
void config_help(void);

#endif
