/*
 * F2b, behind the wall. The JSON of a program's frames, judged. Untrusted: every member is looked at
 * before it is believed, and what is not known is ignored. Pure; uses base and jansson.
 */
#ifndef PROGRAM_SAID_H
#define PROGRAM_SAID_H

#include "program/talk.h"

/* Fills in what the frame says into `ret`, whose kind is set: PROGRESS, PART, RESULT, ERROR or READY.
 * *ret_json is what the pointers lie in, the caller's; NULL when there was none. -EPROTO with "sent …". */
int said_read(const struct frame *f, struct talk_said *ret, json_t **ret_json, struct err *err);

#endif
