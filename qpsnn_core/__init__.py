"""Quantized and pruned spiking neural networks: train, score, prune, fine-tune, lower to integers, evaluate.

Names are imported when they are first used, so that `import qpsnn_core` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from qpsnn_core import errors as errors
    from qpsnn_core.calibration import recalibrate as recalibrate
    from qpsnn_core.channels import remove_channels as remove_channels
    from qpsnn_core.checkpoint import Checkpoint as Checkpoint
    from qpsnn_core.checkpoint import load_checkpoint as load_checkpoint
    from qpsnn_core.checkpoint import load_model as load_model
    from qpsnn_core.checkpoint import save_checkpoint as save_checkpoint
    from qpsnn_core.compression.run import compress as compress
    from qpsnn_core.config import Recipe as Recipe
    from qpsnn_core.config import load_recipe as load_recipe
    from qpsnn_core.config import recipe_from_dict as recipe_from_dict
    from qpsnn_core.config_paper_rates import paper_rates as paper_rates
    from qpsnn_core.config_training import FinetuneConfig as FinetuneConfig
    from qpsnn_core.config_training import TrainConfig as TrainConfig
    from qpsnn_core.engine import backward as backward
    from qpsnn_core.engine import forward as forward
    from qpsnn_core.engine import initialise as initialise
    from qpsnn_core.evaluation import evaluate as evaluate
    from qpsnn_core.formats import Quantizer as Quantizer
    from qpsnn_core.integer.file import load_integer as load_integer
    from qpsnn_core.integer.file import save_integer as save_integer
    from qpsnn_core.integer.lower import lower as lower
    from qpsnn_core.integer.network import IntegerNetwork as IntegerNetwork
    from qpsnn_core.integer.simulate import simulate as simulate
    from qpsnn_core.kernels.parallel import set_threads as set_threads
    from qpsnn_core.lifting import lift as lift
    from qpsnn_core.model import Model as Model
    from qpsnn_core.network.cost import cost as cost
    from qpsnn_core.network.graph import Network as Network
    from qpsnn_core.network.zoo import build as build
    from qpsnn_core.pruning import prune as prune
    from qpsnn_core.scoring import score as score
    from qpsnn_core.scoring import stability as stability
    from qpsnn_core.streaming import stream as stream
    from qpsnn_core.training import finetune as finetune
    from qpsnn_core.training import train as train
    from qpsnn_datasets import download as download
    from qpsnn_datasets import load_data as load_data

_WHERE = {
    "Checkpoint": "qpsnn_core.checkpoint",
    "FinetuneConfig": "qpsnn_core.config_training",
    "IntegerNetwork": "qpsnn_core.integer.network",
    "Model": "qpsnn_core.model",
    "Network": "qpsnn_core.network.graph",
    "Quantizer": "qpsnn_core.formats",
    "Recipe": "qpsnn_core.config",
    "TrainConfig": "qpsnn_core.config_training",
    "backward": "qpsnn_core.engine",
    "build": "qpsnn_core.network.zoo",
    "compress": "qpsnn_core.compression.run",
    "cost": "qpsnn_core.network.cost",
    "download": "qpsnn_datasets",
    "errors": "qpsnn_core.errors",
    "evaluate": "qpsnn_core.evaluation",
    "finetune": "qpsnn_core.training",
    "forward": "qpsnn_core.engine",
    "initialise": "qpsnn_core.engine",
    "lift": "qpsnn_core.lifting",
    "load_checkpoint": "qpsnn_core.checkpoint",
    "load_data": "qpsnn_datasets",
    "load_integer": "qpsnn_core.integer.file",
    "load_model": "qpsnn_core.checkpoint",
    "load_recipe": "qpsnn_core.config",
    "lower": "qpsnn_core.integer.lower",
    "paper_rates": "qpsnn_core.config_paper_rates",
    "prune": "qpsnn_core.pruning",
    "recalibrate": "qpsnn_core.calibration",
    "remove_channels": "qpsnn_core.channels",
    "recipe_from_dict": "qpsnn_core.config",
    "save_checkpoint": "qpsnn_core.checkpoint",
    "save_integer": "qpsnn_core.integer.file",
    "score": "qpsnn_core.scoring",
    "set_threads": "qpsnn_core.kernels.parallel",
    "simulate": "qpsnn_core.integer.simulate",
    "stability": "qpsnn_core.scoring",
    "stream": "qpsnn_core.streaming",
    "train": "qpsnn_core.training",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'qpsnn_core' has no attribute {name!r}")
    module = import_module(_WHERE[name])
    value = module if _WHERE[name] == f"qpsnn_core.{name}" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(_WHERE)
