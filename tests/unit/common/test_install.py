"""Commands that install an extra: they name the source of this qpsnn, and pip understands them."""

from __future__ import annotations

import importlib.metadata
import shlex

import pytest

from qpsnn_core.common import install


@pytest.fixture
def told(tmp_path, monkeypatch):
    """An installed qpsnn of whose source pip wrote this."""

    def tell(text):
        folder = tmp_path / "site" / "qpsnn-9.9.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: qpsnn\nVersion: 9.9\n")
        if text is not None:
            (folder / "direct_url.json").write_text(text.replace("FOLDER", tmp_path.as_posix()))
        monkeypatch.syspath_prepend(str(folder.parent))
        monkeypatch.setattr(install, "here", lambda: folder.parent)

    return tell


def test_a_checkout_is_named_by_its_folder(monkeypatch, tmp_path):
    folder = tmp_path / "a b"
    folder.mkdir()
    (folder / "pyproject.toml").write_text('[project]\nname = "qpsnn"\n')
    monkeypatch.setattr(install, "here", lambda: folder)
    assert shlex.split(install.install_command("data", "plot")) == ["pip", "install", f"{folder}[data,plot]"]


def test_another_project_that_contains_qpsnn_is_no_checkout(monkeypatch, tmp_path):
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "another"\n')
    monkeypatch.setattr(install, "here", lambda: tmp_path)
    assert install.checkout() is None


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('{"url": "file://FOLDER", "dir_info": {}}', "FOLDER[data]"),
        (
            '{"url": "https://x.org/q.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}}',
            "git+https://x.org/q.git@abc",
        ),
        ('{"url": "https://x.org/q.whl", "archive_info": {}}', "https://x.org/q.whl"),
    ],
)
def test_an_installed_qpsnn_is_installed_from_where_it_came(told, tmp_path, text, wanted):
    told(text)
    *pip, found = shlex.split(install.install_command("data"))
    assert pip == ["pip", "install"]
    want = wanted.replace("FOLDER", tmp_path.as_posix())
    assert found == (want if "FOLDER" in wanted else f"qpsnn[data] @ {want}")


@pytest.mark.parametrize("text", [None, '{"url": "file://FOLDER/gone", "dir_info": {}}'])
def test_where_the_source_is_gone_a_checkout_is_asked_for(told, text):
    told(text)
    assert install.install_command("data") == "in a checkout of qpsnn: pip install '.[data]'"


def test_a_qpsnn_that_was_never_installed_has_no_source(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    assert install.installed_from() is None


def test_no_message_names_an_index(root):
    """The package is on no index: a bare `pip install qpsnn` cannot work."""
    for folder in ("qpsnn_core", "backends", "datasets", "docs"):
        for path in (root / folder).rglob("*.*"):
            if path.suffix in (".py", ".md"):
                text = path.read_text(encoding="utf-8")
                assert "pip install 'qpsnn[" not in text, path
                assert "pip install qpsnn" not in text, path
