"""A tape autograd in float64 NumPy: every operation notes how a gradient flows back through it.

Written from textbook derivatives, with nothing of the engine but the surrogates' two curves. Spikes are real (a step
forward, the surrogate backward) or smooth (the surrogate's primitive forward, so that finite differences apply).
"""

from __future__ import annotations

import numpy as np

from qpsnn_core.network import membranes, surrogates


class Tensor:
    """A float64 array, its gradient once `backward` has run, and how to push that gradient to its parents.

    pulls: for each parent, a function from this tensor's gradient to the parent's.
    """

    def __init__(self, value, parents=(), pulls=()):
        self.value = np.asarray(value, np.float64)
        self.parents, self.pulls = parents, pulls
        self.gradient = np.zeros_like(self.value)

    @property
    def shape(self):
        return self.value.shape

    def __add__(self, other):
        return add(self, _tensor(other))

    def __sub__(self, other):
        return add(self, _tensor(other) * -1.0)

    def __mul__(self, other):
        return multiply(self, _tensor(other))

    __radd__, __rmul__ = __add__, __mul__

    def accumulate(self, gradient):
        """What reaches a tensor by several ways adds up."""
        self.gradient = self.gradient + gradient

    def backward(self):
        """Fill in `gradient` of all that this scalar was made from."""
        order, seen = [], set()

        def visit(tensor):
            if id(tensor) not in seen:
                seen.add(id(tensor))
                for parent in tensor.parents:
                    visit(parent)
                order.append(tensor)

        visit(self)
        self.gradient = np.ones_like(self.value)
        for tensor in reversed(order):
            for parent, pull in zip(tensor.parents, tensor.pulls, strict=True):
                parent.accumulate(pull(tensor.gradient))


def _tensor(value):
    return value if isinstance(value, Tensor) else Tensor(value)


def _fold(gradient, shape):
    """The gradient of what was broadcast to a larger shape: the sum over the copies."""
    gradient = gradient.sum(tuple(range(gradient.ndim - len(shape))))
    axes = tuple(axis for axis, size in enumerate(shape) if size == 1 and gradient.shape[axis] > 1)
    return gradient.sum(axes, keepdims=True)


def add(a, b):
    return Tensor(a.value + b.value, (a, b), (lambda g: _fold(g, a.shape), lambda g: _fold(g, b.shape)))


def multiply(a, b):
    pulls = (lambda g: _fold(g * b.value, a.shape), lambda g: _fold(g * a.value, b.shape))
    return Tensor(a.value * b.value, (a, b), pulls)


def power(a, exponent):
    return Tensor(a.value**exponent, (a,), (lambda g: g * exponent * a.value ** (exponent - 1),))


def detach(a):
    """The value alone: no gradient flows back."""
    return Tensor(a.value)


def reshape(a, *shape):
    return Tensor(a.value.reshape(shape), (a,), (lambda g: g.reshape(a.shape),))


def index(a, place):
    """`a[place]`; a place that is read twice gets both gradients."""

    def pull(g):
        out = np.zeros(a.shape)
        np.add.at(out, place, g)
        return out

    return Tensor(a.value[place], (a,), (pull,))


def join(tensors):
    """Along the last axis."""
    ends = np.cumsum([tensor.shape[-1] for tensor in tensors])
    pulls = tuple(
        lambda g, end=end, size=tensor.shape[-1]: g[..., end - size : end]
        for end, tensor in zip(ends, tensors, strict=True)
    )
    return Tensor(np.concatenate([tensor.value for tensor in tensors], -1), tuple(tensors), pulls)


def stack(tensors):
    """Along a new first axis."""
    pulls = [lambda g, i=i: g[i] for i in range(len(tensors))]
    return Tensor(np.stack([tensor.value for tensor in tensors]), tuple(tensors), tuple(pulls))


def mean(a, axes, keepdims=False):
    count = np.prod([a.shape[axis] for axis in axes])

    def pull(g):
        g = g if keepdims else np.expand_dims(g, axes)
        return np.broadcast_to(g, a.shape) / count

    return Tensor(a.value.mean(axes, keepdims=keepdims), (a,), (pull,))


def matmul(a, b):
    """[N, I] by [I, O]."""
    return Tensor(a.value @ b.value, (a, b), (lambda g: g @ b.value.T, lambda g: a.value.T @ g))


def both(size):
    """(rows, columns) of a size that may be one number."""
    return size if isinstance(size, tuple) else (size, size)


def attention(query, key, value, heads):
    """`(q k^T) v` of each head, of [M, H, W, C]; the places of a map are the tokens."""
    q, k, v = (one.value.reshape(len(one.value), -1, heads, one.shape[3] // heads) for one in (query, key, value))
    match = np.einsum("mihc,mjhc->mhij", q, k)

    def into(pattern, *others):
        return lambda g: np.einsum(pattern, g.reshape(v.shape), *others).reshape((*g.shape[:3], -1))

    pulls = (
        into("mihe,mjhe,mjhc->mihc", v, k),
        into("mihe,mjhe,mihc->mjhc", v, q),
        into("mihe,mhij->mjhe", match),
    )
    return Tensor(np.einsum("mhij,mjhe->mihe", match, v).reshape(value.shape), (query, key, value), pulls)


def _windows(images, kernel, stride):
    """[M, H', W', C, rows, columns], a view."""
    down, right = both(stride)
    return np.lib.stride_tricks.sliding_window_view(images, both(kernel), (1, 2))[:, ::down, ::right]


def pad(a, edge, value=0.0):
    """Rows and columns of `value` around images [M, H, W, C]."""
    if edge == 0:
        return a
    (top, left), (height, width) = both(edge), a.shape[1:3]
    widths = ((0, 0), (top, top), (left, left), (0, 0))
    inner = (slice(None), slice(top, top + height), slice(left, left + width))
    return Tensor(np.pad(a.value, widths, constant_values=value), (a,), (lambda g: g[inner],))


def conv(images, weight, stride, padding):
    """Images [M, H, W, C] by weights [rows, columns, C, O]."""
    padded, kernel = pad(images, padding), weight.shape[:2]
    view, (down, right) = _windows(padded.value, kernel, stride), both(stride)

    def to_images(g):
        out = np.zeros(padded.shape)
        last_y, last_x = (g.shape[1] - 1) * down + 1, (g.shape[2] - 1) * right + 1
        for y, x in np.ndindex(*kernel):
            out[:, y : y + last_y : down, x : x + last_x : right] += np.einsum("mhwo,io->mhwi", g, weight.value[y, x])
        return out

    def to_weight(g):
        return np.einsum("mhwiyx,mhwo->yxio", view, g)

    value = np.einsum("mhwiyx,yxio->mhwo", view, weight.value)
    return Tensor(value, (padded, weight), (to_images, to_weight))


def max_pool(images, size, stride, padding):
    """The first largest of each window; the padding never is."""
    padded, (down, right), (rows, columns) = pad(images, padding, -np.inf), both(stride), both(size)
    view = _windows(padded.value, size, stride)
    flat = view.reshape(*view.shape[:4], rows * columns)
    best = flat.argmax(-1)

    def pull(g):
        out = np.zeros(padded.shape)
        m, y, x, c = np.indices(best.shape)
        np.add.at(out, (m, y * down + best // columns, x * right + best % columns, c), g)
        return out

    return Tensor(flat.max(-1), (padded,), (pull,))


def mean_pool(images, size, stride):
    """The mean of each window, every `stride`; a remainder at the edge is dropped."""
    (tall, wide), (down, right), (height, width) = both(size), both(stride), images.shape[1:3]
    ends = (height - tall) // down * down + 1, (width - wide) // right * right + 1
    taps = [
        index(images, (slice(None), slice(y, y + ends[0], down), slice(x, x + ends[1], right)))
        for y in range(tall)
        for x in range(wide)
    ]
    return sum(taps[1:], start=taps[0]) * (1 / (tall * wide))


def spike(u, threshold, kind, width, smooth=False, published=False):
    """1 where `u >= threshold`, with the surrogate's slope; smooth: the primitive, of which that is the derivative.

    published: the threshold gets `-g*slope*sigmoid(u - threshold)` where it fired, as in SpQuant-SNN.
    """
    distance = u.value - threshold.value
    value = surrogates.primitive(kind, width, distance) if smooth else distance >= 0
    share = (distance >= 0) / (1 + np.exp(-distance)) if published else 1.0

    def to_threshold(g):
        return _fold(-g * surrogates.slope(kind, width, distance) * share, threshold.shape)

    return Tensor(value, (u, threshold), (lambda g: g * surrogates.slope(kind, width, distance), to_threshold))


def exp(a):
    value = np.exp(a.value)
    return Tensor(value, (a,), (lambda g: g * value,))


def logistic(a):
    value = 1 / (1 + np.exp(-a.value))
    return Tensor(value, (a,), (lambda g: g * value * (1 - value),))


def level(v, how, smooth=False):
    """The nearest level of a quantizer of membranes, with its slope; smooth: the primitive of that slope."""
    value = membranes.membrane_primitive(how, v.value) if smooth else membranes.quantized(how, v.value)
    return Tensor(value, (v,), (lambda g: g * membranes.membrane_slope(how, v.value),))


def binary_cross_entropy(z, goal):
    """The mean of `-goal*log(s) - (1 - goal)*log(1 - s)`, s the sigmoid of z."""
    s = 1 / (1 + np.exp(-z.value))
    value = -(goal * np.log(s) + (1 - goal) * np.log(1 - s)).mean()
    return Tensor(value, (z,), (lambda g: g * (s - goal) / s.size,))


def gate(z, noise, sampling, temperature, smooth=False):
    """1 where `z + noise >= 0`, with the gradient of `sigmoid((z + noise) / temperature)`, or of z itself.

    smooth: what that is the gradient of.
    """
    y = 1 / (1 + np.exp(-(z.value + noise) / temperature))
    soft, slope = (y, y * (1 - y) / temperature) if sampling == "gumbel" else (z.value, 1.0)
    return Tensor(soft if smooth else z.value + noise >= 0, (z,), (lambda g: g * slope,))


def batch_norm(x, weight, shift, epsilon, statistics=None):
    """`(y, mean, variance)` per channel over all other axes; statistics: given ones instead of the batch's own."""
    axes = tuple(range(len(x.shape) - 1))
    if statistics is None:
        centre = mean(x, axes)
        variance = mean(power(x - centre, 2), axes)
    else:
        centre, variance = map(Tensor, statistics)
    return (x - centre) * power(variance + epsilon, -0.5) * weight + shift, centre.value, variance.value


def cross_entropy(logits, labels):
    """The mean over [B, K] of `-log softmax(logits)[label]`."""
    shifted = logits.value - logits.value.max(1, keepdims=True)
    log = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    rows = np.arange(len(labels))

    def pull(g):
        slopes = np.exp(log)
        slopes[rows, labels] -= 1
        return g * slopes / len(labels)

    return Tensor(-log[rows, labels].mean(), (logits,), (pull,))
