/*
 * F5. This machine, for people: part of /status and of what is measured.
 */
#ifndef API_MACHINE_H
#define API_MACHINE_H

#include <jansson.h>

#include "base/machine.h"

/* {"cores","affinity","quota","kernel","cpu_model","memory_bytes"}; what is unknown, or no limit, is null. NULL when out
 * of memory. */
json_t *machine_json(void);

/* The same of facts that were read before. */
json_t *machine_json_of(const struct machine_facts *facts);

#endif
