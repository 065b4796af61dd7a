/*
 * F2b, behind the wall. What a program writes to its standard output and error: read as it comes, cut into
 * lines for the log, and the last of them kept to tell why it died. Uses base. Never waits.
 *
 * Bounded: a line at WORDS_LINE_MAX bytes, WORDS_LINES_PER_SECOND lines, the rest is counted, and read all
 * the same, so that a program never waits for its log.
 */
#ifndef PROGRAM_WORDS_H
#define PROGRAM_WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WORDS_LINE_MAX = 1024,
    WORDS_LINES_PER_SECOND = 100,
    WORDS_LAST_LINES = 10,
    WORDS_LAST_BYTES = 200, /* of each of them */
    WORDS_STREAMS = 2,
};

struct words {
    int fds[WORDS_STREAMS]; /* owned, non-blocking; -1 once ended */
    struct words_line {
        char text[WORDS_LINE_MAX];
        size_t bytes;
    } lines[WORDS_STREAMS]; /* that has no end yet */
    char last[WORDS_LAST_LINES][WORDS_LAST_BYTES + 1];
    size_t last_count; /* ever kept */
    uint64_t second;   /* that `in_second` counts the lines of */
    unsigned in_second;
    uint64_t dropped; /* not told yet */
};

/* A line without its end; UTF-8, printable. */
typedef void words_tell(void *arg, const char *line);

/* Takes the descriptors, which are non-blocking; either may be -1. */
void words_open(struct words *w, int out_fd, int err_fd);
void words_close(struct words *w);

/* Reads what is there, but at most about a megabyte, so that one who writes without end does not keep us.
 * False when both have ended. */
bool words_read(struct words *w, words_tell *tell, void *arg);

/* Tells what has no end of line yet, and how much was dropped. */
void words_flush(struct words *w, words_tell *tell, void *arg);

/* The last lines that fit, oldest first, with " | " between them; "" when it never said anything. */
void words_last(const struct words *w, char *out, size_t capacity);

/* The same as a sentence to go behind another: " Its last words: ….", or "". */
void words_last_sentence(const struct words *w, char *out, size_t capacity);

#endif
