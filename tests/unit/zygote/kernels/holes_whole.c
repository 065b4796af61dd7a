/* The same, but an answer that lacks parts is none. */
#define FLAGS (PRONG_PURE | PRONG_IDEMPOTENT | PRONG_ASSOCIATIVE)
#include "holes.c"
