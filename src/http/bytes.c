#include "http/bytes.h"

#include <string.h>

enum {
    V = BYTE_VALUE,
    T = V | BYTE_TOKEN,
    U = V | BYTE_TARGET,
    TU = T | U,
    HOST = TU | BYTE_HOST,
    HEX = HOST | BYTE_HEX,
};

const uint8_t byte_kinds[256] = {
    ['\t'] = V,
    [' '] = V,
    ['!'] = TU,
    ['"'] = V,
    ['#'] = T,
    ['$' ... '\''] = TU,
    ['(' ... ')'] = U,
    ['*' ... '+'] = TU,
    [','] = U,
    ['-' ... '.'] = HOST,
    ['/'] = U,
    ['0' ... '9'] = HEX,
    [':' ... ';'] = U,
    ['<'] = V,
    ['='] = U,
    ['>'] = V,
    ['?' ... '@'] = U,
    ['A' ... 'F'] = HEX,
    ['G' ... 'Z'] = HOST,
    ['['] = U,
    ['\\'] = V,
    [']'] = U,
    ['^'] = T,
    ['_'] = HOST,
    ['`'] = T,
    ['a' ... 'f'] = HEX,
    ['g' ... 'z'] = HOST,
    ['{'] = V,
    ['|'] = T,
    ['}'] = V,
    ['~'] = HOST,
    [0x80 ... 0xff] = V,
};

/* As many bytes as the compiler can keep in one register: names are short, values are not. */
typedef uint8_t bytes8 __attribute__((vector_size(8)));
typedef uint8_t bytes16 __attribute__((vector_size(16)));

void bytes_clear(void *to, size_t bytes)
{
    memset(to, 0, bytes);
}

static bool are(const char *text, size_t bytes, unsigned kind)
{
    unsigned all = kind;

    for (size_t i = 0; i < bytes; i++)
        all &= byte_kinds[(unsigned char)text[i]];
    return all != 0;
}

/* Not zero where a byte is no letter, figure or hyphen, of which nearly all names are. */
static bytes8 unusual_in_name(const char *text)
{
    bytes8 v;

    memcpy(&v, text, sizeof(v));
    return ~((bytes8)((v | 0x20) - 'a' < 26) | (bytes8)(v - '0' < 10) | (bytes8)(v == '-'));
}

/* The same for a path. From the hyphen to the nine all are usual. */
static bytes8 unusual_in_path(const char *text)
{
    bytes8 v;

    memcpy(&v, text, sizeof(v));
    return ~((bytes8)((v | 0x20) - 'a' < 26) | (bytes8)(v - '-' <= '9' - '-') | (bytes8)(v == '_'));
}

/* Not zero where a byte is a control byte, TAB among them. */
static bytes16 unusual_in_value(const char *text)
{
    bytes16 v;

    memcpy(&v, text, sizeof(v));
    return (bytes16)(v < 0x20) | (bytes16)(v == 0x7f);
}

/* The last few may have been looked at already. */
bool bytes_are_token(const char *text, size_t bytes)
{
    const size_t step = sizeof(bytes8);
    bytes8 unusual;

    if (bytes < step)
        return are(text, bytes, BYTE_TOKEN);
    unusual = unusual_in_name(text + bytes - step);
    for (size_t i = 0; i + step < bytes; i += step)
        unusual |= unusual_in_name(text + i);
    return (uint64_t)unusual == 0 || are(text, bytes, BYTE_TOKEN);
}

bool bytes_are_plain(const char *text, size_t bytes)
{
    const size_t step = sizeof(bytes8);
    bytes8 unusual;

    if (bytes < step)
        return false;
    unusual = unusual_in_path(text + bytes - step);
    for (size_t i = 0; i + step < bytes; i += step)
        unusual |= unusual_in_path(text + i);
    return (uint64_t)unusual == 0;
}

bool bytes_are_value(const char *text, size_t bytes)
{
    const size_t step = sizeof(bytes16);
    bytes16 unusual;
    uint64_t halves[2];

    if (bytes < step)
        return are(text, bytes, BYTE_VALUE);
    unusual = unusual_in_value(text + bytes - step);
    for (size_t i = 0; i + step < bytes; i += step)
        unusual |= unusual_in_value(text + i);
    memcpy(halves, &unusual, sizeof(unusual));
    return (halves[0] | halves[1]) == 0 || are(text, bytes, BYTE_VALUE);
}
