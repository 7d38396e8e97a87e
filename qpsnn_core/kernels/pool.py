"""Pools over spike counts `[M, H, W, C]`, and their gradients."""

from __future__ import annotations

from qpsnn_core.kernels.parallel import kernel


@kernel
def best(window, top, left, height, width, size, c):
    """The place (y, x) of the first largest count of channel c in a window cut at the map's edge."""
    by, bx, found = -1, -1, -1
    for y in range(max(top, 0), min(top + size, height)):
        for x in range(max(left, 0), min(left + size, width)):
            value = int(window[y, x, c])
            if value > found:
                by, bx, found = y, x, value
    return by, bx


@kernel
def max_forward(low, high, counts, out, size, stride, padding):
    """The largest count of each window, images low..high-1."""
    height, width = counts.shape[1], counts.shape[2]
    for m in range(low, high):
        for oy in range(out.shape[1]):
            top = oy * stride - padding
            for ox in range(out.shape[2]):
                left = ox * stride - padding
                o = out[m, oy, ox]
                o[:] = 0
                for y in range(max(top, 0), min(top + size, height)):
                    for x in range(max(left, 0), min(left + size, width)):
                        s = counts[m, y, x]
                        for c in range(o.shape[0]):
                            o[c] = max(o[c], s[c])


@kernel
def max_backward(low, high, counts, gradient, out, size, stride, padding):
    """Each window's gradient goes to its first largest count; out must be zero."""
    height, width = counts.shape[1], counts.shape[2]
    for m in range(low, high):
        for oy in range(gradient.shape[1]):
            for ox in range(gradient.shape[2]):
                for c in range(gradient.shape[3]):
                    y, x = best(counts[m], oy * stride - padding, ox * stride - padding, height, width, size, c)
                    out[m, y, x, c] += gradient[m, oy, ox, c]


@kernel
def sum_forward(low, high, counts, out, size):
    """The sum of each size x size window, images low..high-1."""
    for m in range(low, high):
        for oy in range(out.shape[1]):
            for ox in range(out.shape[2]):
                o = out[m, oy, ox]
                o[:] = 0
                for y in range(oy * size, (oy + 1) * size):
                    for x in range(ox * size, (ox + 1) * size):
                        s = counts[m, y, x]
                        for c in range(o.shape[0]):
                            o[c] += s[c]


@kernel
def sum_backward(low, high, gradient, out, size):
    """Every pixel of a window gets the window's gradient; out must be zero."""
    for m in range(low, high):
        for oy in range(gradient.shape[1]):
            for ox in range(gradient.shape[2]):
                for y in range(oy * size, (oy + 1) * size):
                    for x in range(ox * size, (ox + 1) * size):
                        out[m, y, x, :] = gradient[m, oy, ox, :]
