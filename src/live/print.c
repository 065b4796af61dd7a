#include "live/print.h"

struct words {
    size_t count;
    uint64_t words[3 * SCHED_WORKERS_MAX + 32];
};

static void add(struct words *w, uint64_t word)
{
    CHECK(w->count < ARRAY_SIZE(w->words));
    w->words[w->count++] = word;
}

uint64_t print_status(struct hash_key key, const struct sched_status *st, struct store *store)
{
    struct words w = {.count = 0};

    add(&w, st->is_ready | (unsigned)st->is_draining << 1);
    add(&w, (uint64_t)st->zygote_pid);
    add(&w, st->generation);
    add(&w, st->reload);
    for (int c = 0; c < QUEUE_CLASS_COUNT; c++)
        add(&w, st->queued[c]);
    add(&w, st->running);
    add(&w, store_serial(store));
    add(&w, store_broken(store) != NULL);
    for (size_t i = 0; i < st->worker_count; i++) {
        const struct pool_worker *p = &st->workers[i].worker;
        add(&w, (uint64_t)p->pid);
        add(&w, p->task);
        add(&w, p->tasks);
    }
    return hash_bytes(key, w.words, w.count * sizeof(w.words[0]));
}
