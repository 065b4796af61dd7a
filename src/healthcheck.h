/*
 * F6. prong --healthcheck: for containers that have no curl.
 */
#ifndef HEALTHCHECK_H
#define HEALTHCHECK_H

#include <stdbool.h>

/* Asks the server at this address (as --listen has it; a wildcard means this machine) for /livez, with `tls` by https:
 * then any certificate will do, since it is asked whether it lives and not who it is. 0 when it answers 200 and each
 * step takes at most three seconds; else says why on standard error and returns -1. */
int healthcheck(const char *listen, bool tls);

#endif
