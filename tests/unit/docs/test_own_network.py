"""docs/own_network.md and its example: they run, and print the numbers that the page promises."""

from __future__ import annotations

import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from pages import blocks, links, run

import qpsnn_core as qp
from qpsnn_core.layers import Conv, Dropout, Layer
from qpsnn_core.network import Input

pytest.importorskip("sklearn")


def page(root):
    return root / "docs" / "own_network.md"


def shares(text):
    """Accuracy and firing rate of each line of the last table, 0 to 1."""
    found = re.findall(r"^(trained|integers) +([\d.]+)% +([\d.]+)%$", text, re.MULTILINE)
    return {name: (float(accuracy) / 100, float(rate) / 100) for name, accuracy, rate in found}


@pytest.mark.slow
@pytest.mark.once
def test_the_example_prints_what_the_page_promises(root, tmp_path):
    """And writes its figure, if it is told where and can."""
    drawn = [str(tmp_path / "figures")] if find_spec("matplotlib") else []
    said = run([sys.executable, str(root / "examples" / "own_network.py"), *drawn], tmp_path)
    assert all((Path(folder) / "own_network.png").stat().st_size > 10_000 for folder in drawn)
    text = page(root).read_text(encoding="utf-8")
    (least,) = re.findall(r"Both accuracies are at least (\d+)%", text)
    assert shares(said) == shares(text)
    for printed in (said, text):
        table = shares(printed)
        assert set(table) == {"trained", "integers"}
        assert all(accuracy >= int(least) / 100 for accuracy, _ in table.values())
        assert abs(table["trained"][0] - table["integers"][0]) < 0.01
        assert 0.1 < table["integers"][1] < 0.4
    network = blocks(page(root), "")[1]
    assert network.strip() in said
    assert re.search(r"^first test image: 3, with a probability of [01]\.\d\d$", said, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.once
def test_the_pages_code_runs_from_top_to_bottom(root, tmp_path):
    script = tmp_path / "page.py"
    script.write_text("\n".join(blocks(page(root), "python")), encoding="utf-8")
    said = run([sys.executable, str(script)], tmp_path)
    printed = blocks(page(root), "")[1].strip()
    assert said.startswith(printed)
    surrogate, answers, arrays, scores = said[len(printed) :].strip().split("\n")
    assert surrogate == "fast_sigmoid"
    assert answers.endswith("(360, 10)")
    assert arrays == "(4, 8, 8, 8, 32) (4, 8, 8, 8, 32) (4, 8, 4, 4, 32)"
    assert len(scores.strip("[]").split()) == 3


@pytest.mark.slow
@pytest.mark.cli
def test_its_recipes_train(root, tmp_path):
    (tmp_path / "own_network.py").write_bytes((root / "examples" / "own_network.py").read_bytes())
    sys.path.insert(0, str(tmp_path))
    try:
        from own_network import make
    finally:
        sys.path.remove(str(tmp_path))
        sys.modules.pop("own_network", None)
    network = make((8, 8, 1), 10)
    qp.save_network(tmp_path / "net.json", network)
    rest = '\n[data]\nname = "digits"\nlimit = 100\n[train]\nepochs = 1\nbatch = 50\n'
    coded, *recipes = blocks(page(root), "toml")
    assert len(recipes) == 2
    (tmp_path / "coded.toml").write_text(f"{coded}limit = 100\n[train]\nepochs = 1\nbatch = 50\n", encoding="utf-8")
    run(["qpsnn", "train", "coded.toml", "--out", "coded.h5"], tmp_path)
    assert qp.load_model(tmp_path / "coded.h5").network.input == Input("input", (8, 8, 1), 1, 1.0, spikes=True)
    assert "spikes by poisson coding" in run(["qpsnn", "evaluate", "coded.h5"], tmp_path)
    for number, text in enumerate(recipes):
        (tmp_path / f"{number}.toml").write_text(text + rest, encoding="utf-8")
        run(["qpsnn", "train", f"{number}.toml", "--out", f"{number}.h5"], tmp_path)
        assert qp.load_model(tmp_path / f"{number}.h5").network == network


def test_the_message_that_it_shows_is_the_one_that_comes(root):
    with pytest.raises(qp.errors.ShapeError) as caught:
        qp.sequential((8, 8, 1), [Conv(32), Dropout()])
    assert f"`{caught.value}`" in page(root).read_text(encoding="utf-8")


def test_its_table_has_every_layer(root):
    rows = re.findall(r"^\| `(\w+)\((.*?)\)` \| .* \|$", page(root).read_text(encoding="utf-8"), re.MULTILINE)
    kinds = {layer.__name__ for layer in Layer.__subclasses__()}
    assert {name for name, _ in rows} & kinds == kinds - {"Input"}


def test_links_lead_somewhere(root):
    assert [link for link in links(page(root)) if not (root / "docs" / link).exists()] == []
