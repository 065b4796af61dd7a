/*
 * F3, behind the wall. A worker's own core, when there is a worker for every core.
 *
 * Left to itself, the system often wakes two workers on one core while the sender's core falls idle a moment
 * later, and evens it out only after milliseconds: two workers then take up to 1.4 times as long over work of
 * a few milliseconds. With fewer workers than cores there is room, and they stay free.
 */
#ifndef WORKER_HOME_H
#define WORKER_HOME_H

/* Keeps this process on `cpu`; below 0, or where that may not be, it stays free. */
void home_settle(int cpu);

#endif
