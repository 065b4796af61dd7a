/*
 * Ground floor. What lies beside the program that runs: in the tree that it was built in, or where it was installed to.
 */
#ifndef BASE_BESIDE_H
#define BASE_BESIDE_H

#include <limits.h>

/* The folder of this program's own file, without a slash at its end. Negative errno when it cannot be told: /proc is not
 * mounted, or -ENAMETOOLONG. */
int beside_folder(char ret[PATH_MAX]);

/* The first of `places`, relative to that folder and with NULL at their end, that there is: its absolute path. Links are left
 * in it, so that who uses it again later goes where they lead then. -ENOENT when there is none, or what beside_folder says. */
int beside_find(const char *const *places, char ret[PATH_MAX]);

#endif
