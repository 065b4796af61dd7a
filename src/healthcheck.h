/*
 * F6. prong --healthcheck: for containers that have no curl.
 */
#ifndef HEALTHCHECK_H
#define HEALTHCHECK_H

/* Asks the server at this address (as --listen has it; a wildcard means this machine) for /livez. 0 when it
 * answers 200 within three seconds; else says why on standard error and returns -1. */
int healthcheck(const char *listen);

#endif
