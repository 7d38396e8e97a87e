"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

File = Annotated[Path, typer.Argument(help="A checkpoint (or, where it says so, an integer network).")]
Out = Annotated[Path, typer.Option("--out", "-o", help="Where to write the result.")]
Json = Annotated[bool, typer.Option("--json", help="Print figures as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars, no lines of settings.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from --out, as if it had never stopped.")]
Best = Annotated[Path | None, typer.Option("--best", help="Also keep the best epoch on the validation here.")]
Log = Annotated[Path | None, typer.Option("--log", help="A .csv or .jsonl file with a line for each epoch.")]
TensorBoard = Annotated[
    Path | None, typer.Option("--tensorboard", help="A folder for TensorBoard (needs the extra of that name).")
]
FORMS = "NAME, NAME:PATH, a file (npz, npy, csv, h5, recipe) or folder"
Data = Annotated[str, typer.Option("--data", help=f"{FORMS}; else the recipe's.")]
OwnData = Annotated[str, typer.Option("--data", help=f"{FORMS}; an integer network names none.")]
Where = Annotated[str, typer.Option("--path", help="The folder or file that holds the data.")]
Limit = Annotated[
    int, typer.Option("--limit", min=0, help="At most so many images, each class in proportion; 0: as the recipe says.")
]
OwnLimit = Annotated[
    int,
    typer.Option("--limit", min=0, help="At most so many images, each class in proportion; 0: all there are."),
]
Threads = Annotated[int, typer.Option("--threads", min=0, help="Threads to use; 0: as many as processors.")]
Folds = Annotated[
    int, typer.Option("--folds", min=0, help="Test seed k on part k of so many of all samples; 0: on the test part.")
]
