"""Run NIR files of make.py in the other simulators that are installed: `python nir_witness.py FOLDER`.

Run on Python 3.11 with torch, nir, nirtorch, snntorch, spikingjelly, norse and sinabs; qpsnn is not needed.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nir
import numpy as np
import torch


def snntorch(path: Path, dt: float, batch: int) -> Any:
    """It takes no step: 1e-4 is written in its importer."""
    from snntorch.import_nir import import_from_nir

    return import_from_nir(nir.read(path))


def spikingjelly(path: Path, dt: float, batch: int) -> Any:
    """One step at a time, its state handed on."""
    from spikingjelly.activation_based.nir_exchange import import_from_nir

    return import_from_nir(nir.read(path), dt=dt)


def norse(path: Path, dt: float, batch: int) -> Any:
    """It leaves `r` out."""
    from norse.torch import from_nir

    return from_nir(nir.read(path), dt=dt, ignore_warnings=True)


def sinabs(path: Path, dt: float, batch: int) -> Any:
    """Batches and steps in one axis; no step dt: time constants are in steps."""
    from sinabs.nir import from_nir

    return from_nir(nir.read(path), batch_size=batch)


def subtracting(module: Any, path: Path) -> Any:
    """The neurons whose metadata say so reset by subtraction: the readers make all of them reset to zero."""
    for name, node in nir.read(path).nodes.items():
        if node.metadata.get("reset") != "subtract":
            continue
        parts = [part for place, part in module.named_modules() if name in place.split(".")]
        for part in parts:
            if type(part).__name__ == "Leaky":  # snnTorch
                part.reset_mechanism = "subtract"
                part.state_function = part._base_sub
            elif type(part).__name__ in ("LIFNode", "IFNode"):  # SpikingJelly
                part.v_reset = None
        if not {"Leaky", "LIFNode", "IFNode"} & {type(part).__name__ for part in parts}:
            raise NotImplementedError(f"{name}: how to reset by subtraction is not known")
    return module


def run(module: Any, images: Any) -> dict[str, Any]:
    """What each submodule gave, by name: [T, B, ...]; every simulator hands its states on as a second value."""
    seen: dict[str, list[Any]] = {}

    def listen(name: str) -> Callable[..., None]:
        def note(_module: Any, _inputs: Any, output: Any) -> None:
            value = output[0] if isinstance(output, tuple) else output
            if torch.is_tensor(value):
                seen.setdefault(name, []).append(value.detach().numpy().copy())

        return note

    for name, part in module.named_modules():
        part.register_forward_hook(listen(name))
    state: Any = None
    with torch.no_grad():
        for step in images:
            output = module(torch.tensor(step, dtype=torch.float32), state)
            state = output[1] if isinstance(output, tuple) and len(output) > 1 else None
    return {name: np.array(values) for name, values in seen.items()}


def compare(folder: Path, case: str, load: Callable[..., Any]) -> str:
    """Spikes that differ, of how many, and the farthest readout."""
    answers = np.load(folder / f"{case}.npz")
    images = answers["images"]
    path = folder / f"{case}.nir"
    dt = json.loads(nir.read(path).metadata["qpsnn"])["dt"]
    got = run(subtracting(load(path, dt, images.shape[1]), path), images)
    differ = total = fired = 0
    for key in answers.files:
        if key.startswith("spikes."):
            want = answers[key]
            found = next(value for name, value in got.items() if name.split(".")[0] == key[7:])
            differ += int((found.reshape(want.shape) != want).sum())
            total, fired = total + want.size, fired + int(want.sum())
    logits = next(value for name, value in got.items() if name.split(".")[0] == "linear").sum(0)
    off = np.abs(logits.reshape(answers["readout"].shape) - answers["readout"]).max()
    return f"{differ} of {total} spikes differ ({fired} fired), readout off by {off:.3g}"


def main(folder: Path) -> None:
    """Every case in every simulator."""
    for load in (snntorch, spikingjelly, norse, sinabs):
        for case in sorted(path.stem for path in folder.glob("*.nir")):
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    said = compare(folder, case, load)
                print(f"{load.__name__}: {case}: {said}", flush=True)
            except Exception as error:
                print(
                    f"{load.__name__}: {case}: {type(error).__name__}: {' '.join(str(error).split())[:120]}", flush=True
                )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
