/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See input.h. Each parse_…() returns how many bytes it took, 0: it needs more. */
#include "ui/input.h"

#include <string.h>

#include "base/util.h"
#include "ui/cell.h"

#define CSI_PARAMS 4

size_t input_room(const struct input *in)
{
    return sizeof in->buf - in->len;
}

void input_add(struct input *in, const void *bytes, size_t len)
{
    len = min(len, input_room(in));
    memcpy(in->buf + in->len, bytes, len);
    in->len += len;
}

/* CSI n ~ and, for rxvt, the same keys under other numbers. */
static const uint32_t tilde_keys[] = {
    [1] = K_HOME,          [2] = K_INS,         [3] = K_DEL,      [4] = K_END,
    [5] = K_PGUP,          [6] = K_PGDN,        [7] = K_HOME,     [8] = K_END,
    [11] = K_F0 + 1,       [12] = K_F0 + 2,     [13] = K_F0 + 3,  [14] = K_F0 + 4,
    [15] = K_F0 + 5,       [17] = K_F0 + 6,     [18] = K_F0 + 7,  [19] = K_F0 + 8,
    [20] = K_F0 + 9,       [21] = K_F0 + 10,    [23] = K_F0 + 11, [24] = K_F0 + 12,
    [200] = K_PASTE_BEGIN, [201] = K_PASTE_END,
};

/* CSI … letter and SS3 letter. */
static uint32_t letter_key(unsigned char c)
{
    static const char letters[] = "ABCDHFMPQRS";
    static const uint32_t keys[] = {K_UP,    K_DOWN,   K_RIGHT,  K_LEFT,   K_HOME,  K_END,
                                    K_ENTER, K_F0 + 1, K_F0 + 2, K_F0 + 3, K_F0 + 4};
    const char *p = c ? strchr(letters, c) : NULL;
    return p ? keys[p - letters] : K_NONE;
}

/* SGR mouse report: CSI < button ; column ; row M|m. */
static void mouse_key(const unsigned p[CSI_PARAMS], bool release, struct key *key)
{
    unsigned b = p[0];
    key->code = K_MOUSE;
    key->mods = (b & 4 ? MOD_SHIFT : 0u) | (b & 8 ? MOD_ALT : 0u) | (b & 16 ? MOD_CTRL : 0u);
    key->col = (int)min(p[1], 10000u) - 1;
    key->row = (int)min(p[2], 10000u) - 1;
    key->button = (int)(b & 3) + 1;
    if (b & 64)
        key->mouse = b & 1 ? MOUSE_WHEEL_DOWN : MOUSE_WHEEL_UP;
    else if (b & 32)
        key->mouse = MOUSE_MOVE;
    else
        key->mouse = release ? MOUSE_RELEASE : MOUSE_PRESS;
}

/* s begins after ESC [. */
static size_t parse_csi(const unsigned char *s, size_t len, struct key *key)
{
    unsigned p[CSI_PARAMS] = {0}, n = 0;
    size_t i = 0;
    bool mouse = len > 0 && s[0] == '<';
    if (len > 1 && s[0] == '[') { /* the Linux console's F1 to F5 */
        if (s[1] >= 'A' && s[1] <= 'E')
            key->code = K_F1 + (uint32_t)(s[1] - 'A');
        return 2;
    }
    for (; i < len && s[i] < 0x40; i++) {
        if (s[i] == ';' && n + 1 < CSI_PARAMS)
            n++;
        else if (s[i] >= '0' && s[i] <= '9' && p[n] < 100000)
            p[n] = p[n] * 10 + (unsigned)(s[i] - '0');
    }
    if (i == len)
        return 0;
    if (mouse) {
        mouse_key(p, s[i] == 'm', key);
        return i + 1;
    }
    if (n > 0 && p[1] > 1)
        key->mods = (p[1] - 1) & 7;
    if (s[i] == '~' && p[0] < ARRAY_SIZE(tilde_keys)) {
        key->code = tilde_keys[p[0]];
    } else if (s[i] == 'Z') {
        key->code = K_TAB;
        key->mods = MOD_SHIFT;
    } else if (i == 0 && s[i] >= 'a' && s[i] <= 'd') { /* rxvt: with shift */
        key->code = letter_key((unsigned char)(s[i] - 'a' + 'A'));
        key->mods = MOD_SHIFT;
    } else {
        key->code = letter_key(s[i]);
    }
    return i + 1;
}

/* A byte or a UTF-8 character, no escape sequence. */
static size_t parse_char(const unsigned char *s, size_t len, bool flush, struct key *key)
{
    static const uint32_t controls[0x20] = {['\r'] = K_ENTER, ['\t'] = K_TAB, [0x1b] = K_ESC};
    unsigned char c = s[0];
    if (c < 0x20) {
        key->code = controls[c];
        if (key->code == K_NONE) {
            key->mods = MOD_CTRL;
            key->code = c == 0 ? ' ' : c + (c <= 26 ? 'a' - 1u : (uint32_t)'@');
        }
        return 1;
    }
    if (c == 0x7f) {
        key->code = K_BACKSPACE;
        return 1;
    }
    size_t want = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc2 ? 2 : 1;
    if (len < want && !flush)
        return 0;
    return utf8_get((const char *)s, len, &key->code);
}

static size_t parse_key(const unsigned char *s, size_t len, bool flush, struct key *key)
{
    *key = (struct key){0};
    if (s[0] != 0x1b)
        return parse_char(s, len, flush, key);
    if (len == 1) {
        key->code = K_ESC;
        return flush ? 1 : 0;
    }
    size_t n;
    if (s[1] == '[' && len > 2) {
        n = parse_csi(s + 2, len - 2, key);
    } else if (s[1] == 'O' && len > 2) {
        key->code = letter_key(s[2]);
        n = 1;
    } else if (s[1] == '[' || s[1] == 'O') {
        n = 0;
    } else if (s[1] == 0x1b) { /* ESC ESC: the first one stands alone */
        key->code = K_ESC;
        return 1;
    } else {
        n = parse_char(s + 1, len - 1, flush, key);
        key->mods |= MOD_ALT;
        return n ? n + 1 : 0;
    }
    if (n > 0)
        return n + 2;
    if (!flush)
        return 0;
    *key = (struct key){.code = s[1], .mods = MOD_ALT}; /* Alt-[ or Alt-O, typed */
    return 2;
}

bool input_next(struct input *in, bool flush, struct key *key)
{
    while (in->len > 0) {
        size_t n = parse_key(in->buf, in->len, flush, key);
        if (n == 0 && in->len == sizeof in->buf)
            n = 1; /* a sequence this long is none */
        if (n == 0)
            return false;
        in->len -= n;
        memmove(in->buf, in->buf + n, in->len);
        if (key->code != K_NONE)
            return true;
    }
    return false;
}
