#include "api/rate.h"

#include "base/clock.h"

double rate_note(struct rate *rate, uint64_t now_ns, uint64_t count)
{
    uint64_t past_ns;

    if (rate->from_ns == 0 || now_ns - rate->next_ns > RATE_FORGET_MS * CLOCK_NS_PER_MS) {
        *rate = (struct rate) {now_ns, count, now_ns, count};
        return 0;
    }
    if (now_ns - rate->next_ns > RATE_TURN_MS * CLOCK_NS_PER_MS)
        *rate = (struct rate) {rate->next_ns, rate->next_count, now_ns, count};
    past_ns = now_ns - rate->from_ns;
    if (past_ns < RATE_LEAST_MS * CLOCK_NS_PER_MS)
        return 0;
    return (double)(count - rate->from_count) * (double)CLOCK_NS_PER_S / (double)past_ns;
}
