"""Downloads, from a server that the test starts, of small sets that it makes; and what is said when they fail."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import importlib
import io
import sys
import tarfile
import threading
from types import MappingProxyType

import numpy as np
import pytest

from qpsnn_core.common.errors import ConfigError, DataError, FileError, FormatError
from qpsnn_datasets import download, load_data

pytest.importorskip("pooch")
module = importlib.import_module("qpsnn_datasets.downloads")


def idx(array):
    head = bytes([0, 0, 8, array.ndim]) + b"".join(side.to_bytes(4, "big") for side in array.shape)
    return gzip.compress(head + array.astype(np.uint8).tobytes())


def mnist_files():
    images, labels = np.arange(20 * 16).reshape(20, 4, 4), np.arange(20) % 10
    return {
        f"{part}-{kind}.gz": idx(array)
        for part in ("train", "t10k")
        for kind, array in (("images-idx3-ubyte", images), ("labels-idx1-ubyte", labels))
    }


def cifar_archive(folder="cifar-10-batches-bin"):
    record = np.zeros((10, 3073), np.uint8)
    record[:, 0] = range(10)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for stem in [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]:
            entry = tarfile.TarInfo(f"{folder}/{stem}.bin")
            entry.size = record.nbytes
            archive.addfile(entry, io.BytesIO(record.tobytes()))
    return packed.getvalue()


@pytest.fixture
def server():
    """Serves `files` by name and counts what is asked for."""
    files, asked = {}, []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path.strip("/")
            asked.append(name)
            self.send_response(200 if name in files else 404)
            self.send_header("Content-Length", str(len(files.get(name, b""))))
            self.end_headers()
            self.wfile.write(files.get(name, b""))

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        thread = threading.Thread(target=served.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{served.server_port}/", files, asked
        served.shutdown()
        thread.join()


def offer(monkeypatch, address, name, files, holds="", md5=None):
    sources = [
        module.Source(address + file, file, md5 or hashlib.md5(content).hexdigest(), holds)
        for file, content in files.items()
    ]
    monkeypatch.setattr(module, "SOURCES", MappingProxyType({name: tuple(sources)}))


def test_mnist_is_fetched_once_and_can_be_loaded(server, monkeypatch, tmp_path):
    address, files, asked = server
    files |= mnist_files()
    offer(monkeypatch, address, "mnist", files)
    folder = download("mnist", tmp_path / "new" / "mnist")
    assert [len(part) for part in load_data("mnist", folder)] == [20, 20]
    download("mnist", folder)
    assert sorted(asked) == sorted(files)
    assert sorted(path.name for path in folder.iterdir()) == sorted(files)


def test_an_archive_is_unpacked_and_can_be_loaded(server, monkeypatch, tmp_path):
    address, files, asked = server
    files["cifar-10-binary.tar.gz"] = cifar_archive()
    offer(monkeypatch, address, "cifar10", files, "cifar-10-batches-bin")
    assert [len(part) for part in load_data("cifar10", download("cifar10", tmp_path))] == [50, 10]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cifar-10-batches-bin", "cifar-10-binary.tar.gz"]
    assert len(asked) == 1


@pytest.mark.cli
def test_the_command_fetches_and_says_where(qpsnn, server, monkeypatch, tmp_path):
    address, files, _ = server
    files |= mnist_files()
    offer(monkeypatch, address, "mnist", files)
    code, _, err = qpsnn("download", "mnist", tmp_path)
    assert code == 0
    assert "mnist is in" in err
    assert "100%" in err
    assert len(load_data("mnist", tmp_path).train) == 20


def test_another_checksum_is_refused_and_nothing_stays(server, monkeypatch, tmp_path):
    address, files, _ = server
    files["one.zip"] = b"not what was published"
    offer(monkeypatch, address, "cifar10", files, "folder", md5="0" * 32)
    with pytest.raises(FormatError, match="checksum: expected md5 0000"):
        download("cifar10", tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", [b"no archive", cifar_archive("another")])
def test_an_archive_that_is_damaged_or_another_is_refused(server, monkeypatch, tmp_path, content):
    address, files, _ = server
    files["cifar-10-binary.tar.gz"] = content
    offer(monkeypatch, address, "cifar10", files, "cifar-10-batches-bin")
    with pytest.raises(FormatError, match=r"cifar-10-binary\.tar\.gz: expected"):
        download("cifar10", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["cifar-10-binary.tar.gz"]


def test_without_a_network_it_says_what_to_do(monkeypatch, tmp_path):
    offer(monkeypatch, "http://127.0.0.1:9/", "mnist", {"train-images.gz": b""})
    with pytest.raises(FileError, match=r"train-images\.gz: expected to be reached, .* fetch it elsewhere and put it"):
        download("mnist", tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_file_that_the_server_lacks_is_named(server, monkeypatch, tmp_path):
    offer(monkeypatch, server[0], "mnist", {"gone.gz": b""})
    with pytest.raises(FileError, match=r"gone\.gz: expected to be reached, got HTTPError"):
        download("mnist", tmp_path)


def test_names_and_folders_are_checked(tmp_path):
    with pytest.raises(ConfigError, match="did you mean 'cifar100'"):
        download("cifar-100", tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="file: expected a folder to write to"):
        download("mnist", tmp_path / "file")


def test_without_pooch_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(DataError, match=r"the extra \[data\]"):
        download("mnist", tmp_path)


def test_every_source_has_a_checksum_and_a_name_of_its_own():
    for sources in module.SOURCES.values():
        assert all(len(source.md5) == 32 and source.url.startswith("http") for source in sources)
        assert len({source.file for source in sources}) == len(sources)
