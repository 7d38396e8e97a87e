"""Elementary functions from their series, in decimal numbers of 40 digits: what ours are measured against."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

DIGITS = 40


def exponential(x):
    """e**x of a float."""
    with localcontext() as context:
        context.prec = DIGITS
        return Decimal(x).exp()


def logarithm(x):
    """The natural logarithm of a float."""
    with localcontext() as context:
        context.prec = DIGITS
        return Decimal(x).ln()


def cosine(x):
    """cos x of a float or a Decimal."""
    return _alternating(Decimal(x), 0)


def sine(x):
    """sin x."""
    return _alternating(Decimal(x), 1)


def half_turn():
    """Pi, from Machin's formula."""
    with localcontext() as context:
        context.prec = DIGITS
        return 4 * (4 * _arctangent(5) - _arctangent(239))


def power(base, exponent):
    """`base**exponent`, exactly enough."""
    with localcontext() as context:
        context.prec = DIGITS
        return Decimal(base) ** exponent if exponent else Decimal(1)


def ulps(found, exact):
    """How far a float is from a Decimal, in units of the last place of the latter."""
    unit = math.ulp(float(exact)) or math.ulp(0.0)
    return float(abs(Decimal(found) - exact) / Decimal(unit))


def _arctangent(inverse):
    total, term, n = Decimal(0), Decimal(1) / inverse, 1
    while abs(term) > Decimal(10) ** -DIGITS:
        total += term / n * (1 if n % 4 == 1 else -1)
        term, n = term / inverse**2, n + 2
    return total


def _alternating(x, n):
    """`x**n/n! - x**(n+2)/(n+2)! + ...`"""
    with localcontext() as context:
        context.prec = DIGITS
        term = x**n
        total = Decimal(0)
        while abs(term) > Decimal(10) ** -DIGITS:
            total += term
            term = -term * x * x / ((n + 1) * (n + 2))
            n += 2
        return total
