from __future__ import annotations

from types import SimpleNamespace

import cc3d
import numpy as np
import pytest

from crgan.cases.labels import IGNORED, LabelScheme
from crgan.dial import Dial, Setting, Smallest
from crgan.evaluation.lesions import compare_lesions
from crgan.evaluation.overlap import compare
from crgan.sweep.decision import decide_corrected
from crgan.training.dial import find_dial, find_smallest
from crgan.training.judged import Answer, Judged

ONE = LabelScheme(classes={1: "lesion"})
CLASSES = LabelScheme(classes={1: "rim", 2: "core"})
REGIONS = LabelScheme(classes={1: "rim", 2: "core"}, regions={"whole": (1, 2), "core": (2,)})


def answer(codes: np.ndarray, decided: np.ndarray, corrected: np.ndarray, *, patient: str = "p1") -> Answer:
    known = None if (codes != IGNORED).all() else codes != IGNORED
    case = SimpleNamespace(case_id=patient, patient_id=patient, label=codes.astype(np.uint8), known=known, spacing_mm=(1.0, 1.0, 2.0))
    values = corrected.astype(np.float16)
    return Answer(case=case, decided=decided, corrected=values, probabilities=values)


def find(answers: list[Answer], labels: LabelScheme, *, refined: bool, whole: tuple[str, ...] = ()) -> Dial:
    return find_dial([Judged(each, labels) for each in answers], labels, refined=refined, whole=whole)


def row(codes: list[int], decided: list[int], corrected: list[float], *, patient: str = "p1") -> Answer:
    """One slice of one row and one target."""
    return answer(
        np.array(codes).reshape(1, 1, -1),
        np.array(decided, bool).reshape(1, 1, 1, -1),
        np.array(corrected).reshape(1, 1, 1, -1),
        patient=patient,
    )


def noisy(seed: int, labels: LabelScheme, *, patient: str, shape: tuple[int, int, int] = (4, 12, 14)) -> Answer:
    """Balls, and a system that knows them through a fog."""
    random = np.random.default_rng(seed)
    codes = np.zeros(shape, np.uint8)
    codes[1:3, 2:6, 2:7] = 1
    codes[1:3, 3:5, 3:6] = len(labels.classes)
    codes[2:4, 8:11, 9:12] = 1
    truth = labels.masks(codes)
    fog = np.clip(0.5 + 0.35 * (2 * truth - 1) + random.normal(0, 0.3, truth.shape), 0, 1)
    decided = fog + random.normal(0, 0.2, truth.shape) > 0.5
    if labels.exclusive:
        decided &= np.cumsum(decided, axis=0) == 1
    codes[0, 0] = IGNORED if seed % 2 else 0
    return answer(codes, decided, fog, patient=patient)


def test_by_hand() -> None:
    """Three true voxels in two lesions; one left out at FN = .42; a false alarm of one voxel at .22."""
    codes = [1, 1, 0, 1, 0, 0]
    decided = [1, 1, 0, 0, 0, 0]
    found = find([row(codes, decided, [0.9, 0.8, 0.0, 0.42, 0.0, 0.22], patient=patient) for patient in ("p1", "p2")], ONE, refined=True)
    curve = found.curves["lesion"]
    assert curve.patients == 2
    assert found.settings["lesion"].p == 0.4  # the nearest to neutral that takes the voxel in: all right
    assert found.settings["lesion"].q == 0.5
    best = curve.at(found.settings["lesion"])
    assert (best.dice, best.fnr, best.false_volume, best.false_lesions, best.lesions_found) == (1, 0, 0, 0, 1)
    neutral = curve.at(Setting())
    assert (neutral.dice, neutral.fnr, neutral.false_volume, neutral.false_lesions, neutral.lesions_found) == pytest.approx(
        (4 / 5, 1 / 3, 0, 0, 1 / 2)
    )
    assert len(curve.points) == 2  # nothing beats having all and nothing else


def test_a_threshold_is_a_dial_with_one_hand() -> None:
    both = [row([1, 1, 0, 1, 0], [1, 0, 0, 0, 0], [0.9, 0.42, 0.32, 0.22, 0.12], patient=patient) for patient in ("p1", "p2")]
    found = find(both, ONE, refined=False)
    points = found.curves["lesion"].points
    assert all(point.p + point.q == pytest.approx(1) for point in points)
    assert found.settings["lesion"].p == pytest.approx(0.2)  # Dice 6/7 with one false voxel, against 4/5
    by_false = {point.false_volume: point.fnr for point in points}
    assert by_false == pytest.approx({0: 1 / 3, 1 / 3: 0}) or by_false == pytest.approx({0: 2 / 3, 1 / 3: 0})


@pytest.mark.parametrize("labels", [CLASSES, REGIONS], ids=["classes", "regions"])
@pytest.mark.parametrize("refined", [True, False])
def test_points_are_what_the_whole_decision_gives(labels: LabelScheme, refined: bool) -> None:
    """Every figure of every point, measured anew on whole volumes, the other targets at their best."""
    answers = [noisy(seed, labels, patient=f"p{seed // 2}") for seed in range(4)]  # two patients of two images
    found = find(answers, labels, refined=refined)
    for number, (target, curve) in enumerate(found.curves.items()):
        assert curve.patients == 2
        assert 3 < len(curve.points) <= 26
        for point in curve.points:
            settings = [*found.settings.values()]
            settings[number] = point.setting
            rows = [figures(each, labels, settings, number) for each in answers]
            means = [np.mean([np.mean(pair) for pair in (column[:2], column[2:])]) for column in zip(*rows, strict=True)]
            measured = (point.dice, point.fnr, point.false_lesions, point.lesions_found)
            assert measured == pytest.approx(means[:4])
            assert point.false_volume == pytest.approx(sum(row[4] for row in rows) / sum(row[5] for row in rows))
        assert curve.at(found.settings[target]) is not None
        assert curve.at(Setting()) is not None


def figures(each: Answer, labels: LabelScheme, settings: list[Setting], number: int) -> tuple[float, ...]:
    p, q = [setting.p for setting in settings], [setting.q for setting in settings]
    mask = decide_corrected(each.decided, each.corrected, p=p, q=q, exclusive=labels.exclusive)[number]
    known = each.case.known if each.case.known is not None else np.ones(mask.shape, bool)
    mask, truth = mask & known, labels.masks(each.case.label)[number] & known
    overlap, lesions = compare(mask, truth), compare_lesions(mask, truth, spacing_mm=(1, 1, 1))
    assert lesions.count == cc3d.connected_components(truth, connectivity=26).max()
    return (
        *(overlap.dice, overlap.fnr, lesions.false_alarms, lesions.sensitivity),
        *(overlap.false_positives, truth.sum()),
    )


def test_curves_only_fall_and_the_best_is_the_best() -> None:
    answers = [noisy(1, ONE, patient=patient) for patient in ("p1", "p2", "p3")]  # all alike, so no difference is chance
    found = find(answers, ONE, refined=True)
    curve = found.curves["lesion"]
    best = curve.at(found.settings["lesion"])
    assert best.dice >= max(point.dice for point in curve.points) - 0.0011
    assert best.dice > curve.at(Setting()).dice
    frontier = [point for point in curve.points if point.setting not in (Setting(), found.settings["lesion"])]
    assert (np.diff([point.fnr for point in frontier]) > 0).all()
    assert (np.diff([point.false_volume for point in frontier]) < 0).all()


def test_the_dial_is_not_turned_for_the_sake_of_one_patient() -> None:
    """Turning it gains .33 of Dice in one patient and costs .05 in each of two: .08 on average, with a standard error of .13."""
    gains = row([1, 1, 1, 1], [1, 1, 0, 0], [0.99, 0.99, 0.42, 0.42])
    costs = [row([1] * 10 + [0], [1] * 10 + [0], [0.99] * 10 + [0.42], patient=patient) for patient in ("p2", "p3")]
    assert find([gains, *costs], ONE, refined=True).is_neutral
    assert find([gains], ONE, refined=True).is_neutral  # one patient is no evidence
    alike = [row([1, 1, 1, 1], [1, 1, 0, 0], [0.99, 0.99, 0.42, 0.42], patient=patient) for patient in ("p2", "p3")]
    assert find([gains, *alike], ONE, refined=True).settings["lesion"].p == 0.4


def test_the_neutral_setting_stays_where_none_is_better() -> None:
    answers = [row([1, 1, 0, 0], [1, 1, 0, 0], [1.0, 1.0, 0.0, 0.0])]
    for refined in (True, False):
        found = find(answers, ONE, refined=refined)
        assert found.is_neutral
        assert found.curves["lesion"].at(Setting()).dice == 1


def test_a_target_that_no_patient_has_stays_neutral() -> None:
    codes, decided = np.array([1, 1, 0]).reshape(1, 1, 3), np.zeros((2, 1, 1, 3), bool)
    corrected = np.array([[0.42, 0.42, 0.0], [0.3, 0.0, 0.3]]).reshape(2, 1, 1, 3)
    found = find([answer(codes, decided, corrected, patient=patient) for patient in ("p1", "p2")], CLASSES, refined=True)
    assert found.settings["core"] == Setting()
    assert (found.curves["core"].patients, found.curves["core"].points) == (0, ())
    assert found.settings["rim"].p == pytest.approx(0.4)
    assert Dial.from_json(found.to_json()).settings == found.settings


def test_without_validation_patients_nothing_is_known() -> None:
    found = find([], ONE, refined=True)
    assert found.is_neutral
    assert found.curves["lesion"].points == ()


def test_an_image_without_the_target_counts_its_false_lesions_alone() -> None:
    answers = [row([1, 0, 0, 0], [1, 0, 0, 0], [1.0, 0, 0, 0]), row([0] * 4, [1, 0, 1, 0], [0.9, 0, 0.9, 0], patient="p2")]
    neutral = find(answers, ONE, refined=True).curves["lesion"].at(Setting())
    assert (neutral.dice, neutral.fnr, neutral.false_volume, neutral.false_lesions) == (1, 0, 2, 1)


def test_pieces_that_are_always_wrong_are_dropped() -> None:
    """A lesion of four voxels found as three, and false pieces of one and two: only those are smaller."""
    codes = [1, 1, 1, 1, 0, 0, 0, 0, 0, 0]
    decided = [1, 1, 1, 0, 0, 1, 0, 1, 1, 0]
    values = [0.99, 0.99, 0.99, 0.0, 0.0, 0.99, 0.0, 0.99, 0.99, 0.0]
    found = find([row(codes, decided, values)], ONE, refined=True)
    assert found.smallest["lesion"].mm3 == pytest.approx(4.0, rel=1e-3)  # two voxels of 2 mm³, and a little
    assert found.smallest["lesion"].mm3 > 4.0
    assert found.smallest["lesion"].share == 0


def test_no_lesion_that_is_found_is_dropped() -> None:
    large, false = [1] * 9, [0, 1, 1, 0, 1, 1, 0, 1, 1]
    first = row([*large, *[0] * 9], [*large, *false], [0.99 * each for each in [*large, *false]])
    small = row([1, 0, 0], [1, 0, 0], [0.99, 0.0, 0.0], patient="p2")
    assert find([first], ONE, refined=True).smallest["lesion"].mm3 == pytest.approx(4.0, rel=1e-3)  # and not the lesion's 18
    assert find([first, small], ONE, refined=True).smallest == {}


def test_nothing_is_dropped_without_need_or_knowledge() -> None:
    right = row([1, 1, 0], [1, 1, 0], [0.99, 0.99, 0.0])
    nothing = row([0, 0, 0], [1, 0, 0], [0.99, 0.0, 0.0])
    assert find([right], ONE, refined=True).smallest == {}
    assert find([nothing], ONE, refined=True).smallest == {}  # nobody has the target
    assert find([], ONE, refined=True).smallest == {}


def test_of_something_whole_what_is_small_beside_the_largest_piece_is_dropped() -> None:
    """An organ of ten voxels found as nine, and false pieces of one voxel."""
    organ = row([1] * 10 + [0] * 4, [1] * 9 + [0, 0, 1, 0, 1], [0.99] * 9 + [0, 0, 0.99, 0, 0.99])
    right = row([1] * 4 + [0] * 2, [1] * 4 + [0] * 2, [0.99] * 4 + [0] * 2, patient="p2")
    assert find([right], ONE, refined=True, whole=("lesion",)).smallest == {"lesion": Smallest(share=1 / 3)}  # it costs nothing
    assert find([organ, right], ONE, refined=True, whole=("lesion",)).smallest["lesion"].share == 1 / 3
    assert find([organ, right], ONE, refined=True).smallest["lesion"].share == 0


def test_nothing_that_is_true_is_dropped_beside_the_largest_piece() -> None:
    """The true piece is a quarter of a false one: of several patients one is enough, if it costs Dice."""
    wrong = row([1] * 2 + [0] * 9, [1] * 2 + [0] + [1] * 8, [0.99] * 2 + [0] + [0.99] * 8)
    right = row([1] * 4 + [0] * 2, [1] * 4 + [0] * 2, [0.99] * 4 + [0] * 2, patient="p2")
    assert find([wrong, right], ONE, refined=True, whole=("lesion",)).smallest == {}


def test_instances_are_never_dropped() -> None:
    cells = LabelScheme(classes={1: "cell"}, instances=True)
    assert find_smallest([], cells, [Setting()] * len(cells.targets)) == {}


def test_a_piece_in_a_lesion_counts_by_its_largest() -> None:
    """Two pieces touch one lesion: the smaller may go."""
    judged = Judged(row([1, 1, 1, 1, 1, 0], [1, 0, 1, 1, 1, 0], [0.99, 0.0, 0.99, 0.99, 0.99, 0.0]), ONE)
    pieces = judged.pieces(np.array([True, False, True, True, True]), 0)  # of the voxels that matter
    assert pieces.mm3.tolist() == [2.0, 6.0]
    assert pieces.hits.tolist() == pieces.voxels.tolist() == [1, 3]
    assert pieces.holding_mm3.tolist() == [6.0]
