/*
 * F3, http's own, pure but for the file. The bearer token (RFC 6750) that a request must bring.
 */
#ifndef HTTP_TOKEN_H
#define HTTP_TOKEN_H

#include <stdbool.h>

#include "base/err.h"

struct token;

enum { TOKEN_BYTES_MIN = 16, TOKEN_BYTES_MAX = 4096 };

/* Reads the first line of a regular file that only its owner can read and write. -EACCES when others can, -EINVAL
 * when the line is no token of visible ASCII, and what the system says, with a sentence. Once, at start. */
int token_read(struct token **ret, const char *path, struct err *err);

/* Wipes it. */
struct token *token_free(struct token *token);

enum token_verdict { TOKEN_RIGHT, TOKEN_WRONG, TOKEN_MISSING };

/* Judges the value of Authorization (NULL: none). Missing is also what has another scheme. How long this takes depends
 * on the value alone: not on how much of it is right, nor on how long the right one is. Any thread. */
enum token_verdict token_judge(const struct token *token, const char *authorization);

#endif
