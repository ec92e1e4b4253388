"""A network over the windows of a plane: what it is shown, and that nothing but the patient decides what it says."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.fx.experimental import _config as shapes

import crgan.sweep.sweep as sweeping
from crgan.networks.normalization import PatientNorm
from crgan.networks.unet import RecurrentUNet
from crgan.sweep.sweep import inside, sweep
from crgan.sweep.windows import Window, covering_windows

Found = dict[Window, np.ndarray]


class Echo(nn.Module):
    """Gives back what it is shown, and remembers it."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))  # networks are found on a device by their weights
        self.shown: list[tuple[Tensor, Tensor]] = []

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        self.shown.append((x, valid))
        return x


def small_network(*, patient_wise: bool = True) -> RecurrentUNet:
    torch.manual_seed(0)
    return RecurrentUNet(1, 2, widths=(4, 6, 8), recurrent_width=5, patient_wise=patient_wise).eval()


def images(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def run(
    network: nn.Module,
    planes: Sequence[np.ndarray],
    windows: Sequence[Window],
    *,
    tile: tuple[int, int] = (8, 8),
    coarseness: int = 1,
    statistics_windows: int = 2,
) -> Found:
    results = sweep(
        network,
        planes,
        windows,
        tile=tile,
        coarseness=coarseness,
        statistics_windows=statistics_windows,
        head=lambda output, _: output.sigmoid() if isinstance(network, RecurrentUNet) else output,
    )
    return dict(results)


def assert_same(found: Found, expected: Found) -> None:
    assert found.keys() == expected.keys()
    for window, values in expected.items():
        np.testing.assert_allclose(found[window], values, rtol=0, atol=1e-6)


# --- what a network is shown, and what comes back ------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_what_comes_back_is_what_lies_in_the_window(dtype: type) -> None:
    first, second = images(2, 5, 13, 6).astype(dtype), images(1, 5, 13, 6, seed=1)
    windows = covering_windows((5, 13, 6), length=3, tile=(8, 8))
    found = run(Echo(), [first, second], windows)
    assert set(found) == set(windows)
    both = np.concatenate([first, second])
    for window, values in found.items():
        rows, columns = inside(window, (8, 8), (13, 6))
        np.testing.assert_array_equal(values, both[:, window.start : window.stop, rows, columns])


def test_padding_repeats_the_edge_and_is_not_valid() -> None:
    plane = images(2, 1, 3, 4)
    network = Echo()
    run(network, [plane], [Window(0, 1, -2, -3)])
    x, valid = network.shown[-1]
    rows, columns = np.clip(np.arange(8) - 2, 0, 2), np.clip(np.arange(8) - 3, 0, 3)
    np.testing.assert_array_equal(x[0, 0].numpy(), plane[:, 0][:, rows][:, :, columns])
    expected = np.zeros((8, 8))
    expected[2:5, 3:7] = 1
    np.testing.assert_array_equal(valid[0, 0, 0].numpy(), expected)


@pytest.mark.parametrize("coarseness", [2, 4])
def test_coarse_pixels_are_means_and_come_back_in_place(coarseness: int) -> None:
    rows, columns = np.indices((24, 32)).astype(np.float32)
    plane = (3 * rows - columns)[None, None]
    network = Echo()
    found = run(network, [plane], [Window(0, 1, 0, 0)], tile=(24, 32), coarseness=coarseness)
    x, valid = network.shown[-1]
    blocks = plane[0, 0].reshape(24 // coarseness, coarseness, 32 // coarseness, coarseness).mean(axis=(1, 3))
    np.testing.assert_allclose(x[0, 0, 0].numpy(), blocks, rtol=1e-5)
    assert valid.shape[-2:] == blocks.shape
    assert valid.all()
    inner = (slice(coarseness, -coarseness), slice(coarseness, -coarseness))  # beyond the outermost centres the edge goes on
    np.testing.assert_allclose(found[Window(0, 1, 0, 0)][0, 0][inner], plane[0, 0][inner], atol=1e-3)


def test_a_coarse_pixel_is_valid_where_most_of_it_is() -> None:
    network = Echo()
    run(network, [images(1, 1, 5, 7)], [Window(0, 1, -1, 0)], tile=(8, 8), coarseness=2)
    valid = network.shown[-1][1][0, 0, 0]
    # Rows -1 and 0, 1 and 2, 3 and 4, 5 and 6; columns 0 and 1 to 6 and 7, of which 7 is not there.
    assert valid.tolist() == [[0, 0, 0, 0], [1, 1, 1, 0], [1, 1, 1, 0], [0, 0, 0, 0]]


def test_the_head_sees_the_output_and_the_input() -> None:
    plane = images(3, 2, 8, 8)
    results = sweep(
        Echo(),
        [plane],
        [Window(0, 2, 0, 0)],
        tile=(8, 8),
        coarseness=1,
        statistics_windows=1,
        head=lambda output, x: output[:, :, :1] - 2 * x[:, :, 1:2],
    )
    np.testing.assert_allclose(next(iter(results))[1], plane[:1] - 2 * plane[1:2])


def test_no_windows_no_work() -> None:
    network = Echo()
    assert run(network, [images(1, 2, 8, 8)], []) == {}
    assert not network.shown


# --- the patient's statistics --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("count", "fewest", "pixels", "expected"),
    [
        (6, 2, 2 * 192, [1, 4]),  # a window is 192 pixels: no room for more than the fewest; the middles of equal parts
        (6, 3, 192, [1, 3, 5]),
        (6, 2, 4 * 192 - 1, [1, 3, 5]),  # room for three
        (24, 2, 10_000, [1, 4, 7, 10, 13, 16, 19, 22]),  # eight where there is room
        (24, 12, 10_000, list(range(1, 24, 2))),  # a training group has more
        (2, 4, 10_000, [0, 1]),  # as many as there are
        (1, 2, 10_000, [0]),
    ],
)
def test_statistics_come_from_evenly_spaced_windows(
    count: int, fewest: int, pixels: int, expected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "_STATISTICS_PIXELS", pixels)
    plane = np.broadcast_to(np.arange(3 * count, dtype=np.float32)[:, None, None], (3 * count, 8, 8))[None]
    network = Echo()
    run(network, [plane], [Window(3 * number, 3 * number + 3, 0, 0) for number in range(count)], statistics_windows=fewest)
    first_shown = network.shown[0][0]
    assert first_shown[:, 0, 0, 0, 0].tolist() == [3 * number for number in expected]


def test_the_patient_is_forgotten_afterwards() -> None:
    network = small_network()
    layers = [layer for layer in network.modules() if isinstance(layer, PatientNorm)]
    windows = covering_windows((5, 8, 8), length=3, tile=(8, 8))
    run(network, [images(1, 5, 8, 8)], windows)
    assert all(layer.frozen is None and not layer.recording for layer in layers)
    unfinished = sweep(
        network, [images(1, 5, 8, 8)], windows, tile=(8, 8), coarseness=1, statistics_windows=2, head=lambda output, _: output
    )
    next(unfinished)
    assert all(layer.frozen is not None for layer in layers)
    unfinished.close()
    assert all(layer.frozen is None and not layer.recording for layer in layers)


@pytest.mark.parametrize("patient_wise", [False, True])
@pytest.mark.parametrize("coarseness", [1, 2])
def test_how_many_windows_go_through_at_once_changes_nothing(patient_wise: bool, coarseness: int, monkeypatch: pytest.MonkeyPatch) -> None:
    plane = images(1, 9, 21, 13)
    windows = covering_windows((9, 21, 13), length=3, tile=(8, 8))
    found = []
    for pixels in (1, 500, 10**9):
        monkeypatch.setattr(sweeping, "_PIXELS_AT_ONCE", pixels)
        found.append(run(small_network(patient_wise=patient_wise), [plane], windows, coarseness=coarseness))
    assert_same(found[1], found[0])
    assert_same(found[2], found[0])


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_windows_changes_nothing(seed: int) -> None:
    plane = images(1, 9, 21, 13) * np.linspace(0.1, 3, 9, dtype=np.float32)[:, None, None]  # unlike statistics everywhere
    windows = covering_windows((9, 21, 13), length=3, tile=(8, 8))
    shuffled = random.Random(seed).sample(windows, len(windows))
    assert shuffled != windows
    assert_same(run(small_network(), [plane], shuffled), run(small_network(), [plane], windows))


def test_other_patients_before_change_nothing() -> None:
    network = small_network()
    plane, other = images(1, 5, 8, 8), 10 + 5 * images(1, 7, 8, 8, seed=1)
    windows = covering_windows((5, 8, 8), length=3, tile=(8, 8))
    alone = run(network, [plane], windows)
    run(network, [other], covering_windows((7, 8, 8), length=3, tile=(8, 8)))
    again = run(network, [plane], windows)
    for window, values in alone.items():
        np.testing.assert_array_equal(again[window], values)


def test_the_networks_weights_stay_as_they_are() -> None:
    network = small_network(patient_wise=False)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    run(network, [5 + images(1, 5, 8, 8)], covering_windows((5, 8, 8), length=3, tile=(8, 8)))
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]), name


# --- a compiled network --------------------------------------------------------------------------------------------


@pytest.fixture
def compilations() -> Iterator[list[object]]:
    """What is compiled from now on, by :func:`keeping`, as Model.compile lets it be."""
    torch.compiler.reset()
    with shapes.patch(use_duck_shape=False):
        yield []


def keeping(graphs: list[object]) -> Callable[[torch.fx.GraphModule, object], torch.fx.GraphModule]:
    """A compiler that leaves everything as it is."""
    return lambda graph, _: graphs.append(graph) or graph


@pytest.mark.parametrize("patient_wise", [True, False])
def test_a_compiled_network_is_compiled_once_for_all_patients_and_planes(compilations, monkeypatch, *, patient_wise: bool) -> None:
    network, eager = (small_network(patient_wise=patient_wise) for _ in range(2))
    network.compile(backend=keeping(compilations), dynamic=True)
    monkeypatch.setattr(sweeping, "_PIXELS_AT_ONCE", 4 * 3 * 16 * 8)
    sizes = [((20, 16, 24), (16, 8)), ((21, 24, 40), (8, 16)), ((12, 16, 16), (16, 16)), ((7, 33, 17), (16, 8))]
    for patient, (shape, tile) in enumerate(sizes):
        planes = [images(1, *shape, seed=patient) * (1 + patient) + patient]  # statistics of the one before would be far off
        windows = covering_windows(shape, length=3, tile=tile)
        assert_same(run(network, planes, windows, tile=tile), run(eager, planes, windows, tile=tile))
    assert len(compilations) == 1


def test_windows_that_go_alone_are_compiled_too(compilations, monkeypatch) -> None:
    network = small_network()
    network.compile(backend=keeping(compilations), dynamic=True)
    monkeypatch.setattr(sweeping, "_PIXELS_AT_ONCE", 1)
    planes, windows = [images(1, 7, 8, 16)], covering_windows((7, 8, 16), length=3, tile=(8, 8))
    assert_same(run(network, planes, windows), run(small_network(), planes, windows))
    assert len(compilations) == 1
