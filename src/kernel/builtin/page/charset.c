#include <string.h>

#include "kernel/builtin/page/page.h"

#define PRESCAN_BYTES 1024u

enum charset { UTF8, UTF16LE, UTF16BE, WINDOWS1252, UNKNOWN };

static const char *const names[] = {
    [UTF8] = "utf-8",       [UTF16LE] = "utf-16le",
    [UTF16BE] = "utf-16be", [WINDOWS1252] = "windows-1252",
    [UNKNOWN] = "unknown",
};

/* As browsers do, who read Latin-1 and ASCII as windows-1252. */
static const struct {
    const char *label;
    enum charset charset;
} labels[] = {
    {"utf-8", UTF8},
    {"utf8", UTF8},
    {"unicode-1-1-utf-8", UTF8},
    {"utf-16", UTF16LE},
    {"utf-16le", UTF16LE},
    {"utf-16be", UTF16BE},
    {"ucs-2", UTF16LE},
    {"windows-1252", WINDOWS1252},
    {"cp1252", WINDOWS1252},
    {"x-cp1252", WINDOWS1252},
    {"iso-8859-1", WINDOWS1252},
    {"iso8859-1", WINDOWS1252},
    {"iso_8859-1", WINDOWS1252},
    {"latin1", WINDOWS1252},
    {"l1", WINDOWS1252},
    {"us-ascii", WINDOWS1252},
    {"ascii", WINDOWS1252},
};

static const uint16_t upper1252[32] = {
    0x20ac, 0x81,   0x201a, 0x192,  0x201e, 0x2026, 0x2020, 0x2021, 0x2c6,  0x2030, 0x160,
    0x2039, 0x152,  0x8d,   0x17d,  0x8f,   0x90,   0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
    0x2013, 0x2014, 0x2dc,  0x2122, 0x161,  0x203a, 0x153,  0x9d,   0x17e,  0x178,
};

static enum charset find_label(const char *label, size_t size)
{
    for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++)
        if (text_is(label, size, labels[i].label))
            return labels[i].charset;
    return UNKNOWN;
}

/* The BOM's bytes are passed over. */
static bool find_bom(const char **input, size_t *size, enum charset *ret)
{
    static const struct {
        const char *bytes;
        size_t size;
        enum charset charset;
    } boms[] = {{"\xef\xbb\xbf", 3, UTF8}, {"\xff\xfe", 2, UTF16LE}, {"\xfe\xff", 2, UTF16BE}};

    for (size_t i = 0; i < sizeof(boms) / sizeof(boms[0]); i++) {
        if (*size >= boms[i].size && memcmp(*input, boms[i].bytes, boms[i].size) == 0) {
            *input += boms[i].size;
            *size -= boms[i].size;
            *ret = boms[i].charset;
            return true;
        }
    }
    return false;
}

static bool is_label_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

/* charset=… in a meta element or in what stands before XML. A page that could be read as far as this is no UTF-16. */
static bool find_meta(const char *input, size_t size, enum charset *ret)
{
    static const char key[] = "charset";
    const char *end = input + (size < PRESCAN_BYTES ? size : PRESCAN_BYTES);
    size_t n = sizeof(key) - 1;

    for (const char *at = input; at + n < end; at++) {
        const char *value = at + n;
        if (!text_is(at, n, key))
            continue;
        while (value < end && (*value == ' ' || *value == '=' || *value == '"' || *value == '\''))
            value++;
        at = value;
        while (at < end && is_label_byte(*at))
            at++;
        *ret = find_label(value, (size_t)(at - value));
        if (*ret == UTF16LE || *ret == UTF16BE)
            *ret = UTF8;
        if (*ret != UNKNOWN)
            return true;
    }
    return false;
}

static bool is_utf8(const char *input, size_t size)
{
    const char *end = input + size;

    while (input < end) {
        const char *begin = input;
        if (text_read(&input, end) == 0xfffd &&
            (input - begin != 3 || memcmp(begin, "\xef\xbf\xbd", 3) != 0))
            return false;
    }
    return true;
}

static void add(struct text *ret, uint32_t code)
{
    if (code < 0x20 && code != '\t' && code != '\n' && code != '\r' && code != '\f')
        code = ' ';
    text_add_code(ret, code == 0x7f ? ' ' : code);
}

static void decode_bytes(const char *input, size_t size, enum charset charset, struct text *ret)
{
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)input[i];
        if (charset == UNKNOWN && byte >= 0x80)
            add(ret, 0xfffd);
        else
            add(ret, byte >= 0x80 && byte < 0xa0 ? upper1252[byte - 0x80] : byte);
    }
}

static uint32_t unit16(const char *at, enum charset charset)
{
    uint8_t a = (uint8_t)at[0], b = (uint8_t)at[1];

    return charset == UTF16LE ? (uint32_t)b << 8 | a : (uint32_t)a << 8 | b;
}

static void decode16(const char *input, size_t size, enum charset charset, struct text *ret)
{
    for (size_t i = 0; i + 1 < size; i += 2) {
        uint32_t code = unit16(input + i, charset);
        uint32_t low = i + 3 < size ? unit16(input + i + 2, charset) : 0;
        if (code >= 0xd800 && code < 0xdc00 && low >= 0xdc00 && low < 0xe000) {
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            i += 2;
        }
        add(ret, code);
    }
    if (size % 2 == 1)
        add(ret, 0xfffd);
}

static enum charset guess(const char *input, size_t size, const char *label, size_t label_size,
                          bool is_html)
{
    enum charset charset = find_label(label, label_size);

    if (charset != UNKNOWN || (is_html && label_size == 0 && find_meta(input, size, &charset)))
        return charset;
    if (is_utf8(input, size))
        return UTF8;
    return label_size == 0 ? WINDOWS1252 : UNKNOWN;
}

const char *charset_decode(const char *input, size_t size, const char *label, size_t label_size,
                           bool is_html, struct text *ret)
{
    enum charset charset;
    const char *end;

    if (!find_bom(&input, &size, &charset))
        charset = guess(input, size, label, label_size, is_html);
    end = input + size;
    if (charset == UTF8)
        while (input < end)
            add(ret, text_read(&input, end));
    else if (charset == UTF16LE || charset == UTF16BE)
        decode16(input, size, charset, ret);
    else
        decode_bytes(input, size, charset, ret);
    return names[charset];
}
