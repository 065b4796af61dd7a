#include <errno.h>

#include "base/buf.h"
#include "base/err.h"
#include "kernel/manifest.h"

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* One word from *at on, unquoted into `out`, which has room for all of the line. Moves *at behind it. */
static int read_word(const char **at, char *out, struct err *err)
{
    const char *p = *at;
    bool quoted = false;

    for (; *p != '\0' && (quoted || !is_blank(*p)); p++) {
        if (*p == '"')
            quoted = !quoted;
        else if (quoted && *p == '\\' && (p[1] == '"' || p[1] == '\\'))
            *out++ = *++p;
        else
            *out++ = *p;
    }
    *out = '\0';
    *at = p;
    if (quoted)
        return err_set(err, -EINVAL, "a \" is not closed; write \\\" for one within quotes.");
    return 0;
}

int manifest_words(const char *line, struct arena *a, const char *ret[MANIFEST_WORDS_MAX + 1],
                   struct err *err)
{
    size_t room = strlen(line) + 1;
    int count = 0;

    while (is_blank(*line))
        line++;
    while (*line != '\0') {
        char *word = arena_alloc(a, room);
        int rc;
        if (word == NULL)
            return err_set(err, -ENOMEM, "there is no memory.");
        if (count == MANIFEST_WORDS_MAX)
            return err_set(err, -EINVAL, "there are more than %d words.", MANIFEST_WORDS_MAX);
        rc = read_word(&line, word, err);
        if (rc < 0)
            return rc;
        ret[count++] = word;
        while (is_blank(*line))
            line++;
    }
    ret[count] = NULL;
    return count > 0 ? count : err_set(err, -EINVAL, "there are no words.");
}

static int find_param(const struct prong_kernel *k, const char *name, size_t bytes)
{
    for (uint32_t i = 0; i < k->param_count; i++) {
        if (strlen(k->params[i].name) == bytes && memcmp(k->params[i].name, name, bytes) == 0)
            return (int)i;
    }
    return -1;
}

/* What stands at a brace: a parameter, or a brace twice. How many bytes of the word that were. */
static int fill_brace(const char *at, const struct prong_kernel *k, manifest_put *put, void *arg,
                      struct buf *out, struct err *err)
{
    const char *close = strchr(at, '}');
    int index, rc;

    if (at[1] == at[0]) {
        (void)buf_add(out, at, 1);
        return 2;
    }
    if (*at == '}' || close == NULL)
        return err_set(err, -EINVAL, "write {{ or }} for a brace that is meant as such.");
    index = find_param(k, at + 1, (size_t)(close - at) - 1);
    if (index < 0)
        return err_set(err, -EINVAL,
                       "{%.*s} is no parameter; add [param %.*s], or write {{ for a brace.",
                       (int)(close - at) - 1, at + 1, (int)(close - at) - 1, at + 1);
    rc = put(arg, (uint32_t)index, out);
    return rc < 0 ? rc : (int)(close - at) + 1;
}

int manifest_fill(const char *word, const struct prong_kernel *k, manifest_put *put, void *arg,
                  struct buf *out, struct err *err)
{
    while (*word != '\0') {
        size_t plain = strcspn(word, "{}");
        int taken;
        (void)buf_add(out, word, plain);
        word += plain;
        if (*word == '\0')
            break;
        taken = fill_brace(word, k, put, arg, out, err);
        if (taken < 0)
            return taken;
        word += taken;
    }
    return buf_failed(out);
}
