/*
 * For fuzzing: what libFuzzer calls, and replay.c in its place. An input is the bytes that a client sends on one
 * connection. A harness aborts when an invariant is broken.
 */
#ifndef FUZZ_HARNESS_H
#define FUZZ_HARNESS_H

#include <stddef.h>
#include <stdint.h>

enum { REPLAY_BYTES_MAX = 64 << 10 };

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#endif
