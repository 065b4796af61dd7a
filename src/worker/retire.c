#include "worker/retire.h"

#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"

enum { RETIRE_LOOK_TASKS = 256 };

/* Publishes the resident memory; answers its anonymous share. 0 when /proc does not say. */
static uint64_t measure(int statm_fd, struct shm_page *page)
{
    unsigned long long resident, shared;
    uint64_t page_bytes = (uint64_t)sysconf(_SC_PAGESIZE);
    char text[128];
    char *at;
    ssize_t n = pread(statm_fd, text, sizeof(text) - 1, 0);

    if (n <= 0)
        return 0;
    text[n] = '\0';
    (void)strtoull(text, &at, 10);
    resident = strtoull(at, &at, 10);
    shared = strtoull(at, &at, 10);
    atomic_store_explicit(&page->rss_bytes, resident * page_bytes, memory_order_relaxed);
    return resident > shared ? (resident - shared) * page_bytes : 0;
}

void retire_init(struct retire *r, const struct proto_fork *limits, int statm_fd,
                 struct shm_page *page)
{
    *r = (struct retire) {
        .tasks_max = limits->tasks_max,
        .end_ns = limits->age_ns_max == 0 || limits->age_ns_max == CLOCK_NEVER
                      ? CLOCK_NEVER
                      : clock_now_ns() + limits->age_ns_max,
        .grow_bytes_max = limits->rss_grow_bytes_max,
        .statm_fd = statm_fd,
    };
    r->first_bytes = measure(statm_fd, page);
}

bool retire_is_due(struct retire *r, struct shm_page *page, uint64_t run_ns, uint64_t now_ns)
{
    bool has_grown = false;

    r->tasks++;
    if (run_ns > CLOCK_NS_PER_MS || r->tasks % RETIRE_LOOK_TASKS == 0) {
        uint64_t bytes = measure(r->statm_fd, page);
        has_grown = r->grow_bytes_max > 0 && bytes > r->first_bytes &&
                    bytes - r->first_bytes > r->grow_bytes_max;
    }
    return has_grown || now_ns >= r->end_ns || (r->tasks_max > 0 && r->tasks >= r->tasks_max);
}
