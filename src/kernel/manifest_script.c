#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "kernel/plugin.h"
#include "kernel/reading.h"

enum { SCRIPT_LOOKED_AT = 16384 }; /* bytes; imports stand at the beginning */

static bool imports_prong(const char *line)
{
    static const char *const forms[] = {"import prong", "from prong import ", "from prong."};

    for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
        size_t n = strlen(forms[i]);
        if (strncmp(line, forms[i], n) == 0 && (i > 0 || strchr("\r\n\t ,.#", line[n]) != NULL))
            return true;
    }
    return false;
}

bool manifest_is_script(const char *dir, const char *file)
{
    char path[PATH_MAX], text[SCRIPT_LOOKED_AT];
    int n = snprintf(path, sizeof(path), "%s/%s", dir, file);

    if (n < 0 || n >= (int)sizeof(path) || fd_read_file(path, text, sizeof(text)) < 0)
        return false;
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (imports_prong(line))
            return true;
    }
    return false;
}

int manifest_of_script(const char *dir, const char *file, struct manifest **ret, struct err *err)
{
    char line[SETTINGS_LINE_MAX];
    const char *dot = strrchr(file, '.');
    /* The folder is no place for modules before the SDK says so: a kernel named like one would hide it. */
    int n = snprintf(line, sizeof(line),
                     "[kernel]\ncommand = python3 -m prong \"%s\"\n"
                     "[environment]\nPYTHONSAFEPATH = 1\n",
                     file);

    if (n < 0 || n >= (int)sizeof(line) || dot == NULL || strpbrk(file, "\"\\\n;") != NULL)
        return err_set(err, -EINVAL, "%s is no name for a program; rename it.", file);
    return manifest_of_text(dir, file, line, (size_t)n, ret, err);
}
