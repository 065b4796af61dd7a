#include "base/check.h"

#include "base/log.h"

_Noreturn void check_failed(const char *expr, const char *file, int line)
{
    log_error("this is a bug in prong: %s does not hold at %s:%d; aborting", expr, file, line);
    abort();
}
