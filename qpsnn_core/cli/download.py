"""`qpsnn download`: fetches a set of images or recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qpsnn_core.cli import show
from qpsnn_core.cli.options import Quiet


def download(
    name: Annotated[str, typer.Argument(help="mnist, cifar10, cifar100, tinyimagenet, nmnist or cifar10dvs.")],
    folder: Annotated[Path, typer.Argument(help="Where to put it; made if it is missing.")],
    quiet: Quiet = False,
) -> None:
    """Fetch a known set, check it against its published checksum, unpack it; what is there is not fetched again."""
    from qpsnn_datasets import download as fetch

    show.log(f"{name} is in {fetch(name, folder, progress=not quiet)}")
