#include "zygote/children.h"

#include <errno.h>

int children_check_free(const struct children *c, uint32_t slot)
{
    return slot < PROTO_WORKERS_MAX && c->slots[slot].pid == 0 ? 0 : -EPROTO;
}

void children_add(struct children *c, uint32_t slot, uint64_t generation, pid_t pid)
{
    CHECK(children_check_free(c, slot) == 0 && pid > 0);
    c->slots[slot] = (struct child) {.pid = pid, .generation = generation};
    c->count++;
}

pid_t children_find(const struct children *c, uint32_t slot, uint64_t generation)
{
    if (slot >= PROTO_WORKERS_MAX || c->slots[slot].generation != generation)
        return 0;
    return c->slots[slot].pid;
}

int children_remove(struct children *c, pid_t pid, uint32_t *ret_slot, uint64_t *ret_generation)
{
    for (uint32_t i = 0; i < PROTO_WORKERS_MAX && pid > 0; i++) {
        if (c->slots[i].pid != pid)
            continue;
        *ret_slot = i;
        *ret_generation = c->slots[i].generation;
        c->slots[i] = (struct child) {0};
        c->count--;
        return 0;
    }
    return -ESRCH;
}
