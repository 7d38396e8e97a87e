"""The paper's tables as commands print them: sizes against the printed ones, files against what is really written."""

from __future__ import annotations

import pytest

import qpsnn_core as qp
from qpsnn_core.common.errors import ConfigError
from qpsnn_core.experiments import paper_table1, paper_tables6_7
from qpsnn_core.network import LIF, Conv, Sum
from qpsnn_core.recipes.paper_rates import PAPER_SETS
from qpsnn_core.recipes.recipe import recipe_from_dict
from qpsnn_datasets import Dataset


def test_every_row_of_table_1_and_every_column_of_tables_9_to_11():
    assert set(paper_table1.TABLE_1) == {*PAPER_SETS, "imagenet-0"}
    for name, (network, rates) in PAPER_SETS.items():
        row = paper_table1.entry(name)
        assert (row.network, row.rates) == (network, rates)
        assert name == f"{row.dataset}-{max(rates):g}"


@pytest.mark.parametrize("name", paper_table1.TABLE_1)
def test_sizes_agree_with_the_printed_ones(name):
    """All but one: ResNet18 at 8 bits is 13.2855, printed 13.28."""
    row = paper_table1.entry(name)
    for bits, printed in row.printed.items():
        size = qp.cost(row.build(bits)).size_mb
        if (name, bits) == ("imagenet-0", 8):
            assert size == pytest.approx(13.2855, abs=1e-4)
        else:
            assert round(size, 2) == printed.size_mb


def test_sew_resnet18_has_the_parameters_of_resnet18():
    """Those of the usual ResNet18 (torchvision's count): its convolutions, batch norms and linear layer."""
    network = paper_table1.entry("imagenet-0").build(4)
    assert qp.cost(network).parameters == 11_689_512
    assert len(network.of(Sum)) == 8
    assert [network.shape(node.name)[0] for node in network.of(Sum)] == [56, 56, 28, 28, 14, 14, 7, 7]
    assert max(network.values[node.name].max_count for node in network.of(Sum)) == 3
    assert sum(node.kernel == 1 for node in network.of(Conv)) == 3
    assert network.shape("average") == (1, 1, 512)


def test_the_file_that_is_weighed_is_that_of_the_network(tmp_path):
    """A trained network's file takes as much, within a few parts in a hundred: what depends on training is small."""
    digits = qp.load_data("digits", limit=64)
    network = qp.build("vgg_small", (8, 8, 1), 10, width=0.5, steps=2)
    trained = qp.train(network, digits.train, qp.TrainConfig(epochs=1, batch=32)).model
    qp.save_integer(tmp_path / "n.h5", qp.lower(trained).network)
    real = (tmp_path / "n.h5").stat().st_size
    assert paper_table1.file_bytes(network) == pytest.approx(real, rel=0.05)
    assert paper_table1.file_bytes(network) > qp.cost(network).saved_mb * 1e6


def test_rates_by_the_name_of_a_set():
    assert qp.paper_rates("cifar10-0.51") == qp.paper_rates("vgg16", 0.45, 0.51)
    assert recipe_from_dict({"prune": {"rates": "cifar10-0.8"}}).prune.rates == qp.paper_rates("vgg16", 0.49, 0.8)
    with pytest.raises(ConfigError, match=r"prune\.rates: .*cifar10-0\.5"):
        recipe_from_dict({"prune": {"rates": "cifar10-0.5"}})
    with pytest.raises(ConfigError, match=r"cifar10-0\.81.*cifar10-0\.8"):
        qp.paper_rates("cifar10-0.81")
    with pytest.raises(ConfigError, match=r"cifar10-0\.81.*cifar10-0\.8"):
        paper_table1.entry("cifar10-0.81")


def test_efficiency_counts_every_spike():
    """SOPs by hand: of one image, spikes times what each reaches; energy by the stated convention."""
    digits = qp.load_data("digits", limit=8)
    network = qp.build("vgg_small", (8, 8, 1), 10, width=0.25, steps=3)
    model = qp.initialise(network, 1)
    row = paper_tables6_7.measured("n", model, digits.test.limited(8))
    found = qp.evaluate(model, digits.test.limited(8))
    price = qp.cost(network, {name: found.spikes[name] for name in found.spikes})
    assert row.sops == pytest.approx(price.sops)
    assert row.sops_per_step == pytest.approx(row.sops / 3)
    assert row.energy_mj == pytest.approx((0.9 * row.sops + 4.6 * price.image_macs) * 1e-9)
    assert row.bits == 4


def test_the_printed_energies_follow_from_the_printed_operations():
    """Three of four rows; the last leaves out the two steps."""
    found = [paper_tables6_7.paper_energy_mj(row) for row in paper_tables6_7.TABLE_6]
    for energy, row in list(zip(found, paper_tables6_7.TABLE_6, strict=True))[:3]:
        assert energy == pytest.approx(row.power_mj, abs=1e-3)
    assert found[3] == pytest.approx(0.244, abs=1e-3)
    assert found[3] / 2 == pytest.approx(0.126, abs=5e-3)


@pytest.mark.slow
def test_untrained_networks_fire_and_cost_about_what_the_paper_prints():
    rows = list(paper_tables6_7.untrained(images=4))
    assert [round(row.size_mb, 2) for row in rows] == [58.90, 0.74, 68.38, 2.17]
    assert all(0.1 < row.firing_rate < 0.3 for row in rows)
    assert all(row.accuracy is None for row in rows)
    whole = rows[0].sops_per_step / 1e6
    assert whole == pytest.approx(54.6, rel=0.25)
    assert rows[1].connections == pytest.approx(0.0961, abs=2e-4)


def test_noise_is_a_set_of_images():
    data = paper_tables6_7.noise(3, 10)
    assert isinstance(data, Dataset)
    assert data.images.shape == (3, 32, 32, 3)
    assert (data.images[:, :4, :4] == data.images[:, :1, :1]).all()
    assert len(paper_table1.entry("cifar10-0.8").build(4).of(LIF)) == 13
