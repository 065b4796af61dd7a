/*
 * F1, the wall. Memory that both sides see. prong makes every piece, fixes its size with seals before
 * anybody else has it, and so can map it without fear of SIGBUS; what is written inside is believed by
 * neither side. No lock ever lives here: each word has one writer.
 */
#ifndef IPC_SHM_H
#define IPC_SHM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/proto.h"

/* Written by one worker, read by prong. */
struct shm_page {
    _Atomic uint64_t task; /* what it runs now; 0 when idle */
    _Atomic uint64_t done; /* progress of that task, as the kernel counts */
    _Atomic uint64_t total;
    _Atomic uint64_t beat_ns; /* monotonic; when the kernel last gave a sign */
    _Atomic uint64_t tasks;   /* ended since the worker began */
    _Atomic uint64_t rss_bytes;
    uint64_t reserved[2];
};

/* Written by prong, read by all workers. A task is named by its place here (proto_task.inflight), and
 * a word counts only if it holds that task's id, so a place can be used again without clearing. */
struct shm_control {
    _Atomic uint64_t cancel[PROTO_INFLIGHT_MAX]; /* stop: nobody wants it any more */
    _Atomic uint64_t yield[PROTO_INFLIGHT_MAX];  /* MAP: hand the rest of the range back */
    /* Its worker is about to be killed for it: whoever ends it nevertheless takes no other task. Set before
     * the worker's page is read and read after the page is cleared, both sequentially consistent, so that
     * one of the two sees the other and the signal never hits the next task. */
    _Atomic uint64_t condemned[PROTO_INFLIGHT_MAX];
};

static_assert(sizeof(struct shm_page) == 64, "one cache line");
static_assert(sizeof(struct shm_control) == 6144, "three words for each task in flight");

enum shm_access {
    SHM_PEER_READS, /* the other side can never map it writable */
    SHM_PEER_WRITES,
};

/* A new piece of memory: *ret_fd to pass on, *ret_map where the caller sees it (writable only with
 * SHM_PEER_READS). The caller owns both; munmap with shm_unmap. 0 or negative errno. */
int shm_create(const char *name, size_t bytes, enum shm_access access, int *ret_fd, void **ret_map);

/* Maps what the peer made. Refuses (-EPROTO) what is smaller than `bytes` or not sealed against
 * shrinking. The fd stays the caller's. */
int shm_map(int fd, size_t bytes, enum shm_access access, void **ret_map);

void shm_unmap(void *map, size_t bytes);

/* Gives the memory behind [0, bytes) of SHM_PEER_WRITES back to the system; the content becomes zero.
 * -EPERM for SHM_PEER_READS, whose seal forbids this even to its maker: unmap and close it instead. */
int shm_discard(int fd, size_t bytes);

#endif
