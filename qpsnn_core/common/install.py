"""The command that installs an extra: from the source that this qpsnn came from, as no package index has it."""

from __future__ import annotations

import importlib.metadata
import json
import shlex
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

from qpsnn_core.common.errors import DataError, Unquoted, expected


def here() -> Path:
    """The folder that holds this package: site-packages, or a checkout."""
    return Path(__file__).resolve().parents[2]


def checkout() -> Path | None:
    """The checkout that this qpsnn runs from; None if it is installed apart from one."""
    project = here() / "pyproject.toml"
    return here() if project.is_file() and 'name = "qpsnn"' in project.read_text(encoding="utf-8") else None


def installed_from() -> str | None:
    """The URL that this qpsnn was installed from (PEP 610): a folder, a file, a repository; None if it is not known.

    A folder or file that is gone counts as not known.
    """
    try:
        text = importlib.metadata.distribution("qpsnn").read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        return None
    told = json.loads(text or "{}")
    url = str(told.get("url", ""))
    if vcs := told.get("vcs_info"):
        return f"{vcs['vcs']}+{url}@{vcs['commit_id']}"
    if url.startswith("file:") and not Path(url2pathname(urlparse(url).path)).exists():
        return None
    return url or None


def requirement(*extras: str) -> str:
    """What pip is to install so that this qpsnn has the extras: a checkout's folder, or a URL.

    Where neither is known it is `.[extras]`, which pip understands inside a checkout.
    """
    wanted = f"[{','.join(extras)}]"
    if (folder := checkout()) is not None:
        return f"{folder}{wanted}"
    if (url := installed_from()) is None:
        return f".{wanted}"
    path = Path(url2pathname(urlparse(url).path)) if url.startswith("file:") else None
    return f"{path}{wanted}" if path and path.is_dir() else f"qpsnn{wanted} @ {url}"


def install_command(*extras: str) -> str:
    """The command that installs the extras into this Python's environment."""
    wanted = requirement(*extras)
    place = "in a checkout of qpsnn: " if wanted.startswith(".[") else ""
    return f"{place}pip install {shlex.quote(wanted)}"


def missing_extra(place: str, what: str, extra: str, error: ImportError) -> DataError:
    """The error for a package that is not installed, with the command that installs the extra it belongs to.

    what: the package, and what it is for: "matplotlib, which draws".
    """
    return DataError(expected(place, f"{what} ({install_command(extra)})", Unquoted(f"no such package ({error})")))
