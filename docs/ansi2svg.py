#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Draw what `tmux capture-pane -e -p` prints (standard input) as SVG (standard output)."""
import html
import re
import sys
import unicodedata

W, H, PAD = 8.4, 18, 12  # of a cell, in pixels of a 14 px font
BASE = ["#1c1f24", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#c8ccd4",
        "#5c6370", "#ff7a85", "#b5e890", "#ffd787", "#8cc8ff", "#e29cf5", "#7fd8e0", "#ffffff"]
FG, BG = "#c8ccd4", "#16181c"


def colour(n):
    """One of xterm's 256 colours."""
    if n < 16:
        return BASE[n]
    if n < 232:
        n -= 16
        return "#%02x%02x%02x" % tuple(0 if c == 0 else 55 + 40 * c
                                       for c in (n // 36, n // 6 % 6, n % 6))
    return "#%02x%02x%02x" % ((8 + 10 * (n - 232),) * 3)


def sgr(state, codes):
    """The attributes after these SGR parameters."""
    codes = [int(c or 0) for c in codes]
    while codes:
        c = codes.pop(0)
        if c == 0:
            state = {}
        elif c in (38, 48):
            key = "fg" if c == 38 else "bg"
            if codes.pop(0) == 5:
                state = {**state, key: colour(codes.pop(0))}
            else:
                state = {**state, key: "#%02x%02x%02x" % tuple(codes[:3])}
                codes = codes[3:]
        elif 30 <= c <= 37 or 90 <= c <= 97:
            state = {**state, "fg": BASE[c - 30 if c < 90 else c - 82]}
        elif 40 <= c <= 47 or 100 <= c <= 107:
            state = {**state, "bg": BASE[c - 40 if c < 100 else c - 92]}
        elif c in (1, 2, 3, 4, 7):
            state = {**state, c: True}
        elif c in (39, 49):
            state = {k: v for k, v in state.items() if k != ("fg" if c == 39 else "bg")}
        else:
            gone = {22: (1, 2), 23: (3,), 24: (4,), 27: (7,)}.get(c, ())
            state = {k: v for k, v in state.items() if k not in gone}
    return state


def runs(line, state):
    """Split a line at its attributes: a list of (column, text, attributes), and what follows."""
    out, x = [], 0
    for part in re.split(r"(\x1b\[[0-9;]*m)", line):
        if part.startswith("\x1b["):
            state = sgr(state, part[2:-1].split(";"))
        elif part:
            part = re.sub(r"\x1b.|[\x00-\x1f]", "", part)
            out.append((x, part, state))
            x += sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in part)
    return out, state, x


def main():
    rows, state, columns = [], {}, 0
    for line in sys.stdin.read().splitlines():
        row, state, width = runs(line, state)
        rows.append(row)
        columns = max(columns, width)
    width, height = columns * W + 2 * PAD, len(rows) * H + 2 * PAD
    print(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" '
          f'font-family="DejaVu Sans Mono, Menlo, Consolas, monospace" font-size="14">')
    print(f'<rect width="100%" height="100%" rx="8" fill="{BG}"/>')
    for y, row in enumerate(rows):
        for x, text, a in row:
            fg, bg = a.get("fg", FG), a.get("bg")
            if 7 in a:
                fg, bg = bg or BG, fg
            if bg:
                print(f'<rect x="{PAD + x * W:.1f}" y="{PAD + y * H}" width="{len(text) * W:.1f}" '
                      f'height="{H}" fill="{bg}"/>')
            if text.strip():
                style = ' font-weight="bold"' if 1 in a else ""
                style += ' opacity="0.6"' if 2 in a else ""
                print(f'<text x="{PAD + x * W:.1f}" y="{PAD + y * H + 14}" fill="{fg}"{style} '
                      f'xml:space="preserve" textLength="{len(text) * W:.1f}" '
                      f'lengthAdjust="spacingAndGlyphs">{html.escape(text)}</text>')
    print("</svg>")


main()
