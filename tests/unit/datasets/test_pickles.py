"""Pickles of plain data are read; anything that would run code, or is no plain data, is refused and not run."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import pickletools
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qpsnn_core.common.errors import FormatError
from qpsnn_datasets.pickles import read_pickle

HERE = Path("some_batch")

# As Python 2's cPickle wrote CIFAR-10: protocol 2, str (bytes) as SHORT_BINSTRING, numpy.core, state with a str.
PYTHON_2 = (
    b"\x80\x02}q\x00(U\x04dataq\x01cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nq\x03K\x00\x85q\x04"
    b"U\x01bq\x05\x87q\x06Rq\x07(K\x01K\x02K\x03\x86q\x08cnumpy\ndtype\nq\tU\x02u1q\nK\x00K\x01\x87q\x0bRq\x0c"
    b"(K\x03U\x01|q\rNNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tq\x0eb\x89U\x06\x00\x01\x02\xfd\xfe\xffq\x0ftq\x10b"
    b"U\x06labelsq\x11]q\x12(K\x06K\teu."
)


def test_a_pickle_of_python_2_is_read_with_bytes_as_keys():
    content = read_pickle(PYTHON_2, HERE)
    assert content[b"data"].tolist() == [[0, 1, 2], [253, 254, 255]]
    assert content[b"data"].dtype == np.uint8
    assert content[b"labels"] == [6, 9]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("dtype", ["u1", "i8", ">i4", "<u2"])
@pytest.mark.parametrize("order", "CF")
def test_arrays_of_every_protocol_and_order_are_read(protocol, dtype, order):
    ref = np.asarray(np.arange(24).reshape(2, 3, 4), dtype=dtype, order=order)
    comp = read_pickle(pickle.dumps({b"data": ref, "more": [1, 2.5, None, True, b"x"]}, protocol), HERE)
    np.testing.assert_array_equal(comp[b"data"], ref)
    assert comp[b"data"].dtype == ref.dtype
    assert comp["more"] == [1, 2.5, None, True, b"x"]


class Runs:
    """What a malicious pickle holds: a call of any function with any arguments."""

    def __init__(self, function, *arguments):
        self.call = (function, arguments)

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_malicious_pickle_is_refused_without_running(tmp_path, protocol):
    witness = tmp_path / "it ran"
    attacks = [
        Runs(os.mkdir, str(witness)),
        Runs(eval, f"__import__('os').mkdir({str(witness)!r})"),
        Runs(getattr, np.ndarray, "tofile"),
        Runs(np.load, str(witness)),
        {b"data": [Runs(os.mkdir, str(witness))]},
    ]
    for attack in attacks:
        content = pickle.dumps(attack, protocol)
        with pytest.raises(FormatError, match="which is refused"):
            read_pickle(content, HERE)
        assert not witness.exists()
    pickle.loads(pickle.dumps(attacks[0], protocol))
    assert witness.exists()  # so the attack is real: the standard reader does run it


@pytest.mark.parametrize(
    "value",
    [
        np.array([object()], dtype=object),
        np.array([1.5]),
        np.array(["text"]),
        np.zeros(2, dtype=[("a", "u1")]),
        np.uint8(3),
        np.ndarray,
        np.dtype("u1"),
        {1, 2},
        1j,
        Path("x"),
        [[[[[1]]]]],
        bytearray(b"x"),
    ],
    ids=repr,
)
def test_other_things_than_plain_data_and_integer_arrays_are_refused(value):
    with pytest.raises(FormatError, match="some_batch: expected a pickle of arrays, bytes, lists and dicts"):
        read_pickle(pickle.dumps({b"data": value}), HERE)


def by_hand(*opcodes):
    return b"\x80\x02" + b"".join(opcodes) + b"."


RECONSTRUCT, DTYPE = b"cnumpy.core.multiarray\n_reconstruct\n", b"cnumpy\ndtype\n"
FROMBUFFER = b"cnumpy.core.numeric\n_frombuffer\n"
U1 = DTYPE + b"U\x02u1\x85R"


def array(shape, data, dtype=U1):
    return RECONSTRUCT + b")R(K\x01" + shape + dtype + b"\x89" + data + b"tb"


@pytest.mark.parametrize(
    "content",
    [
        by_hand(array(b"K\x05\x85", b"U\x02ab")),
        by_hand(array(b"K\x05", b"U\x02ab")),
        by_hand(array(b"J\xff\xff\xff\xffJ\xfe\xff\xff\xff\x86", b"U\x02ab")),
        by_hand(array(b"K\x02\x85", b"K\x02")),
        by_hand(array(b"K\x02\x85", b"U\x02ab", dtype=b"U\x02u1")),
        by_hand(array(b"K\x02\x85", b"U\x02ab", dtype=DTYPE + b"U\x02u3\x85R")),
        by_hand(array(b"K\x02\x85", b"U\x02ab", dtype=DTYPE + b"K\x07\x85R")),
        by_hand(array(b"K\x02\x85", b"U\x02ab", dtype=U1 + b"(K\x03U\x01?NNNtb")),
        by_hand(RECONSTRUCT + b")R"),
        by_hand(FROMBUFFER + b"(J\xff\xff\xff\x7f" + U1 + b"K\x02\x85U\x01CtR"),
        by_hand(FROMBUFFER + b"(U\x02ab" + U1 + b"tR"),
        by_hand(b"c_codecs\nencode\nX\x02\x00\x00\x00abX\x05\x00\x00\x00idna!\x86R"),
        by_hand(b"c_codecs\nencode\n" + b"U\x02ab\x85R"),
        by_hand(b"cnumpy\nndarray\n" + b"K\x05\x85R"),
        by_hand(b"cnumpy\nndarray\n" + b"K\x05\x85\x81"),
        by_hand(DTYPE + b"}U\x04kindU\x04typesb"),
        by_hand(DTYPE + b"N}X\x08\x00\x00\x00__call__K\x01s\x86b"),
        by_hand(b"K\x01Q"),
        by_hand(b"]q\x00h\x00a"),
    ],
    ids=str,
)
def test_pickles_bent_by_hand_are_refused(content):
    with pytest.raises(FormatError, match="some_batch"):
        read_pickle(content, HERE)
    assert read_pickle(PYTHON_2, HERE)[b"labels"] == [6, 9]


def test_the_pickles_bent_by_hand_are_close_to_a_good_one():
    content = by_hand(array(b"K\x02\x85", b"U\x02ab"))
    pickletools.dis(content, out=io.StringIO())
    assert read_pickle(content, HERE).tolist() == [97, 98]


@given(st.data())
def test_a_damaged_pickle_raises_nothing_but_format_error(data):
    content = bytearray(PYTHON_2)
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.sampled_from(b"(.0K}]tbRq\x00\x01\x80\xff"))
    cut = data.draw(st.integers(0, len(content)))
    with contextlib.suppress(FormatError):
        read_pickle(bytes(content[:cut]), HERE)


def test_a_length_that_the_file_does_not_hold_is_refused():
    with pytest.raises(FormatError):
        read_pickle(by_hand(b"T" + struct.pack("<i", 2**31 - 1) + b"ab"), HERE)
