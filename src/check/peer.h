/*
 * Above the zygote's parts. The program under test: a process of ours with a socket on its descriptor 3.
 * Frames go to it and come from it, each within a time; what it writes elsewhere is read all the while, so
 * that it never waits for that. Uses program and base. One thread.
 */
#ifndef CHECK_PEER_H
#define CHECK_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "program/frame.h"
#include "program/words.h"

struct err;

struct peer {
    pid_t pid; /* 0: none */
    int pid_fd, fd;
    struct frame_reader in;
    struct words words;
    size_t lines; /* that it has written to standard output and error */
    bool is_verbose;
    bool has_ended;
    int status; /* of waitpid, then */
};

/* Starts it, in a process group of its own. -errno with a sentence. */
int peer_start(struct peer *p, char *const *argv, bool is_verbose, struct err *err);

/* Kills what is left of it, and forgets it. */
void peer_stop(struct peer *p);

/* Sends bytes as they are. 0; -EPIPE when it does not read any more, -ETIMEDOUT when it does not for too
 * long. `is_piecemeal`: each byte alone, and after it has been taken, if it is within some ms. */
int peer_send_bytes(struct peer *p, const void *data, size_t bytes, bool is_piecemeal,
                    uint64_t deadline_ns);

/* Sends a frame, at once; as above. */
int peer_send(struct peer *p, enum frame_type type, uint64_t job, const char *meta, const void *raw,
              size_t raw_bytes, uint64_t deadline_ns);

/* The next frame, valid until the next call: 0; -ETIMEDOUT; -EPIPE when it has closed its socket; -EPROTO
 * with what it did, "sent …". */
int peer_receive(struct peer *p, struct frame *ret, uint64_t deadline_ns, struct err *err);

/* Closes our end of its socket. */
void peer_hang_up(struct peer *p);

/* Waits until it has ended: 0, its status is there; -ETIMEDOUT. What it sends meanwhile stays. */
int peer_await_end(struct peer *p, uint64_t deadline_ns);

/* How a wait status reads in a sentence: "exit status 3", "SIGKILL". */
const char *peer_status_text(int status, char out[40]);

#endif
