#include "http/token.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/check.h"
#include "base/fd.h"

struct token {
    size_t bytes;
    char text[TOKEN_BYTES_MAX]; /* with zeros behind it */
};

static int check_file(int fd, const char *path, struct err *err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return err_set(err, -errno, "--token-file %s: %s", path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return err_set(err, -EINVAL, "--token-file %s is not a regular file.", path);
    if ((st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return err_set(err, -EACCES, "--token-file %s is open to others: chmod 600 %s", path, path);
    return 0;
}

/* The bytes of the first line of text; SIZE_MAX when one of them is not visible ASCII. */
static size_t measure(const char *text, size_t bytes)
{
    size_t n = 0;

    while (n < bytes && text[n] > ' ' && text[n] < 0x7f)
        n++;
    return n == bytes || text[n] == '\n' || (bytes - n >= 2 && memcmp(text + n, "\r\n", 2) == 0)
               ? n
               : SIZE_MAX;
}

static int read_line(int fd, struct token *token, const char *path, struct err *err)
{
    char text[TOKEN_BYTES_MAX + 2];
    ssize_t n = fd_read_from_start(fd, text, sizeof(text));
    size_t bytes = n < 0 ? 0 : measure(text, (size_t)n);
    int rc = 0;

    if (n < 0)
        rc = err_set(err, (int)n, "--token-file %s: %s", path, strerror((int)-n));
    else if (bytes < TOKEN_BYTES_MIN || bytes > TOKEN_BYTES_MAX)
        rc = err_set(err, -EINVAL,
                     "--token-file %s: its first line must be %d to %d bytes of visible ASCII and "
                     "nothing else, such as head -c 32 /dev/urandom | base64 makes.",
                     path, TOKEN_BYTES_MIN, TOKEN_BYTES_MAX);
    else
        memcpy(token->text, text, token->bytes = bytes);
    explicit_bzero(text, sizeof(text));
    return rc;
}

int token_read(struct token **ret, const char *path, struct err *err)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct token *token;
    int rc;

    if (fd < 0)
        return err_set(err, -errno, "--token-file %s: %s", path, strerror(errno));
    rc = check_file(fd, path, err);
    if (rc < 0)
        return rc;
    token = calloc(1, sizeof(*token));
    if (token == NULL)
        return err_set(err, -ENOMEM, "no memory for the token");
    rc = read_line(fd, token, path, err);
    if (rc < 0)
        token = token_free(token);
    else
        *ret = token;
    return rc;
}

struct token *token_free(struct token *token)
{
    if (token != NULL)
        explicit_bzero(token, sizeof(*token));
    free(token);
    return NULL;
}

static bool is_equal(const struct token *token, const char *given, size_t bytes)
{
    volatile unsigned difference = token->bytes != bytes;

    if (bytes > TOKEN_BYTES_MAX)
        return false;
    for (size_t i = 0; i < bytes; i++)
        difference = difference | (unsigned char)(token->text[i] ^ given[i]);
    return difference == 0;
}

enum token_verdict token_judge(const struct token *token, const char *authorization)
{
    static const char scheme[] = "Bearer ";
    const char *given;
    size_t bytes;

    if (authorization == NULL || strncasecmp(authorization, scheme, sizeof(scheme) - 1) != 0)
        return TOKEN_MISSING;
    given = authorization + strlen(scheme);
    given += strspn(given, " ");
    bytes = strlen(given);
    while (bytes > 0 && (given[bytes - 1] == ' ' || given[bytes - 1] == '\t'))
        bytes--;
    return is_equal(token, given, bytes) ? TOKEN_RIGHT : TOKEN_WRONG;
}
