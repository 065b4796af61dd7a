/*
 * F5, pure. How many of something happen in a second lately, from a counter that is looked at now and then.
 *
 * Honest rather than quick: it takes two looks at least RATE_LEAST_MS apart, and what was seen before a pause of
 * RATE_FORGET_MS says nothing of now. The caller's lock.
 */
#ifndef API_RATE_H
#define API_RATE_H

#include <stdint.h>

enum { RATE_LEAST_MS = 500, RATE_TURN_MS = 5000, RATE_FORGET_MS = 30000 };

struct rate {
    uint64_t from_ns, from_count; /* what is compared with; 0: nothing */
    uint64_t next_ns, next_count; /* what will be */
};

/* Notes the counter, and says how many a second; 0 when nobody knows. */
double rate_note(struct rate *rate, uint64_t now_ns, uint64_t count);

#endif
