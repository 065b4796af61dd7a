#include <stdlib.h>
#include <string.h>

#include "kernel/builtin/page/page.h"

#define ROOM_MIN    4096u
#define REPLACEMENT 0xfffdu
#define CODE_MAX    0x10ffffu

static bool make_room(struct text *t, size_t count)
{
    size_t room = t->room < ROOM_MIN ? ROOM_MIN : t->room;
    char *data;

    if (t->failed || t->room - t->size >= count)
        return !t->failed;
    while (room - t->size < count)
        room *= 2;
    data = realloc(t->data, room);
    t->failed = data == NULL;
    if (t->failed)
        return false;
    t->data = data;
    t->room = room;
    return true;
}

void text_add(struct text *t, const char *bytes, size_t count)
{
    if (count == 0 || !make_room(t, count))
        return;
    memcpy(t->data + t->size, bytes, count);
    t->size += count;
}

void text_add_code(struct text *t, uint32_t code)
{
    char out[4];

    if (code > CODE_MAX || (code >= 0xd800 && code < 0xe000))
        code = REPLACEMENT;
    if (code < 0x80) {
        out[0] = (char)code;
        text_add(t, out, 1);
    } else if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 63));
        text_add(t, out, 2);
    } else if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 63));
        out[2] = (char)(0x80 | (code & 63));
        text_add(t, out, 3);
    } else {
        out[0] = (char)(0xf0 | code >> 18);
        out[1] = (char)(0x80 | (code >> 12 & 63));
        out[2] = (char)(0x80 | (code >> 6 & 63));
        out[3] = (char)(0x80 | (code & 63));
        text_add(t, out, 4);
    }
}

void text_free(struct text *t)
{
    free(t->data);
    *t = (struct text) {0};
}

/* How many bytes follow the first one; -1 when no character begins with it. */
static int following(uint8_t first)
{
    if (first < 0x80)
        return 0;
    if (first >= 0xc2 && first < 0xe0)
        return 1;
    if (first >= 0xe0 && first < 0xf0)
        return 2;
    return first >= 0xf0 && first < 0xf5 ? 3 : -1;
}

uint32_t text_read(const char **at, const char *end)
{
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    uint8_t first = (uint8_t) * (*at)++;
    int count = following(first);
    uint32_t code = count < 1 ? first : first & (0x3fu >> count);

    if (count < 0)
        return REPLACEMENT;
    for (int i = 0; i < count; i++) {
        if (*at == end || ((uint8_t) * *at & 0xc0) != 0x80)
            return REPLACEMENT;
        code = code << 6 | ((uint8_t) * (*at)++ & 63);
    }
    if (code < least[count] || code > CODE_MAX || (code >= 0xd800 && code < 0xe000))
        return REPLACEMENT;
    return code;
}

size_t text_cut(const char *bytes, size_t size, size_t max)
{
    if (size <= max)
        return size;
    while (max > 0 && ((uint8_t)bytes[max] & 0xc0) == 0x80)
        max--;
    return max;
}

bool text_is(const char *bytes, size_t size, const char *lower)
{
    for (size_t i = 0; i < size; i++, lower++) {
        char c = bytes[i] >= 'A' && bytes[i] <= 'Z' ? (char)(bytes[i] + 32) : bytes[i];
        if (*lower == '\0' || c != *lower)
            return false;
    }
    return *lower == '\0';
}
