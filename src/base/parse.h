/*
 * Ground floor. Strict readers of numbers: the whole text, nothing around it, in range, or -EINVAL
 * (not a number) or -ERANGE (a number out of the type's range). ret_ is untouched on failure.
 */
#ifndef BASE_PARSE_H
#define BASE_PARSE_H

#include <stddef.h>
#include <stdint.h>

/* Decimal, with an optional minus; no plus, no space. */
int parse_i64(const char *text, int64_t *ret);

/* Decimal, digits only. */
int parse_u64(const char *text, uint64_t *ret);

/* JSON's grammar for a number, so no hex, no "inf", no "nan". Overflow is -ERANGE. */
int parse_real(const char *text, double *ret);

/* Digits, with K, M or G behind them for 1024 of the one before. */
int parse_bytes(const char *text, uint64_t *ret);

/* Seconds such as "2.5", as nanoseconds; negative is -EINVAL, above a year is -ERANGE. */
int parse_seconds_ns(const char *text, uint64_t *ret_ns);

/* A kernel's or a parameter's name: 1 to `bytes_max` of [a-z0-9_-]. */
int parse_name(const char *text, size_t bytes_max);

#endif
