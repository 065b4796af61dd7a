/* The same, but nothing of it may be tried again. */
#define FLAGS PRONG_PURE
#include "batcher.c"
