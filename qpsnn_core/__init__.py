"""Quantized and pruned spiking neural networks, from arrays to exact integers.

| step | verbs |
|---|---|
| data | `load_data`, `download`, `encode`, `Dataset`, `Split` |
| network | `sequential`, `Builder` (with `layers`), `build` (the `zoo`), `surrogate`, `cost` |
| train | `initialise`, `find_learning_rate`, `train`, `finetune`, `forward`, `backward` |
| afterwards | `recalibrate`, `requantize`, `set_threads` |
| compress | `score`, `stability`, `prune`, `paper_rates`, `remove_channels`, `compress` |
| deploy | `lower`, `simulate`, `stream`, `lift`, `save_integer`, `load_integer` |
| all of it | `run`, as a recipe says |
| look | `evaluate`, `predict`, `inspect`, `plot` |
| files | `save_network`, `load_network`, `save_checkpoint`, `load_checkpoint`, `load_model` |
| recipes | `load_recipe`, `recipe_from_dict` |
| scikit-learn | `SpikingClassifier` |
| types | `Network`, `Model`, `IntegerNetwork`, `Quantizer`, `MembraneQuantizer`, `Checkpoint`, `Recipe` |
| settings | `TrainConfig`, `FinetuneConfig` |
| errors | `errors` |

`help(qpsnn_core.train)` explains a verb. A first network:

    import qpsnn_core as qp
    from qpsnn_core.layers import LIF, Conv, Linear, MaxPool

    digits = qp.load_data("digits")
    network = qp.sequential((8, 8, 1), [Conv(32), LIF(), MaxPool(2), Conv(64), LIF(), Linear(10)], steps=2)
    trained = qp.train(network, digits, qp.TrainConfig(epochs=8, optimizer="adam", lr=0.01))
    print(qp.evaluate(qp.lower(trained.model).network, digits.test))

Names are imported when they are first used, so that `import qpsnn_core` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qpsnn_core import errors as errors
    from qpsnn_core import layers as layers
    from qpsnn_core import plot as plot
    from qpsnn_core import zoo as zoo
    from qpsnn_core.compression.channels.prune import prune as prune
    from qpsnn_core.compression.channels.remove import remove_channels as remove_channels
    from qpsnn_core.compression.channels.score import score as score
    from qpsnn_core.compression.channels.score import stability as stability
    from qpsnn_core.compression.weights.osbc import compress as compress
    from qpsnn_core.engine.calibration import recalibrate as recalibrate
    from qpsnn_core.engine.passes import backward as backward
    from qpsnn_core.engine.passes import forward as forward
    from qpsnn_core.engine.passes import initialise as initialise
    from qpsnn_core.engine.requantize import requantize as requantize
    from qpsnn_core.engine.surrogates import surrogate as surrogate
    from qpsnn_core.engine.threads import set_threads as set_threads
    from qpsnn_core.exchange.lift import lift as lift
    from qpsnn_core.experiments.estimator import SpikingClassifier as SpikingClassifier
    from qpsnn_core.experiments.pipeline.run import run as run
    from qpsnn_core.inference.evaluate import evaluate as evaluate
    from qpsnn_core.inference.inspection import inspect as inspect
    from qpsnn_core.inference.predict import predict as predict
    from qpsnn_core.inference.streaming import stream as stream
    from qpsnn_core.integer.file import load_integer as load_integer
    from qpsnn_core.integer.file import save_integer as save_integer
    from qpsnn_core.integer.lowering.lower import lower as lower
    from qpsnn_core.integer.network import IntegerNetwork as IntegerNetwork
    from qpsnn_core.integer.simulate import simulate as simulate
    from qpsnn_core.network.builder import Builder as Builder
    from qpsnn_core.network.builder import sequential as sequential
    from qpsnn_core.network.cost import cost as cost
    from qpsnn_core.network.file import load_network as load_network
    from qpsnn_core.network.file import save_network as save_network
    from qpsnn_core.network.graph import Network as Network
    from qpsnn_core.network.membranes import MembraneQuantizer as MembraneQuantizer
    from qpsnn_core.network.model import Model as Model
    from qpsnn_core.network.zoo.vgg import build as build
    from qpsnn_core.quantization.formats import Quantizer as Quantizer
    from qpsnn_core.recipes.paper_rates import paper_rates as paper_rates
    from qpsnn_core.recipes.recipe import Recipe as Recipe
    from qpsnn_core.recipes.recipe import load_recipe as load_recipe
    from qpsnn_core.recipes.recipe import recipe_from_dict as recipe_from_dict
    from qpsnn_core.recipes.training import FinetuneConfig as FinetuneConfig
    from qpsnn_core.recipes.training import TrainConfig as TrainConfig
    from qpsnn_core.training.checkpoint import Checkpoint as Checkpoint
    from qpsnn_core.training.checkpoint import load_checkpoint as load_checkpoint
    from qpsnn_core.training.checkpoint import load_model as load_model
    from qpsnn_core.training.checkpoint import save_checkpoint as save_checkpoint
    from qpsnn_core.training.learning_rate import find_learning_rate as find_learning_rate
    from qpsnn_core.training.train import finetune as finetune
    from qpsnn_core.training.train import train as train
    from qpsnn_datasets import Dataset as Dataset
    from qpsnn_datasets import Split as Split
    from qpsnn_datasets import download as download
    from qpsnn_datasets import encode as encode
    from qpsnn_datasets import load_data as load_data

__version__ = "0.1.0"

_WHERE = {
    "Builder": "qpsnn_core.network.builder",
    "Checkpoint": "qpsnn_core.training.checkpoint",
    "Dataset": "qpsnn_datasets",
    "FinetuneConfig": "qpsnn_core.recipes.training",
    "IntegerNetwork": "qpsnn_core.integer.network",
    "MembraneQuantizer": "qpsnn_core.network.membranes",
    "Model": "qpsnn_core.network.model",
    "Network": "qpsnn_core.network.graph",
    "Quantizer": "qpsnn_core.quantization.formats",
    "Recipe": "qpsnn_core.recipes.recipe",
    "SpikingClassifier": "qpsnn_core.experiments.estimator",
    "Split": "qpsnn_datasets",
    "TrainConfig": "qpsnn_core.recipes.training",
    "backward": "qpsnn_core.engine.passes",
    "build": "qpsnn_core.network.zoo.vgg",
    "compress": "qpsnn_core.compression.weights.osbc",
    "cost": "qpsnn_core.network.cost",
    "download": "qpsnn_datasets",
    "encode": "qpsnn_datasets",
    "errors": "qpsnn_core.errors",
    "evaluate": "qpsnn_core.inference.evaluate",
    "find_learning_rate": "qpsnn_core.training.learning_rate",
    "finetune": "qpsnn_core.training.train",
    "forward": "qpsnn_core.engine.passes",
    "initialise": "qpsnn_core.engine.passes",
    "inspect": "qpsnn_core.inference.inspection",
    "layers": "qpsnn_core.layers",
    "lift": "qpsnn_core.exchange.lift",
    "load_checkpoint": "qpsnn_core.training.checkpoint",
    "load_data": "qpsnn_datasets",
    "load_integer": "qpsnn_core.integer.file",
    "load_model": "qpsnn_core.training.checkpoint",
    "load_network": "qpsnn_core.network.file",
    "load_recipe": "qpsnn_core.recipes.recipe",
    "lower": "qpsnn_core.integer.lowering.lower",
    "paper_rates": "qpsnn_core.recipes.paper_rates",
    "plot": "qpsnn_core.plot",
    "predict": "qpsnn_core.inference.predict",
    "prune": "qpsnn_core.compression.channels.prune",
    "recalibrate": "qpsnn_core.engine.calibration",
    "remove_channels": "qpsnn_core.compression.channels.remove",
    "recipe_from_dict": "qpsnn_core.recipes.recipe",
    "requantize": "qpsnn_core.engine.requantize",
    "run": "qpsnn_core.experiments.pipeline.run",
    "save_checkpoint": "qpsnn_core.training.checkpoint",
    "save_integer": "qpsnn_core.integer.file",
    "save_network": "qpsnn_core.network.file",
    "score": "qpsnn_core.compression.channels.score",
    "sequential": "qpsnn_core.network.builder",
    "set_threads": "qpsnn_core.engine.threads",
    "simulate": "qpsnn_core.integer.simulate",
    "stability": "qpsnn_core.compression.channels.score",
    "stream": "qpsnn_core.inference.streaming",
    "surrogate": "qpsnn_core.engine.surrogates",
    "train": "qpsnn_core.training.train",
    "zoo": "qpsnn_core.zoo",
}

__all__ = sorted(_WHERE)


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'qpsnn_core' has no attribute {name!r}")
    module = import_module(_WHERE[name])
    value = module if _WHERE[name] == f"qpsnn_core.{name}" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(_WHERE)
