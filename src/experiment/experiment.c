#include "experiment/experiment.h"

#include <errno.h>
#include <string.h>

int experiment_go(const struct experiment_way *ways, size_t count,
                  const struct experiment_task *task, void *arg, struct experiment_report *ret)
{
    for (size_t i = 0; i < count; i++) {
        const struct experiment_way *way = &ways[i];
        int rc;
        if (strcmp(way->mode, task->mode) != 0)
            continue;
        rc = crew_prepare(&ret->crew, way->kind == CREW_ALONE ? 1 : task->workers);
        return rc < 0 ? rc : crew_run(&ret->crew, way->kind, way->work, arg);
    }
    return -EINVAL;
}
