"""Loops-only twins of the convolution kernels: the equations on `[M, H, W, C]` arrays, one number at a time.

Sums are Python integers for integer weights and Python floats (64 bits) for real ones, so they never overflow and lose
almost nothing.
"""

from __future__ import annotations

import numpy as np


def out_size(size, kernel, stride, padding):
    """How many windows fit along one edge."""
    return len(range(0, size + 2 * padding - kernel + 1, stride))


def taps(shape, kernel, stride, padding):
    """Every (m, y, x, ky, kx, row, column): the window at (y, x) looks at pixel (row, column) through (ky, kx)."""
    images, height, width = shape
    for m in range(images):
        for y in range(out_size(height, kernel, stride, padding)):
            for x in range(out_size(width, kernel, stride, padding)):
                for ky in range(kernel):
                    for kx in range(kernel):
                        row, column = y * stride + ky - padding, x * stride + kx - padding
                        if 0 <= row < height and 0 <= column < width:
                            yield m, y, x, ky, kx, row, column


def forward(spikes, weight, stride, padding):
    """`acc[m, y, x, o] = sum_{ky,kx,i} W[ky, kx, i, o] * S[m, y*stride + ky - padding, x*stride + kx - padding, i]`."""
    kernel, _, inputs, outputs = weight.shape
    height, width = (out_size(size, kernel, stride, padding) for size in spikes.shape[1:3])
    acc = np.zeros((len(spikes), height, width, outputs), object)
    for m, y, x, ky, kx, row, column in taps(spikes.shape[:3], kernel, stride, padding):
        for i in range(inputs):
            for o in range(outputs):
                acc[m, y, x, o] += weight[ky, kx, i, o].item() * spikes[m, row, column, i].item()
    return acc.astype(np.int64 if weight.dtype.kind == "i" else np.float64)


def weight_gradient(spikes, gradient, kernel, stride, padding):
    """`dW[ky, kx, i, o] = sum_{m,y,x} S[m, row, column, i] * g[m, y, x, o]`, float64."""
    inputs, outputs = spikes.shape[3], gradient.shape[3]
    total = np.zeros((kernel, kernel, inputs, outputs))
    for m, y, x, ky, kx, row, column in taps(spikes.shape[:3], kernel, stride, padding):
        for i in range(inputs):
            for o in range(outputs):
                total[ky, kx, i, o] += spikes[m, row, column, i].item() * gradient[m, y, x, o].item()
    return total


def input_gradient(weight, gradient, shape, stride, padding):
    """`dS[m, row, column, i] = sum_{y,x,ky,kx,o} W[ky, kx, i, o] * g[m, y, x, o]`, float64; shape: that of S."""
    kernel, _, inputs, outputs = weight.shape
    total = np.zeros(shape)
    for m, y, x, ky, kx, row, column in taps(shape[:3], kernel, stride, padding):
        for i in range(inputs):
            for o in range(outputs):
                total[m, row, column, i] += weight[ky, kx, i, o].item() * gradient[m, y, x, o].item()
    return total


def columns(image, top, kernel, across, padding):
    """`(listed, ends, counted)`: column after column of the padded image, the spikes of rows top..top+kernel-1.

    Each as 64 times its weight row, (ky*across + x)*C + c, in a window `across` wide that begins at x = 0; a column's
    list is filled up to a multiple of four with the row for ky = kernel and c = 0. counted: spikes before each column.
    """
    height, width, channels = image.shape
    listed, ends, counted = [], [], [0]
    for x in range(width + 2 * padding):
        ends.append(len(listed))
        column = []
        for ky in range(kernel):
            for c in range(channels):
                if 0 <= top + ky < height and 0 <= x - padding < width:
                    column += [((ky * across + x) * channels + c) * 64] * image[top + ky, x - padding, c].item()
        counted.append(counted[-1] + len(column))
        while len(column) % 4:
            column.append((kernel * across + x) * channels * 64)
        listed += column
    return listed, [*ends, len(listed)], counted


def packed(weight, lanes):
    """Blocks [block, row, lanes] of Python numbers: block k has the channels from min(lanes*k, C_out - lanes) on."""
    rows, outputs = weight.shape
    blocks = []
    for block in range(-(-outputs // lanes)):
        begin = max(0, min(lanes * block, outputs - lanes))
        chosen = range(begin, begin + lanes)
        blocks.append([[weight[row, o].item() if o < outputs else 0 for o in chosen] for row in range(rows)])
    return blocks


def col2im(products, shape, stride, padding):
    """`out[m, y*stride + ky - padding, x*stride + kx - padding, i] += products[m, y, x, ky, kx, i]`, float64."""
    out = np.zeros(shape)
    for m, y, x, ky, kx, row, column in taps(shape[:3], products.shape[3], stride, padding):
        for i in range(shape[3]):
            out[m, row, column, i] += products[m, y, x, ky, kx, i].item()
    return out


def places(spikes, stride, shape, tables):
    """{(table, key): places} of spikes [T, B, H, W, C]: unit by unit of a Layout, key = (y%s*s + x%s)*C + c.

    tables: the first unit of each, and of none.

    The place of a pixel in its table, times the sets of steps, plus the set at which it spikes, or, of a single step,
    plus each binary digit of the number of its spikes.
    """
    steps, batch, height, width, channels = spikes.shape
    found = {}
    groups = -(-steps // shape.span)
    for image, step, band in np.ndindex(batch, groups, shape.bands):
        unit = (image * groups + step) * shape.bands + band
        table = max(index for index, first in enumerate(tables) if first <= unit)
        own = spikes[step * shape.span : (step + 1) * shape.span, image]
        for y, x, c in np.ndindex(height, width, channels):
            if y // stride // shape.band == band and own[:, y, x, c].any():
                key = (y % stride * stride + x % stride) * channels + c
                row = (unit - tables[table]) * shape.apart + y // stride % shape.band
                index = sum(own[t, y, x, c].item() * 2**t for t in range(len(own)))
                sets = [index - 1] if shape.span > 1 else [b for b in range(shape.sets) if index >> b & 1]
                place = (row * shape.wide + x // stride) * shape.sets
                found.setdefault((table, key), []).extend(place + one for one in sets)
    return found


def gathered(spikes, pixels):
    """`rows[i][c] = sum_t 2**t * spikes[t, pixels[i], c]` of spikes [T, pixels, C]; zeros for a pixel of -1."""
    steps, _, channels = spikes.shape
    return [
        [sum(2**t * spikes[t, pixel, c].item() for t in range(steps)) if pixel >= 0 else 0 for c in range(channels)]
        for pixel in pixels
    ]


def turned(rows):
    """Columns as rows."""
    return [[rows[i][c] for i in range(len(rows))] for c in range(len(rows[0]))]


def by_class(height, width, stride, shape):
    """Of every class (y%s, x%s): [(y*width + x, place in the table)] of the pixels of a band."""
    found = [[] for _ in range(stride * stride)]
    for y, x in np.ndindex(height, width):
        if y // stride < shape.band:
            place = (y // stride * shape.wide + x // stride) * shape.sets
            found[y % stride * stride + x % stride].append((y * width + x, place))
    return found


def laid_out(gradient, unit, shape):
    """{(row, column, set): sums} of a unit's table, of gradients [T, B, H, W, C]: over the steps of each set.

    Of a single step, its binary digits: 1, 2, 4... times the gradient.
    """
    groups = -(-shape.steps // shape.span)
    step, image, band = unit // shape.bands % groups, unit // shape.bands // groups, unit % shape.bands
    own = gradient[step * shape.span : (step + 1) * shape.span, image]
    found = {}
    for row, x in np.ndindex(shape.tall, shape.out_width):
        y = band * shape.band - shape.before + row
        inside = 0 <= y < shape.out_height
        for index in range(shape.sets if shape.span == 1 else 2 ** len(own) - 1):
            if shape.span == 1:
                total = 2**index * own[0, y, x] if inside else 0 * own[0, 0, 0]
            else:
                total = sum(
                    own[t, y, x] if inside else 0 * own[t, 0, 0] for t in range(len(own)) if (index + 1) >> t & 1
                )
            found[row, x + shape.before, index] = total
    return found


def sum_of_rows(table, rows):
    """`sum_i table[rows[i]]`, per column, in Python numbers."""
    return [sum(table[row, column].item() for row in rows) for column in range(table.shape[1])]


def interleaved(codes, digits, bits, lanes):
    """`[block, digit, ky, word, lane, 4]`, flat: the digits of codes [k, k, C, O], four inputs of a row side by side.

    Digits q of base 2**bits, -base/2 <= digit < base/2, with `code = sum base**q * digit_q`; zeros beyond C and O.
    """
    kernel, _, inputs, outputs = codes.shape
    taps, base = kernel * inputs, 2**bits
    blocks, words = -(-outputs // lanes), -(-taps // 4)
    table = np.zeros((blocks, digits, kernel, words, lanes, 4), np.int8)
    for ky in range(kernel):
        for tap in range(taps):
            for output in range(outputs):
                rest = codes[ky, tap // inputs, tap % inputs, output].item()
                for q in range(digits):
                    digit = (rest + base // 2) % base - base // 2
                    rest = (rest - digit) // base
                    table[output // lanes, q, ky, tap // 4, output % lanes, tap % 4] = digit
                assert rest == 0
    return table.reshape(-1)


def depthwise_taps(shape, kernel, stride, padding, outputs):
    """Every (m, y, x, o, ky, kx, row, column, c): output o of window (y, x) looks at channel c of a pixel."""
    images, height, width, channels = shape
    tall, wide = (out_size(*sizes) for sizes in zip((height, width), kernel, stride, padding, strict=True))
    for m, y, x, o in np.ndindex(images, tall, wide, outputs):
        for ky, kx in np.ndindex(*kernel):
            row, column = y * stride[0] + ky - padding[0], x * stride[1] + kx - padding[1]
            if 0 <= row < height and 0 <= column < width:
                yield m, y, x, o, ky, kx, row, column, o // (outputs // channels)


def depthwise(images, weight, stride, padding):
    """`acc[m, y, x, o] = sum_{ky,kx} W[ky, kx, o] * S[m, row, column, o // n]`; weight [rows, columns, C_out]."""
    *kernel, outputs = weight.shape
    sizes = (out_size(*one) for one in zip(images.shape[1:3], kernel, stride, padding, strict=True))
    acc = np.zeros((len(images), *sizes, outputs))
    for m, y, x, o, ky, kx, row, column, c in depthwise_taps(images.shape, kernel, stride, padding, outputs):
        acc[m, y, x, o] += weight[ky, kx, o].item() * images[m, row, column, c].item()
    return acc


def depthwise_weights(images, gradient, kernel, stride, padding):
    """`dW[ky, kx, o]`, the sum of gradients times what the tap sees."""
    outputs = gradient.shape[3]
    out = np.zeros((*kernel, outputs))
    for m, y, x, o, ky, kx, row, column, c in depthwise_taps(images.shape, kernel, stride, padding, outputs):
        out[ky, kx, o] += gradient[m, y, x, o].item() * images[m, row, column, c].item()
    return out


def depthwise_inputs(shape, gradient, weight, stride, padding):
    """`dS[m, row, column, c]`, the sum of weights times gradients of the windows that see the pixel."""
    *kernel, outputs = weight.shape
    out = np.zeros(shape)
    for m, y, x, o, ky, kx, row, column, c in depthwise_taps(shape, kernel, stride, padding, outputs):
        out[m, row, column, c] += weight[ky, kx, o].item() * gradient[m, y, x, o].item()
    return out


def tables(codes, digits, bits):
    """`(tables [output, digit, step, entry], base [digit, output])`: sums of the digits that an entry has bits for.

    The highest digit, of base 16, first; a step is a tap and so many input channels. Each table begins at its lowest
    sum; `base` adds these up.
    """
    size, _, inputs, outputs = codes.shape
    groups = -(-inputs // bits)
    found = np.zeros((outputs, digits, size * size * groups, 2**bits), int)
    base = [[0] * outputs for _ in range(digits)]
    for o in range(outputs):
        for ky, kx, group in np.ndindex(size, size, groups):
            rest = [codes[ky, kx, c, o].item() for c in range(group * bits, min(inputs, (group + 1) * bits))]
            for power in range(digits):
                last = power == digits - 1
                digit = rest if last else [(number + 8) % 16 - 8 for number in rest]
                rest = [(number - one) // 16 for number, one in zip(rest, digit, strict=True)]
                lowest = sum(min(one, 0) for one in digit)
                base[digits - 1 - power][o] += lowest
                for entry in range(2**bits):
                    own = sum(one for i, one in enumerate(digit) if entry >> i & 1)
                    found[o, digits - 1 - power, (ky * size + kx) * groups + group, entry] = own - lowest
    return found, base


def planes(spikes, stride, padding, together, bits):
    """`[group, row, column % stride, column // stride, image]`: so many channels of each pixel as an index, padded."""
    images, height, width, channels = spikes.shape
    columns = -(-(width + 2 * padding) // stride)
    found = np.zeros((-(-channels // bits), height + 2 * padding, stride, columns, together), int)
    for m, y, x, c in np.ndindex(images, height, width, channels):
        column = x + padding
        found[c // bits, y + padding, column % stride, column // stride, m] += spikes[m, y, x, c].item() << c % bits
    return found
