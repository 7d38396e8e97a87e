"""The package's own face: its names, their documentation, its version, and what importing it costs."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys

import pytest

import qpsnn_core as qp
from qpsnn_core.common.errors import ConfigError
from qpsnn_core.network.zoo.options import OWN
from qpsnn_core.network.zoo.vgg import ZOO, build

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)


def test_help_lists_every_public_name():
    names = set(re.findall(r"`(\w+)`", qp.__doc__.split("`help(")[0]))
    assert names == set(qp.__all__) == set(dir(qp))


@pytest.mark.parametrize("name", qp.__all__)
def test_every_public_name_is_documented(name):
    assert inspect.getdoc(getattr(qp, name))


@pytest.mark.slow
def test_help_needs_no_extra():
    blocked = "import sys; sys.modules.update(dict.fromkeys(('sklearn', 'matplotlib', 'typer', 'nir')))"
    done = python(f"{blocked}; import qpsnn_core, pydoc; print(pydoc.render_doc(qpsnn_core))")
    assert done.returncode == 0, done.stderr
    for name in ("sequential", "SpikingClassifier", "finetune"):
        assert name in done.stdout


def test_importing_it_imports_nothing_else_of_ours():
    done = python(
        "import sys, qpsnn_core; print(sorted(n for n in sys.modules if n.startswith('qpsnn')), 'numpy' in sys.modules)"
    )
    assert done.stdout.strip() == "['qpsnn_core'] False"


def test_the_version_is_that_of_the_package(root):
    declared = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert qp.__version__ == declared


def test_a_name_that_is_not_there_is_no_attribute():
    with pytest.raises(AttributeError, match="'qpsnn_core' has no attribute 'sequence'"):
        qp.sequence  # noqa: B018 - that it raises is what is tested


@pytest.mark.cli
@pytest.mark.parametrize("words", [("-m", "qpsnn_core"), ("-c", "from qpsnn_core.cli import main; main()")])
def test_the_command_says_its_version(words):
    pytest.importorskip("typer")
    done = subprocess.run([sys.executable, *words, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"qpsnn {qp.__version__}\n"


@pytest.mark.cli
def test_the_command_has_short_help_and_completion(qpsnn):
    pytest.importorskip("typer")
    for words in ((), ("train",), ("plot", "weights")):
        short, long = qpsnn(*words, "-h"), qpsnn(*words, "--help")
        assert short == long
        assert short[0] == 0
        assert short[1].startswith("Usage: qpsnn ")
    assert "--install-completion" in qpsnn("--help")[1]
    ran = subprocess.run(
        [sys.executable, "-m", "qpsnn_core"],
        env={**os.environ, "_QPSNN_COMPLETE": "source_bash"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "_QPSNN_COMPLETE=complete_bash" in ran.stdout, ran.stderr


def test_finetune_has_the_options_of_train():
    ours, theirs = (inspect.signature(verb).parameters for verb in (qp.finetune, qp.train))
    options = {name: one.default for name, one in theirs.items() if one.kind is one.KEYWORD_ONLY}
    assert {name: one.default for name, one in ours.items() if one.kind is one.KEYWORD_ONLY} == {
        **options,
        "stage": "finetune",
    }


def keywords(function):
    return {key: one for key, one in inspect.signature(function).parameters.items() if one.kind is one.KEYWORD_ONLY}


def test_build_has_the_options_of_all_networks():
    own = [keywords(entry.build) for entry in ZOO.values()]
    assert set(keywords(build)) == set().union(*own)
    assert all(one.default is OWN for one in keywords(build).values())


@pytest.mark.parametrize("name", ZOO)
def test_a_network_of_the_zoo_has_typed_options(name):
    own = keywords(ZOO[name].build)
    assert {"steps", "width", "widths", "quantizer", "ends", "neuron", "events"} <= set(own)
    assert all(one.annotation not in ("Any", inspect.Parameter.empty) for one in own.values())
    assert getattr(qp.zoo, name) is ZOO[name].build


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: qp.build("mlp", (4, 4, 1), 3, step=2),
            "build: expected options, of steps, width, widths, quantizer, ",
        ),
        (lambda: qp.build("mlp", (4, 4, 1), 3, step=2), "got 'step' (did you mean 'steps'?)"),
        (lambda: qp.build("mlp", (4, 4, 1), 3, beta=0.5), "got 'beta' (it is one of the neuron: neuron=Neuron("),
        (lambda: qp.build("mlp", (4, 4, 1), 3, bits=4), "got 'bits' (it is one of the quantizer: quantizer=Quantizer("),
        (lambda: qp.build("mlp", (4, 4, 1), 3, treshold=1.0), "(did you mean 'threshold', one of the neuron: neuron="),
        (
            lambda: qp.finetune(None, None, evry=2),
            "finetune: expected options, of augment, validation, loss, checkpoint, best, ",
        ),
        (lambda: qp.finetune(None, None, evry=2), "got 'evry' (did you mean 'every'?)"),
    ],
)
def test_an_option_that_is_not_there_names_the_nearest(call, message):
    with pytest.raises(ConfigError) as caught:
        call()
    assert message in str(caught.value)
