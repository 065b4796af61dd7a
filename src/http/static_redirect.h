/*
 * F3, http's own. From a directory's name to the directory.
 */
#ifndef HTTP_STATIC_REDIRECT_H
#define HTTP_STATIC_REDIRECT_H

#include "http/request.h"

/* 308 to the same path with a slash behind it, the query kept. Location has no scheme and no host, and cannot be taken for
 * one: the path must be one that static_name takes, so it begins with a single slash. */
void static_redirect(struct request *r);

#endif
