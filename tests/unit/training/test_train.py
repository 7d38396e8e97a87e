"""Training: it learns; stopped anywhere it goes on bit for bit; what cannot work is refused before it starts."""

from __future__ import annotations

import os
import signal
from dataclasses import asdict, replace

import numpy as np
import pytest
import small
from runs import Stop, arrays, same_runs

from qpsnn_core.common import hdf5
from qpsnn_core.common.errors import ConfigError, DataError, FileError, LabelError, NumericsError, ShapeError
from qpsnn_core.common.progress import Progress
from qpsnn_core.engine.passes import initialise
from qpsnn_core.inference.evaluate import evaluate
from qpsnn_core.network import LIF
from qpsnn_core.network.model import Model
from qpsnn_core.network.zoo.vgg import vgg_small
from qpsnn_core.optim.losses import mean_logits_cross_entropy
from qpsnn_core.recipes.training import FinetuneConfig, TrainConfig
from qpsnn_core.training import checkpoint as checkpoints
from qpsnn_core.training import loop
from qpsnn_core.training import train as training
from qpsnn_core.training.checkpoint import Checkpoint, load_checkpoint, load_model, save_checkpoint
from qpsnn_core.training.train import finetune, train
from qpsnn_datasets import Augment, Dataset, batches

EPOCHS = TrainConfig(epochs=4, batch=8, optimizer="adam", lr=1e-2, clip_norm=1.0, warmup_epochs=1, seed=5)
AUGMENT = Augment(crop=1, flip=True)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.h5"


def test_it_learns_and_keeps_its_history(path):
    config = TrainConfig(epochs=6, batch=10, optimizer="adam", lr=2e-2)
    done = train(small.model(), small.split(samples=60), config, checkpoint=path)
    assert [epoch.epoch for epoch in done.history] == [1, 2, 3, 4, 5, 6]
    assert done.history[-1].loss < 0.5 * done.history[0].loss
    assert done.history[-1].accuracy > 0.9
    assert done.history[-1].validation == evaluate(done.model, small.split(samples=60)).accuracy > 0.9
    assert [epoch.lr for epoch in done.history] == sorted((epoch.lr for epoch in done.history), reverse=True)
    assert all(0 < epoch.firing_rate < 1 and epoch.seconds > 0 for epoch in done.history)
    assert load_checkpoint(path).history == done.history
    assert load_checkpoint(path).recipe == {"train": asdict(config)}


def test_it_learns_digits():
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    from qpsnn_datasets import load_digits

    config = TrainConfig(epochs=3, batch=32, optimizer="adam", lr=2e-2, loss="tet")
    done = train(vgg_small(width=0.5, steps=2), load_digits(), config)
    assert done.history[-1].validation > 0.85


def test_the_figures_of_an_epoch_are_means_over_its_samples():
    done = train(small.model(), small.dataset(20), TrainConfig(epochs=1, batch=20, lr=1e-12))
    model = small.model()
    order = batches(small.dataset(20), 20, seed=0)
    images, labels = next(order)
    first = loop.forward(model, images, train=True, save_for_backward=True)
    epoch = done.history[0]
    assert epoch.loss == pytest.approx(mean_logits_cross_entropy(first.logits, labels)[0], rel=1e-12)
    assert epoch.accuracy == pytest.approx((first.logits.mean(0).argmax(1) == labels).mean())
    spikes = [first.values[node.name] for node in model.network.of(LIF)]
    assert epoch.firing_rate == pytest.approx(sum(s.sum() for s in spikes) / sum(s.size for s in spikes))
    assert epoch.validation is None


def test_a_network_starts_from_the_seed_and_a_model_from_its_own_arrays():
    config = TrainConfig(epochs=1, batch=8, seed=3)
    same_runs(
        train(small.network(), small.dataset(), config),
        train(initialise(small.network(), 3), small.dataset(), config),
    )
    start = small.model(1)
    kept = {name: array.copy() for name, array in start.params["conv2"].items()}
    train(start, small.dataset(), config)
    for name, array in kept.items():
        np.testing.assert_array_equal(start.params["conv2"][name], array)


@pytest.mark.parametrize("events", [1, 3, 5, 6, 7, 12, 23])
def test_a_run_that_was_stopped_goes_on_bit_for_bit(path, events):
    """An epoch has five batches and one batch of validation: 6 stops in a validation, 5 right before it."""
    data = small.split(samples=40)
    whole = train(small.network(), data, EPOCHS, augment=AUGMENT)
    with pytest.raises(KeyboardInterrupt):
        train(small.network(), data, EPOCHS, augment=AUGMENT, checkpoint=path, every=9, progress=Stop(events))
    assert load_checkpoint(path).optimizer.step == events - events // 6
    stop = Stop(0)
    again = train(small.network(), data, EPOCHS, augment=AUGMENT, checkpoint=path, resume=True, progress=stop)
    same_runs(whole, again)
    assert sum(event.stage == "train" for event in stop.seen) == 20 - (events - events // 6)
    same_runs(whole, training.Trained(again.model, load_checkpoint(path).history, load_checkpoint(path)))


@pytest.mark.parametrize(
    "change",
    [
        {"optimizer": "sgd", "loss": "tet", "clip_norm": 0.0},
        {"arithmetic": "native", "parts": 3},
        {"optimizer": "adamw", "schedule": "step", "weight_decay": 0.1},
    ],
)
def test_so_do_other_optimizers_stopped_again_and_again(path, change):
    data, config = small.dataset(20), replace(EPOCHS, epochs=2, **change)
    whole = train(small.network(), data, config)
    resume = False
    for _ in range(4):
        with pytest.raises(KeyboardInterrupt):
            train(small.network(), data, config, checkpoint=path, resume=resume, progress=Stop(1))
        resume = True
    same_runs(whole, train(small.network(), data, config, checkpoint=path, resume=True))


def test_two_epochs_and_two_more_are_four(path):
    data = small.dataset(24)
    whole = train(small.network(), data, EPOCHS, checkpoint=path)
    after_two = path.with_name("two.h5")

    def keep(event):
        if (event.epoch, event.batch) == (3, 1):
            os.replace(path, after_two)

    train(small.network(), data, EPOCHS, checkpoint=path, progress=keep)
    assert load_checkpoint(after_two).position.epochs == 2
    same_runs(whole, train(small.network(), data, EPOCHS, checkpoint=after_two, resume=True))


def test_a_finished_run_has_nothing_left_to_do(path):
    done = train(small.network(), small.dataset(), EPOCHS, checkpoint=path)
    stop = Stop(0)
    same_runs(done, train(small.network(), small.dataset(), EPOCHS, checkpoint=path, resume=True, progress=stop))
    assert not stop.seen


def test_a_real_interrupt_and_an_impatient_second_one(path, monkeypatch):
    def impatient(*arguments):
        os.kill(os.getpid(), signal.SIGINT)
        save_checkpoint(*arguments)

    def interrupt(event):
        if event.batch == 3:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(training, "save_checkpoint", impatient)
    with pytest.raises(KeyboardInterrupt):
        train(small.network(), small.dataset(), EPOCHS, checkpoint=path, progress=interrupt)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert load_checkpoint(path).position.batches == 3


def test_without_a_checkpoint_an_interrupt_just_stops(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        train(small.network(), small.dataset(), EPOCHS, progress=Stop(2))
    assert not os.listdir(tmp_path)


def test_progress_tells_every_batch():
    told = []
    train(small.model(), small.split(samples=20), replace(EPOCHS, epochs=2), progress=told.append)
    places = [(e.stage, e.epoch, e.epochs, e.batch, e.batches) for e in told]
    once = [("train", 1, 2, 1, 2), ("train", 1, 2, 2, 2), ("validate", 1, 2, 1, 1)]
    assert places == once + [(stage, 2, *rest) for stage, _, *rest in once]
    assert all(isinstance(e, Progress) and e.loss > 0 and 0 <= e.accuracy <= 1 for e in told)


def test_finetune_is_train_with_its_own_defaults(path):
    model, told = small.model(), []
    done = finetune(model, small.dataset(64), checkpoint=path, progress=told.append, notes={"pruned": 0.5})
    same_runs(done, train(model, small.dataset(64), FinetuneConfig(), stage="finetune"))
    assert {event.stage for event in told} == {"finetune"}
    assert FinetuneConfig().optimizer == "adam"
    assert FinetuneConfig().lr == 1e-3
    assert load_checkpoint(path).notes == {"pruned": 0.5}
    assert load_checkpoint(path).recipe == {"finetune": asdict(FinetuneConfig())}


def test_fine_tuning_goes_on_with_the_same_weights_at_another_number_of_steps():
    """No array depends on T: an epoch from the old arrays is the one that a network built with that T makes of them."""
    old = train(small.model(steps=1), small.dataset(), replace(EPOCHS, epochs=1)).model
    few = FinetuneConfig(epochs=1, batch=8)
    tuned = finetune(old, small.split(), replace(few, steps=3))
    assert tuned.model.network == small.network(steps=3)
    same = finetune(Model(small.network(steps=3), old.params, old.state), small.split(), few)
    for place, array in arrays(same.checkpoint).items():
        np.testing.assert_array_equal(arrays(tuned.checkpoint)[place], array, err_msg=str(place))
    slow = finetune(old, small.split(), replace(few, steps=3, lr=1e-12))
    np.testing.assert_allclose(slow.model.params["conv2"]["weight"], old.params["conv2"]["weight"], rtol=1e-5)
    assert finetune(old, small.split(), few).model.network.steps == 1


def test_frames_of_events_fix_the_number_of_steps():
    network = vgg_small((8, 8, 2), 3, steps=3, widths=[2] * 6, events=True)
    with pytest.raises(ConfigError, match=r"finetune\.steps: expected 3, a step for each frame of events, got 2"):
        finetune(initialise(network, 0), small.dataset(8, frames=3), FinetuneConfig(batch=8, steps=2))


def test_recipe_and_notes_stay_in_a_file_that_is_resumed(path):
    given = {"recipe": {"network": {"name": "small"}}, "notes": {"by": "me"}}
    with pytest.raises(KeyboardInterrupt):
        train(small.network(), small.dataset(), EPOCHS, checkpoint=path, progress=Stop(1), **given)
    done = train(small.network(), small.dataset(), EPOCHS, checkpoint=path, resume=True)
    assert (done.checkpoint.recipe, done.checkpoint.notes) == (given["recipe"], given["notes"])


def test_frames_are_trained_on_step_by_step(path):
    data = small.dataset(16, frames=3)
    images = small.dataset(16)
    still = Dataset(np.repeat(images.images[:, None], 3, axis=1), images.labels, images.classes, "still")
    assert train(small.model(), data, EPOCHS).history[-1].loss > 0
    few = replace(EPOCHS, epochs=1)
    one, other = (train(small.model(), each, few).history[0].loss for each in (still, images))
    assert one == pytest.approx(other, rel=1e-5)


RESUMED_OTHERWISE = [
    ({"config": replace(EPOCHS, lr=0.5)}, r"config\.lr: expected 0\.01, as the run began, got 0\.5"),
    ({"config": replace(EPOCHS, warmup_epochs=2)}, r"config\.warmup_epochs: expected 1, as the run began, got 2"),
    ({"augment": Augment(crop=1)}, r"augment\.crop: expected 0, as the run began, got 1"),
    ({"data": small.dataset(41)}, r"data: expected SHA-256 \w{64}, as the run began, got \w{64}: samples 41, not 40"),
    (
        {"data": small.dataset(40, seed=9)},
        r"got \w{64}: as many samples of the same shape, whose numbers, unit or labels differ",
    ),
    ({"validation": small.dataset(9)}, "validation: expected None"),
    ({"network": small.network(steps=2)}, "network: steps: expected 3, as the run began, got 2"),
    ({"stage": "finetune"}, "stage: expected train"),
]


@pytest.mark.parametrize(("change", "said"), RESUMED_OTHERWISE)
def test_another_run_is_not_resumed(path, change, said):
    same = {"network": small.network(), "data": small.dataset(40), "config": EPOCHS}
    with pytest.raises(KeyboardInterrupt):
        train(**same, checkpoint=path, progress=Stop(1))
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=said):
        train(**{**same, **change}, checkpoint=path, resume=True)
    assert path.read_bytes() == before


@pytest.mark.parametrize("on", [False, True])
def test_a_setting_that_came_after_the_run_began_must_be_off(path, on):
    """A run of an older version knew no AutoAugment; it goes on as long as that is not asked for."""
    same = {"data": small.dataset(40), "config": EPOCHS, "checkpoint": path}
    with pytest.raises(KeyboardInterrupt):
        train(small.network(), **same, progress=Stop(1))
    kept = load_checkpoint(path)
    settings = {name: value for name, value in kept.position.settings.items() if name != "augment"}
    settings["augment"] = {k: v for k, v in kept.position.settings["augment"].items() if k != "autoaugment"}
    save_checkpoint(path, replace(kept, position=replace(kept.position, settings=settings)))
    if on:
        with pytest.raises(ConfigError, match=r"augment\.autoaugment: expected None, as the run began, got True"):
            train(small.network(), **same, augment=Augment(autoaugment=True), resume=True)
    else:
        assert len(train(small.network(), **same, resume=True).history) == EPOCHS.epochs


def test_what_cannot_be_resumed(path):
    with pytest.raises(FileError, match="no such file"):
        train(small.network(), small.dataset(), EPOCHS, checkpoint=path, resume=True)
    with pytest.raises(ConfigError, match="the file to resume from"):
        train(small.network(), small.dataset(), EPOCHS, resume=True)
    save_checkpoint(path, Checkpoint(small.model()))
    with pytest.raises(ConfigError, match="a checkpoint of a run"):
        train(small.network(), small.dataset(), EPOCHS, checkpoint=path, resume=True)


def test_data_that_does_not_fit_is_refused_before_anything_starts(path, monkeypatch):
    monkeypatch.setattr(loop, "forward", None)
    network = small.network()
    wide = Dataset(np.zeros((9, 6, 7, 2), np.uint8), np.zeros(9, int), ("a",), "wide")
    four = Dataset(np.zeros((9, 6, 6, 2), np.uint8), np.arange(9) % 4, ("a", "b", "c", "d"), "four")
    alone = Dataset(np.zeros((9, 6, 6, 2), np.uint8), np.zeros(9, int), ("cat",), "alone")
    cases = [
        (wide, ShapeError, r"wide\.images: expected \[6, 6, 2\]"),
        (four, LabelError, r"four\.labels\[3\]: expected 0 to 2"),
        (small.dataset(9, peak=200), DataError, r"expected integers 0\.\.15"),
        (small.dataset(7), DataError, r"at least one batch of 8 images \(train.batch makes .*, got 7"),
        (alone, DataError, r"alone\.classes: expected at least two classes to tell apart, got 1 class, 'cat'"),
    ]
    for data, kind, said in cases:
        with pytest.raises(kind, match=said):
            train(network, data, EPOCHS, checkpoint=path)
    for data, kind, said in cases[:3]:
        with pytest.raises(kind, match=said):
            train(network, small.dataset(), EPOCHS, validation=data)
    assert not path.exists()


def test_a_place_that_cannot_hold_a_checkpoint_is_refused_before_anything_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "forward", None)
    for place, got in ((tmp_path / "none" / "run.h5", "no such folder .*none"), (tmp_path, "a folder$")):
        with pytest.raises(FileError, match=f"a folder that can be written, got {got}"):
            train(small.network(), small.dataset(), EPOCHS, checkpoint=place)
    with pytest.raises(ConfigError, match="every"):
        train(small.network(), small.dataset(), EPOCHS, every=0)


def test_a_model_that_is_not_its_networks_is_refused():
    model = small.model()
    with pytest.raises(ShapeError, match=r"state\.conv1\.mean"):
        train(model._replace(state={}), small.dataset(), EPOCHS)
    nan = {**model.params, "linear": {**model.params["linear"], "bias": np.full(3, np.nan, np.float32)}}
    with pytest.raises(NumericsError, match=r"params\.linear\.bias"):
        train(model._replace(params=nan), small.dataset(), EPOCHS)


def test_a_run_that_explodes_names_epoch_batch_and_array_and_leaves_the_last_good_file(path):
    config = TrainConfig(epochs=3, batch=8, lr=3e38, weight_decay=0)
    with pytest.raises(NumericsError, match=r"epoch \d, batch \d: (params|gradients|state)\.\w+\.\w+: expected finite"):
        train(small.model(), small.dataset(), config, checkpoint=path)
    assert not path.exists()


def spoilt(monkeypatch, name, spoil):
    """From the second call on, what `name` gives in the loop is spoilt."""
    real, calls = getattr(loop, name), []

    def call(*arguments, **options):
        calls.append(1)
        result = real(*arguments, **options)
        return spoil(result) if len(calls) > 6 else result

    monkeypatch.setattr(loop, name, call)


def test_nan_in_logits_and_in_gradients_is_named(path, monkeypatch):
    def in_gradient(gradients):
        return {**gradients, "conv2": {**gradients["conv2"], "weight": gradients["conv2"]["weight"] * np.nan}}

    with monkeypatch.context() as patch:
        spoilt(patch, "backward", in_gradient)
        with pytest.raises(NumericsError, match=r"epoch 2, batch 2: gradients\.conv2\.weight: expected finite numbers"):
            train(small.model(), small.dataset(), EPOCHS, checkpoint=path)
    assert load_checkpoint(path).position.epochs == 1

    def in_logits(done):
        return done._replace(outputs={name: logits * np.inf for name, logits in done.outputs.items()})

    spoilt(monkeypatch, "forward", in_logits)
    with pytest.raises(NumericsError, match=r"epoch 2, batch 2: readout: logits: expected finite numbers"):
        train(small.model(), small.dataset(), EPOCHS)


def test_a_disk_that_is_full_stops_the_run_and_leaves_the_old_file(path, monkeypatch):
    train(small.model(1), small.dataset(), EPOCHS, checkpoint=path)
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(hdf5.os, "fsync", full)
        with pytest.raises(FileError, match="No space left on device"):
            train(small.model(), small.dataset(), EPOCHS, checkpoint=path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]
    assert load_model(path).network == small.network()


def test_an_interrupt_while_a_checkpoint_is_written_leaves_a_whole_one(path, monkeypatch):
    real, calls = checkpoints._checksum, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(checkpoints, "_checksum", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(small.model(), small.dataset(), EPOCHS, checkpoint=path)
    assert load_checkpoint(path).position.epochs == 2
    assert os.listdir(path.parent) == [path.name]


def test_a_run_of_an_older_version_goes_on_and_names_no_arithmetic(path):
    """Its sums were of neither; what it says of its parts is that the batch alone decides."""
    data = small.dataset(20)
    with pytest.raises(KeyboardInterrupt):
        train(small.network(), data, EPOCHS, checkpoint=path, progress=Stop(1))
    past = load_checkpoint(path)
    config = {k: v for k, v in past.position.settings["config"].items() if k not in ("arithmetic", "parts")}
    position = replace(past.position, settings={**past.position.settings, "config": config})
    older = replace(past, position=position, recipe={"train": config})
    for arithmetic in ("portable", "native"):
        save_checkpoint(path, older)
        done = train(small.network(), data, replace(EPOCHS, arithmetic=arithmetic), checkpoint=path, resume=True)
        assert "arithmetic" not in done.checkpoint.position.settings["config"]
        save_checkpoint(path, older)
    with pytest.raises(ConfigError, match=r"config.parts: expected None, as the run began, got 2"):
        train(small.network(), data, replace(EPOCHS, parts=2), checkpoint=path, resume=True)
    save_checkpoint(path, past)
    with pytest.raises(ConfigError, match=r"config.arithmetic: expected portable, as the run began, got 'native'"):
        train(small.network(), data, replace(EPOCHS, arithmetic="native"), checkpoint=path, resume=True)
