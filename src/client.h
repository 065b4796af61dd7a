/*
 * F6. prong jobs …, prong kernels … and prong state …: hands over to prong-client, a program of its own (cli/main.c).
 */
#ifndef CLIENT_H
#define CLIENT_H

#include <stdbool.h>

/* Whether the first word of the command line asks for the client. */
bool client_is_asked(const char *word);

/* Becomes the client; returns only when that failed, after having said why: the exit status. */
int client_become(char **argv);

#endif
