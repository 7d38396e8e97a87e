"""What kind of processor this is: its name, its design, the units that matter here, and a word for file names."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import Any

CPUINFO = Path("/proc/cpuinfo")

FEATURES = {
    "AVX2": ("avx2", "fma"),
    "AVX-512": ("avx512f", "avx512bw", "avx512dq", "avx512vl"),
    "VNNI": ("avx512_vnni",),
    "AVX-VNNI": ("avx_vnni",),
    "bf16": ("avx512_bf16",),
    "AMX int8": ("amx_tile", "amx_int8"),
    "AMX bf16": ("amx_tile", "amx_bf16"),
}
"""Features as tables say them, and the system's flags that each needs."""

DESIGNS = {
    ("AuthenticAMD", 23): {(0x00, 0x2F): "Zen", (0x30, 0xAF): "Zen 2"},
    ("AuthenticAMD", 25): {
        (0x00, 0x0F): "Zen 3",
        (0x10, 0x1F): "Zen 4",
        (0x20, 0x5F): "Zen 3",
        (0x60, 0x7F): "Zen 4",
        (0xA0, 0xAF): "Zen 4",
    },
    ("AuthenticAMD", 26): {(0x00, 0x7F): "Zen 5"},
    ("GenuineIntel", 6): {
        (0x55, 0x55): "Skylake or Cascade Lake",
        (0x6A, 0x6A): "Ice Lake",
        (0x6C, 0x6C): "Ice Lake",
        (0x8F, 0x8F): "Sapphire Rapids",
        (0xAD, 0xAE): "Granite Rapids",
        (0xCF, 0xCF): "Emerald Rapids",
    },
}
"""By vendor and family: the first and the last model of a design. Virtual machines often hide the product's name."""

FORCED = ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES", "OPENBLAS_CORETYPE")
"""Variables that have another processor's code run here."""

Kind = dict[str, Any]


def describe() -> Kind:
    """This processor: {cpu, design, features}; a system without /proc/cpuinfo gives its name alone."""
    if not CPUINFO.exists():
        return {"cpu": platform.processor() or platform.machine(), "design": None, "features": None}
    return parse(CPUINFO.read_text(encoding="utf-8"))


def parse(text: str) -> Kind:
    """The same of the text of /proc/cpuinfo. features: None where the system lists no flags."""
    first = text.split("\n\n")[0]
    found = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.split("\n"))}
    flags = set(found["flags"].split()) if "flags" in found else None
    return {
        "cpu": found.get("model name") or platform.processor() or platform.machine(),
        "design": _design(found),
        "features": flags and [name for name, wanted in FEATURES.items() if flags.issuperset(wanted)],
    }


def words(kind: Kind) -> str:
    """Such as "AMD EPYC, Zen 4 (AVX2, AVX-512, VNNI, bf16; no AMX)"."""
    features = kind.get("features")
    said = ", ".join(features or ["no AVX2"]) + ("" if tiles(kind) else "; no AMX")
    named = ", ".join(word for word in (kind["cpu"], kind.get("design")) if word)
    return f"{named} ({'features not recorded' if features is None else said})"


def tiles(kind: Kind) -> bool:
    """Whether it has the tile unit for integers and for bfloat16."""
    return {"AMX int8", "AMX bf16"} <= set(kind.get("features") or ())


def slug(kind: Kind) -> str:
    """A word for files and for comments in a page: two processors have the same if name, design and features are."""
    parts = [re.sub(r"\((?:R|TM)\)|\bCPU\b.*|\b\d+-Core\b|\bProcessor\b", " ", kind["cpu"], flags=re.IGNORECASE)]
    parts += [kind.get("design") or "", *(kind.get("features") or ())]
    return re.sub(r"[^a-z0-9]+", "-", " ".join(parts).lower()).strip("-")


def forced() -> dict[str, str]:
    """Those of FORCED that are set: what is measured then is no processor's own speed."""
    return {name: os.environ[name] for name in FORCED if os.environ.get(name)}


def _design(found: dict[str, str]) -> str | None:
    try:
        family, model = int(found["cpu family"]), int(found["model"])
    except (KeyError, ValueError):
        return None
    known = DESIGNS.get((found.get("vendor_id", ""), family), {})
    named = [name for (first, last), name in known.items() if first <= model <= last]
    return named[0] if named else f"family {family}, model {model}"
