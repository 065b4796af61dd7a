/*
 * F4b. How busy the machine is with what is not ours: what a measurement must be read with. Any thread.
 */
#ifndef LAB_BACKGROUND_H
#define LAB_BACKGROUND_H

#include <stdint.h>

/* CPU time of all processes since the start of the machine, by the first line of /proc/stat. */
struct background_sample {
    uint64_t busy_ns, at_ns; /* busy_ns 0: unknown */
};
struct background_sample background_sample(void);

/* The same from the text of such a file; for tests. */
uint64_t background_busy_ns(const char *text);

/* Adds up spans of time. */
struct background {
    uint64_t others_ns, elapsed_ns;
};
void background_add(struct background *b, struct background_sample from,
                    struct background_sample to, uint64_t own_cpu_ns);

/* Cores that others have used, on average. */
double background_cores(const struct background *b);

#endif
