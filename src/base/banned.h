/*
 * Included by every file through base/check.h: these do not compile here, because each has overflowed
 * or misread somebody's input before. Use snprintf, parse_*, buf_*.
 */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#pragma GCC poison strcpy strcat strncat sprintf vsprintf strtok gets atoi atol atoll atof
#pragma GCC poison ctime asctime tmpnam mktemp usleep popen

#endif
