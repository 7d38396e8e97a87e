"""Pictures scaled and moved, and their colours changed: float64, one operation after another."""

from __future__ import annotations

import math

from qpsnn_core.kernels.threads import kernel


@kernel
def resample(picture, scale, down, right, nearest, fill, out):
    """`out[t, y, x]` = the picture at `((y + 0.5 - down) / scale, (x + 0.5 - right) / scale)` from its corner.

    picture: uint8 `[T, H, W, C]`. scale: above 0. nearest: the pixel in which the place lies; else the four around it,
    weighed by how near their centres are. fill: where the place lies beyond the picture. out: uint8 `[T, h, w, C]`,
    written.
    """
    steps, height, width, channels = picture.shape
    for y in range(out.shape[1]):
        row = (y + 0.5 - down) / scale
        for x in range(out.shape[2]):
            column = (x + 0.5 - right) / scale
            if row < 0 or row >= height or column < 0 or column >= width:
                for t in range(steps):
                    for c in range(channels):
                        out[t, y, x, c] = fill
            elif nearest:
                for t in range(steps):
                    for c in range(channels):
                        out[t, y, x, c] = picture[t, int(row), int(column), c]
            else:
                above = min(max(row - 0.5, 0.0), height - 1.0)
                before = min(max(column - 0.5, 0.0), width - 1.0)
                top, left = int(above), int(before)
                bottom, beyond = min(top + 1, height - 1), min(left + 1, width - 1)
                lower, after = above - top, before - left
                for t in range(steps):
                    for c in range(channels):
                        upper = picture[t, top, left, c] * (1 - after) + picture[t, top, beyond, c] * after
                        under = picture[t, bottom, left, c] * (1 - after) + picture[t, bottom, beyond, c] * after
                        out[t, y, x, c] = math.floor(upper * (1 - lower) + under * lower + 0.5)


@kernel
def shift_colours(pixels, hue, saturation, value):
    """Hue (of a turn), saturation and value of each pixel times these numbers; the latter two at most 1.

    pixels: uint8 `[N, 3]`, red, green, blue, changed. hue, saturation, value: at least 0.
    """
    for i in range(pixels.shape[0]):
        red, green, blue = float(pixels[i, 0]), float(pixels[i, 1]), float(pixels[i, 2])
        most = max(red, green, blue)
        spread = most - min(red, green, blue)
        sixth = 0.0
        if spread > 0:
            if most == red:
                sixth = (green - blue) / spread
            elif most == green:
                sixth = 2 + (blue - red) / spread
            else:
                sixth = 4 + (red - green) / spread
            if sixth < 0:
                sixth += 6
        sixth = sixth * hue
        sixth -= 6 * math.floor(sixth / 6)
        rich = min(1.0, spread / most * saturation) if most > 0 else 0.0
        bright = min(255.0, most * value)
        for channel in range(3):
            # How far the channel lies from the hue's own: 5, 3, 1 sixths before red, green, blue.
            k = sixth + (5 - 2 * channel)
            k -= 6 * math.floor(k / 6)
            share = max(0.0, min(k, 4 - k, 1.0))
            pixels[i, channel] = math.floor(bright * (1 - rich * share) + 0.5)
