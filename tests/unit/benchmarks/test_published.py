"""What is committed of the benchmark: processors are told apart, targets held against figures, pages written."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarked import FEATURES, TILES, found

from benched import FOLDER
from benchmarks import agreement_bounds, plot, processor, publish, report, results, targets

ROOT = Path(__file__).resolve().parents[3]
PUBLISHED = sorted((FOLDER / "published").glob("*.json"))
EPYC = "vendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\n"
XEON = "vendor_id: GenuineIntel\ncpu family: 6\nmodel: 143\nmodel name: Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz\n"
VECTORS = "avx2 fma avx512f avx512bw avx512dq avx512vl avx512_vnni avx512_bf16"
AMX = f"{VECTORS} avx_vnni amx_tile amx_int8 amx_bf16"


def pages(folder, shown="amd-epyc-zen-4-avx2"):
    for path in (publish.PAGE, publish.README):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / publish.PAGE).write_text("# Benchmarks\n\nprose\n")
    begin = f"<!-- speed of {shown}: written by `make bench` -->"
    (folder / publish.README).write_text(f"before\n\n{begin}\nold\n{publish.README_END}\n\nafter\n")
    return folder / publish.PAGE, folder / publish.README


@pytest.fixture(autouse=True)
def undrawn(monkeypatch):
    monkeypatch.setattr(plot, "draw", lambda found, path: None)


@pytest.mark.parametrize(
    ("text", "flags", "features", "slug"),
    [
        (EPYC, VECTORS, FEATURES, "amd-epyc-zen-4-avx2-avx-512-vnni-bf16"),
        (EPYC, "avx2 fma avx512f", ["AVX2"], "amd-epyc-zen-4-avx2"),
        (EPYC, "sse2", [], "amd-epyc-zen-4"),
        (
            XEON,
            AMX,
            ["AVX2", "AVX-512", "VNNI", "AVX-VNNI", "bf16", "AMX int8", "AMX bf16"],
            "intel-xeon-platinum-8481c-sapphire-rapids-avx2-avx-512-vnni-avx-vnni-bf16-amx-int8-amx-bf16",
        ),
    ],
)
def test_a_processor_is_its_name_design_and_features(text, flags, features, slug):
    kind = processor.parse(f"{text}flags\t: fpu {flags}\n\n{text}flags: none\n")
    assert kind["features"] == features
    assert processor.slug(kind) == slug
    assert processor.tiles(kind) == ("AMX int8" in features)
    assert ("no AMX" in processor.words(kind)) != processor.tiles(kind)


def test_a_processor_that_is_not_known_is_named_all_the_same():
    kind = processor.parse("vendor_id: Other\ncpu family: 7\nmodel: 3\nmodel name: Fast (R) 3\n")
    assert kind == {"cpu": "Fast (R) 3", "design": "family 7, model 3", "features": None}
    assert processor.words(kind) == "Fast (R) 3, family 7, model 3 (features not recorded)"
    assert processor.parse("processor: 0\n")["design"] is None


def test_this_processor_has_a_word_for_file_names(monkeypatch, tmp_path):
    assert processor.slug(processor.describe()).replace("-", "").isalnum()
    monkeypatch.setattr(processor, "CPUINFO", tmp_path / "none")
    assert processor.describe()["features"] is None


def test_targets_depend_on_tiles():
    plain = [(t.figure, t.form, t.against, t.least) for t in targets.of(found()["machine"])]
    assert plain[:2] == [("train", "native", "better", 4.0), ("infer_integer", "exact", "better", 9.0)]
    tiled = [(t.figure, t.form, t.against, t.least) for t in targets.of(found(TILES)["machine"])]
    assert ("train", "native, one part", "autocast", 2.1) in tiled
    assert plain[-2:] == tiled[-2:] == [("memory", None, "float32", 8.0), ("threads2", None, "one thread", 1.7)]


def test_what_is_reached_is_the_mean_at_four_steps_and_the_worst_network():
    run = found()
    train, integers, memory, threads = targets.of(run["machine"])
    assert targets.reached(run, train) is None  # two forms, neither of them native
    of_form = targets.reached(run, train._replace(form="safe"))
    assert of_form == (pytest.approx(3**0.5), "safe", "b", 1.0, 2)
    assert targets.reached(run, integers) == (pytest.approx(4.0), "exact", "a", pytest.approx(4.0), 1)
    assert targets.reached(run, memory).value == pytest.approx(4.0)
    assert targets.reached(run, threads).value == pytest.approx(2.0)
    run["machine"]["others"] = 0.5
    assert targets.reached(run, threads) is None  # two threads need two processors
    run["records"] = [one for one in run["records"] if one["form"] != "fast"]
    assert targets.reached(run, train).form == "safe"  # the only arithmetic stands in, under its own name
    run["records"] = [one for one in run["records"] if one["T"] != 4]
    assert targets.reached(run, integers) is None


def test_what_misses_its_target_is_said():
    run = found()
    run["records"] = [one for one in run["records"] if one["form"] != "fast"]
    missed = targets.short_of(run)
    assert "train, against better (safe): 1.73x, expected 4x" in missed
    assert "train, against better (safe), b: 1x, expected 2.4x" in missed
    assert "infer_integer, against better (exact): 4x, expected 9x" in missed
    assert "memory, against float32: 4x, expected 8x" in missed
    assert "first_cold_cpu_s: 50 s, expected at most 40 s" in missed
    assert not any(line.startswith(("threads2", "import_s", "first_warm_s")) for line in missed)


def test_tables_hold_the_figures():
    run = found()
    text = report.summary(run)
    assert (
        "| training step | `native` | PyTorch, the faster of float32 and autocast | 4x |  | not measured |  | 2.4x |"
        in text
    )
    assert (
        "| memory added by a training step |  | PyTorch, float32 | 8x |  | 4x (1 of 4 networks) | 4x (a) |  |" in text
    )
    assert "| `import qpsnn_core` |  |  | at most 0.5 s | 0.2 s | 0.1 s |  |  |" in text
    text = report.speed(run, ("train",))
    assert (
        "SpikingJelly, float32, ms | SpikingJelly, autocast, ms | snnTorch, float32, ms | snnTorch, autocast, ms"
        in text
    )
    assert "| a | 4 | 15% | `fast` | 500 | 4000 | 5000 | 6000 | 3000 | 8x | 6x | 6x |" in text
    assert "| b | 4 | 15% | `safe` | 2000 | – | – | 2000 | 4000 | 1x | 2x | 1x |" in text
    assert "| **geometric mean** | 4 |  | `safe` |  |  |  |  |  | 2x | 2.45x | 1.73x |" in text
    text = report.speed(run, ("infer_integer", "infer_float"))
    assert "| a | 2 | 15% | integers | 500 | 4000 | 2000 | – | – | 8x | 4x | 4x |" in text
    assert "| a | 4 | 10 | 50 | 40 | 20 | 4x | 2x |" in report.memory(run)
    assert "| a | 4 | 1000 | 2 | 500 | 2x |" in report.two_threads(run)


def test_the_processor_stands_over_each_table():
    text = report.section(found())
    tables = text.split("\n\n| ")
    assert len(tables) == 6
    kind = "A processor, Zen 4 (AVX2, AVX-512, VNNI, bf16; no AMX)"
    assert all(before.split("\n\n")[-1].startswith(f"{kind}: ") for before in tables[:-1])
    assert text.startswith(f"## {kind}\n")


def test_a_busy_machine_is_mentioned():
    assert "busy" not in report.about(found(others=0.04))
    busy = found(others=0.61)
    assert "other programs took 61% of the time of its 2 processors" in report.about(busy)
    assert "threads than one" in report.section(found())
    assert "threads than one" not in report.section(busy)
    assert "| training step on two threads |  | one thread | 1.7x |  | not measured |" in report.summary(busy)


def test_another_kind_of_processor_adds_a_section_and_changes_no_other(tmp_path):
    page, readme = pages(tmp_path, "amd-epyc-zen-4-avx2")
    first, second = found(["AVX2"], "AMD EPYC"), found(TILES, "Intel Xeon")
    publish.publish(first, tmp_path)
    once, block = page.read_text(), readme.read_text()
    assert block == f"before\n\n{publish.block(first)}\n\nafter\n"
    assert once == f"# Benchmarks\n\nprose\n\n{publish.section(first)}\n"
    publish.publish(second, tmp_path)
    assert page.read_text() == f"{once}\n{publish.section(second)}\n"
    assert readme.read_text() == block
    slugs = [processor.slug(one["machine"]) for one in (first, second)]
    assert publish.kinds(page.read_text()) == slugs
    assert sorted(path.stem for path in (tmp_path / publish.FOLDER).iterdir()) == sorted(slugs)
    renewed = {**first, "command": "python -m benchmarks --again"}
    publish.publish(renewed, tmp_path)
    assert page.read_text() == f"# Benchmarks\n\nprose\n\n{publish.section(renewed)}\n\n{publish.section(second)}\n"
    assert "--again" in readme.read_text()
    assert results.load_race(tmp_path / publish.FOLDER / f"{slugs[0]}.json") == renewed
    written = page.read_text(), readme.read_text()
    page.write_text(page.read_text().replace("| a |", "| other |"))
    publish.main([], tmp_path)
    assert (page.read_text(), readme.read_text()) == written


def test_a_page_without_its_comments_is_refused_and_nothing_is_written(tmp_path):
    page, readme = pages(tmp_path)
    run = found(["AVX2"], "AMD EPYC")
    before = readme.read_text()
    page.write_text(publish.markers("amd-epyc-zen-4-avx2")[0])
    with pytest.raises(ValueError, match="expected the two comments"):
        publish.publish(run, tmp_path)
    page.write_text("# Benchmarks\n")
    readme.write_text("no comments\n")
    with pytest.raises(ValueError, match=r"README\.md: expected the two comments"):
        publish.publish(run, tmp_path)
    assert (page.read_text(), readme.read_text()) == ("# Benchmarks\n", "no comments\n")
    assert not (tmp_path / publish.FOLDER).exists()
    assert before != readme.read_text()


def test_the_page_and_readme_say_what_was_measured():
    page = (ROOT / publish.PAGE).read_text(encoding="utf-8")
    readme = (ROOT / publish.README).read_text(encoding="utf-8")
    kinds = {path.stem: results.load_race(path) for path in PUBLISHED}
    assert set(publish.kinds(page)) == set(kinds)
    for slug, run in kinds.items():
        assert processor.slug(run["machine"]) == slug
        assert publish.section(run) in page
    (shown,) = publish.README_BEGIN.findall(readme)
    assert publish.block(kinds[shown]) in readme


def test_the_page_says_the_bounds():
    page = (ROOT / publish.PAGE).read_text(encoding="utf-8")
    tight, wide = (agreement_bounds.BOUNDS[kind] for kind in ("float32", "autocast"))
    for name, words in (
        ("spikes", "spikes of a layer"),
        ("logits", "logits, of the largest"),
        ("norm", "a weight gradient, of its norm"),
        ("largest", "a weight gradient's entry, of the largest"),
    ):
        assert f"| {words} | {getattr(tight, name) * 100:g}% | {getattr(wide, name) * 100:g}% |" in page
