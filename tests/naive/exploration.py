"""Algorithm 1 of Q-SpiNN, line by line, for three quantities; its `for` loops read their bounds anew (`while`)."""

from __future__ import annotations


def algorithm1(schemes, levels, roundings, accurate):
    """The candidates, and all evaluations in their order: (scheme, rounding, (iw, iv, it)), indices from 0."""
    candidates, tested = [], []
    for scheme in schemes:
        nw = nv = nt = levels
        iw = 1
        while iw <= nw:
            iv = 1
            while iv <= nv:
                it = 1
                while it <= nt:
                    for rounding in roundings:
                        point = (scheme, rounding, (iw - 1, iv - 1, it - 1))
                        tested.append(point)
                        if accurate(point):
                            candidates.append(point)
                        else:
                            if iw >= 1 and iv == 1 and it == 1:
                                nw = iw - 1
                            elif iw == 1 and iv >= 1 and it == 1:
                                nv = iv - 1
                            elif iw == 1 and iv == 1 and it >= 1:
                                nt = it - 1
                    it += 1
                iv += 1
            iw += 1
    return candidates, tested
