"""Integer networks in files: exact, small, and nothing but what was saved is ever read."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace

import h5py
import numpy as np
import pytest
from generators import random_integer_network
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from qpsnn_core.common.errors import ConfigError, FileError, FormatError, VersionError
from qpsnn_core.integer.file import load_integer, save_integer
from qpsnn_core.integer.network import IntegerNetwork, nodes_from_json
from qpsnn_core.integer.nodes import IntLIF
from qpsnn_core.integer.packing import Packed, pack, unpack
from qpsnn_core.network.nodes import RESETS


@pytest.fixture
def saved(tmp_path):
    network, _ = random_integer_network(3)
    path = tmp_path / "network.h5"
    save_integer(path, network)
    return path, network


@given(
    st.sampled_from(["int8", "int16", "int32"]).flatmap(
        lambda dtype: arrays.arrays(dtype, arrays.array_shapes(max_dims=4, max_side=7))
    )
)
def test_what_is_packed_comes_back(array):
    packed = pack(array)
    back = unpack(packed)
    dense = -(-array.size * packed.bits // 8)
    bitmap = -(-array.size // 8) + -(-np.count_nonzero(array) * packed.bits // 8)
    assert packed.data.size == (bitmap if packed.sparse else dense)
    np.testing.assert_array_equal(back, array, strict=True)


@pytest.mark.parametrize("bits", range(2, 9))
def test_b_bit_codes_take_b_bits(bits):
    s = 2**bits - 1
    integers = np.random.default_rng(bits).integers(0, s + 1, 1000)
    integers[:2] = 0, s
    packed = pack((2 * integers - s).astype(np.int16))
    assert (packed.low, packed.step, packed.bits) == (-s, 2, bits)
    digits = np.unpackbits(packed.data, bitorder="little", count=1000 * bits).reshape(1000, bits)
    np.testing.assert_array_equal(digits @ 2 ** np.arange(bits), integers)


def test_a_constant_takes_no_bits():
    packed = pack(np.full(99, 256, np.int32))
    assert (packed.data.size, packed.low, packed.step, packed.bits) == (0, 256, 1, 0)


@pytest.mark.parametrize(
    "wrong",
    [{"dtype": "int64"}, {"bits": 3}, {"shape": (5,)}, {"low": 2**31}, {"shape": (0,)}, {"data": np.zeros(1, np.int8)}],
)
def test_parts_that_do_not_belong_together_are_refused(wrong):
    packed = pack(np.array([-3, -1, 1, 3], np.int8))
    with pytest.raises(FormatError, match="packed array: expected"):
        unpack(packed._replace(**wrong))


def test_a_wide_step_is_refused_where_it_leaves_the_type():
    with pytest.raises(FormatError, match="expected int8, got 0 to 255"):
        unpack(Packed(np.array([0b10], np.uint8), "int8", (2,), 0, 255, 1))


@pytest.mark.parametrize("seed", range(20))
def test_a_network_comes_back(tmp_path, seed):
    network, _ = random_integer_network(seed, RESETS)
    save_integer(tmp_path / "network.h5", network)
    back = load_integer(tmp_path / "network.h5")
    assert back.digest() == network.digest()
    assert (back.nodes, back.steps) == (network.nodes, network.steps)


def test_a_reset_to_zero_is_not_written_and_one_by_subtraction_is():
    """What was lowered before there was a choice keeps its text and its digest."""
    network, _ = random_integer_network(3)
    assert "reset" not in network.nodes_json()
    assert network.digest().startswith("ee1874d7245e4276")
    lif = network.of(IntLIF)[0]
    nodes = tuple(replace(node, reset="subtract") if node is lif else node for node in network.nodes)
    changed = IntegerNetwork(nodes, network.arrays, network.steps)
    assert changed.nodes_json().count('"reset":"subtract"') == 1
    assert changed.digest() != network.digest()
    assert nodes_from_json(changed.nodes_json()) == nodes
    with pytest.raises(ConfigError, match=f"{lif.name}.reset: expected one of zero, subtract, got 'sub'"):
        IntegerNetwork(tuple(replace(n, reset="sub") if n == lif else n for n in network), network.arrays, 2)


def test_the_file_is_as_small_as_its_bits(saved):
    path, network = saved
    datasets = sum(len(named) for named in network.arrays.values())
    assert path.stat().st_size < sum(network.size_bytes.values()) + 600 * datasets + 6000


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileError, match="no such file"):
        load_integer(tmp_path / "none.h5")


def test_a_file_of_another_kind(tmp_path):
    path = tmp_path / "other"
    path.write_bytes(b"not HDF5 at all")
    with pytest.raises(FormatError):
        load_integer(path)
    with h5py.File(path, "w") as file:
        file.attrs["format"] = "qpsnn-checkpoint"
        file.attrs["version"] = 1
    with pytest.raises(FormatError, match="expected an integer network, got an HDF5 file that qpsnn did not write"):
        load_integer(path)


def test_a_file_of_a_newer_version(saved):
    path, _ = saved
    with h5py.File(path, "r+") as file:
        file.attrs["version"] = 2
    with pytest.raises(VersionError, match="version: expected 1, got 2"):
        load_integer(path)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.9, 0.999])
def test_a_truncated_file(saved, share):
    path, _ = saved
    os.truncate(path, int(path.stat().st_size * share))
    with pytest.raises(FormatError):
        load_integer(path)


def test_a_missing_part(saved):
    path, _ = saved
    with h5py.File(path, "r+") as file:
        del file["contents"]
    with pytest.raises(FormatError):
        load_integer(path)


def test_one_altered_bit_of_the_contents_is_noticed(saved):
    path, _ = saved
    with h5py.File(path, "r") as file:
        names = list(file)
    assert "contents" in names
    assert len(names) > 4
    for name in names:
        with h5py.File(path, "r+") as file:
            file[name][-1] ^= 1
        with pytest.raises(FormatError, match="altered"):
            load_integer(path)
        with h5py.File(path, "r+") as file:
            file[name][-1] ^= 1
    load_integer(path)


@pytest.mark.parametrize("seed", range(20))
def test_altered_bytes_anywhere_change_nothing_or_are_refused(saved, seed):
    path, network = saved
    rng = np.random.default_rng(seed)
    content = bytearray(path.read_bytes())
    for place in rng.integers(0, len(content), rng.choice([1, 8])):
        content[place] = rng.integers(256)
    path.write_bytes(content)
    with contextlib.suppress(FileError):
        assert load_integer(path).digest() == network.digest()
