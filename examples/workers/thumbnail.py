#!/usr/bin/env python3
"""A worker as an executable that reads bytes and says how far it is.

The workload is a picture in the PPM format (P6, 8 bits a colour), the answer
the same picture made to fit 64 by 64 pixels. Nothing but Python's own library
is needed.

Progress goes to descriptor 3, a line such as "3/10" at a time. What is written
to standard error reaches the log, and if the exit status is not 0, the client.
"""

import os
import sys

SIDE = 64


def read_ppm(data):
    """Return width, height and the pixels' bytes."""
    fields, at = [], 0
    while len(fields) < 4:
        while at < len(data) and data[at : at + 1].isspace():
            at += 1
        if data[at : at + 1] == b"#":
            at = data.find(b"\n", at) + 1 or len(data)
            continue
        end = at
        while end < len(data) and not data[end : end + 1].isspace():
            end += 1
        if end == at:
            raise ValueError("the picture ends within its head")
        fields.append(data[at:end])
        at = end
    if fields[0] != b"P6" or fields[3] != b"255":
        raise ValueError("want a PPM picture: P6, width, height, 255")
    width, height = int(fields[1]), int(fields[2])
    pixels = data[at + 1 :]
    if width < 1 or height < 1 or len(pixels) < 3 * width * height:
        raise ValueError(f"{width} by {height} pixels announced, {len(pixels) // 3} found")
    return width, height, pixels


def row_of(width, pixels, top, bottom, columns):
    """Average the pixels of rows top to bottom into that many columns."""
    out = bytearray()
    for x in range(columns):
        left = x * width // columns
        right = max((x + 1) * width // columns, left + 1)
        for colour in range(3):
            total = 0
            for y in range(top, bottom):
                start = 3 * (y * width + left) + colour
                total += sum(pixels[start : start + 3 * (right - left) : 3])
            out.append(total // ((bottom - top) * (right - left)))
    return bytes(out)


def main():
    width, height, pixels = read_ppm(sys.stdin.buffer.read())
    scale = max(width, height, SIDE) / SIDE
    columns, rows = max(int(width / scale), 1), max(int(height / scale), 1)
    out = [b"P6\n%d %d\n255\n" % (columns, rows)]
    for y in range(rows):
        top = y * height // rows
        out.append(row_of(width, pixels, top, max((y + 1) * height // rows, top + 1), columns))
        progress(y + 1, rows)
    sys.stdout.buffer.write(b"".join(out))


def progress(done, total):
    """Report progress, also when run by hand, where descriptor 3 is closed."""
    try:
        os.write(3, b"%d/%d\n" % (done, total))
    except OSError:
        pass


if __name__ == "__main__":
    try:
        main()
    except ValueError as problem:
        sys.exit(f"thumbnail: {problem}")
