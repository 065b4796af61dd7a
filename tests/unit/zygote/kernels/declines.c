/* Says no to every host. */
#include <stdint.h>

#include "prong/kernel.h"

PRONG_EXPORT const struct prong_kernel *prong_kernel_entry(uint32_t major, uint32_t minor)
{
    (void)major, (void)minor;
    return NULL;
}
