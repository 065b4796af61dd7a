/*
 * F5, this folder's own. The parts that docs_document is put together from.
 */
#ifndef API_DOCS_INTERNAL_H
#define API_DOCS_INTERNAL_H

#include "api/docs/docs.h"

/* Sets a member; `value` is stolen, and may be NULL: then the object is left as it is. */
void docs_set(json_t *object, const char *key, json_t *value);

/* {"$ref":"#/components/KIND/NAME"}; such a component must be there. */
json_t *docs_reference(const json_t *components, const char *kind, const char *name);

/* What is written down of one kind, a new object: "parameters", "requestBodies", "responses", "headers" or "schemas". */
json_t *docs_written(const char *kind);

/* An operation as the table has it; its problems are added to the components. */
json_t *docs_operation(const struct docs *docs, const struct route *route,
                       const struct operation *op, json_t *components);

/* Adds a path to `paths` for each kernel, and to the components the schema of its parameters. Their operations are
 * those of "/compute/{kernel}", which must be among the paths, with what is known of the kernel. */
void docs_add_kernels(const struct docs *docs, json_t *paths, json_t *components);

#endif
