"""The dial between missing and false alarms: where it stands for each target, what other places cost, and which one an aim wants.

A place is the (p, q) of Eq. 7. What each costs was measured on validation patients, so it is told apart from what new patients
will show: the fewer patients there were, the further the two may lie from each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

from crgan.errors import CrganError, Problem, fail

Kind = Literal["dice", "max-fnr", "max-false-lesions"]

Thresholds = float | Mapping[str, float]
"""One number for all targets, or one each by name."""

AIMS = "dice, max-fnr=0.1 (at most a tenth missed) or max-false-lesions=2 (at most two a patient)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The (p, q) of one target: add where ``FN >= p``, remove where ``FP > q``."""

    p: float = 0.5
    q: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A setting of one target and what it did on validation patients, the other targets at their best Dice.

    Parameters
    ----------
    p, q
        The setting.
    dice, fnr
        Means over the patients who have the target.
    false_volume
        Falsely marked voxels of all patients, divided by all true ones.
    false_lesions
        Marks that touch no truth (26-connected), mean over all patients.
    lesions_found
        Share of the patients' lesions of which a voxel was marked, mean over the patients who have the target.
    """

    p: float
    q: float
    dice: float
    fnr: float
    false_volume: float
    false_lesions: float
    lesions_found: float

    @property
    def setting(self) -> Setting:
        """Where the dial stands."""
        return Setting(p=self.p, q=self.q)


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What settings of one target did on validation patients.

    Parameters
    ----------
    patients
        How many of them have the target; without any there are no points.
    points
        From the one that misses least; each that misses more marks less that is false, but for the neutral one and the one of
        the best Dice, which are always there.
    """

    patients: int
    points: tuple[Point, ...] = ()

    def at(self, setting: Setting) -> Point | None:
        """The point of a setting, if it was measured."""
        return next((point for point in self.points if point.setting == setting), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """What a place of the dial is wanted for: the best Dice, or as good as can be had within a limit."""

    kind: Kind = "dice"
    limit: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Aim:
        """Read an aim as the command line has it.

        Raises
        ------
        CrganError
            If it is none of those there are, or its limit is no number in its range.
        """
        kind, equals, value = text.strip().partition("=")
        try:
            limit = float(value) if equals else 0.0
        except ValueError:
            limit = -1.0
        if kind == "dice" and not equals:
            return cls()
        if equals and kind == "max-fnr" and 0 < limit < 1:
            return cls(kind="max-fnr", limit=limit)
        if equals and kind == "max-false-lesions" and 0 <= limit < float("inf"):
            return cls(kind="max-false-lesions", limit=limit)
        raise fail("There is no such aim for the dial.", where=f"--aim {text}", expected=AIMS, fix="write one of them")

    def __str__(self) -> str:
        return self.kind if self.kind == "dice" else f"{self.kind}={self.limit:g}"

    def choose(self, points: Sequence[Point]) -> Point | None:
        """The point that serves a limit best, None if none keeps to it.

        ``max-fnr``: of those that miss no more than the limit, the one that marks least that is false. ``max-false-lesions``: of
        those with no more false lesions a patient than the limit, the one that finds most lesions, and of several the one that
        misses least.
        """
        within = [point for point in points if self.of(point) <= self.limit]
        if self.kind == "max-fnr":
            return min(within, key=lambda point: (point.false_volume, point.fnr), default=None)
        return min(within, key=lambda point: (-point.lesions_found, point.fnr), default=None)

    def of(self, point: Point) -> float:
        """What the aim limits."""
        return point.fnr if self.kind == "max-fnr" else point.false_lesions


@dataclass(frozen=True, slots=True, kw_only=True)
class Smallest:
    """The smallest piece of a target's mask that is believed.

    Parameters
    ----------
    mm3
        Its volume.
    share
        Its volume by that of the largest piece of the mask.
    """

    mm3: float = 0.0
    share: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Dial:
    """Where the dial stands, and what is known of other places.

    Parameters
    ----------
    settings
        Of each target, in the order of the label scheme; as training left it, those of the best Dice.
    curves
        What validation patients showed, by target; empty where nothing was measured.
    smallest
        From which size on a piece of a target's mask is believed; targets without a limit are left out. It goes with the
        settings: a dial that is turned has none.
    """

    settings: Mapping[str, Setting]
    curves: Mapping[str, Curve]
    smallest: Mapping[str, Smallest] = field(default_factory=dict)

    @classmethod
    def neutral(cls, targets: Sequence[str]) -> Dial:
        """The dial at (0.5, 0.5), nothing measured."""
        return cls(settings={target: Setting() for target in targets}, curves={})

    @property
    def p(self) -> tuple[float, ...]:
        """p of each target."""
        return tuple(setting.p for setting in self.settings.values())

    @property
    def q(self) -> tuple[float, ...]:
        """q of each target."""
        return tuple(setting.q for setting in self.settings.values())

    def by_target(self, name: Literal["p", "q"]) -> dict[str, float]:
        """p or q by target, as :meth:`turned` takes them."""
        return {target: getattr(setting, name) for target, setting in self.settings.items()}

    @property
    def is_neutral(self) -> bool:
        """Whether every target's setting is (0.5, 0.5)."""
        return all(setting == Setting() for setting in self.settings.values())

    def turned(self, *, aim: str | None = None, p: Thresholds | None = None, q: Thresholds | None = None) -> Dial:
        """Turn the dial towards an aim, or set it by hand; as it is if nothing is given.

        Parameters
        ----------
        aim
            As :meth:`Aim.parse` takes it.
        p, q
            A number for all targets, or one each by name; targets that are not named stay.

        Raises
        ------
        CrganError
            If both are given, a threshold is none, or no setting of a target kept to the aim's limit on validation patients.
        """
        if aim is None:
            return self if p is None and q is None else self._set_to(p=p, q=q)
        if p is not None or q is not None:
            raise fail("The dial cannot follow an aim and be set by hand.", got=f"--aim {aim} and thresholds", fix="give one of them")
        return self._towards(Aim.parse(aim))

    def _towards(self, aim: Aim) -> Dial:
        if aim.kind == "dice":
            return self
        chosen, problems = {}, []
        for target in self.settings:
            curve = self.curves.get(target, Curve(patients=0))
            point = aim.choose(curve.points)
            if point is None:
                problems.append(_unreached(aim, target, curve))
            else:
                chosen[target] = point.setting
        if problems:
            raise CrganError(problems)
        return Dial(settings=chosen, curves=self.curves)

    def _set_to(self, *, p: Thresholds | None, q: Thresholds | None) -> Dial:
        settings = dict(self.settings)
        for name, given in (("p", p), ("q", q)):
            by_target = given if isinstance(given, Mapping) else dict.fromkeys(settings, given) if given is not None else {}
            for target, value in by_target.items():
                if target not in settings:
                    raise fail(
                        "The dial has no such target.",
                        where=f"{name} of {target}",
                        expected=f"one of {', '.join(settings)}",
                        fix="name one of them, or give one number for all",
                    )
                if not 0 <= value <= 1:
                    where = f"{name} of {target}"
                    raise fail("The dial cannot be set so.", where=where, expected="thresholds from 0 to 1", got=f"{value:g}")
                old = settings[target]
                settings[target] = Setting(p=value, q=old.q) if name == "p" else Setting(p=old.p, q=value)
        return Dial(settings=settings, curves=self.curves)

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file: for each target its setting, and its curve as one list for each figure."""
        found: dict[str, Any] = {}
        for target, setting in self.settings.items():
            found[target] = asdict(setting)
            if target in self.smallest:
                found[target]["smallest"] = asdict(self.smallest[target])
            if target in self.curves:
                curve = self.curves[target]
                columns = {name: [round(getattr(point, name), 5) for point in curve.points] for name in _COLUMNS}
                found[target] |= {"patients": curve.patients, "curve": columns}
        return found

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Dial:
        """Read what :meth:`to_json` gave."""
        curves = {}
        for target, found in data.items():
            if "curve" in found:
                rows = zip(*(found["curve"][name] for name in _COLUMNS), strict=True)
                points = tuple(Point(**dict(zip(_COLUMNS, map(float, row), strict=True))) for row in rows)
                curves[target] = Curve(patients=int(found["patients"]), points=points)
        settings = {target: Setting(p=float(found["p"]), q=float(found["q"])) for target, found in data.items()}
        smallest = {target: Smallest(**found["smallest"]) for target, found in data.items() if "smallest" in found}
        return cls(settings=settings, curves=curves, smallest=smallest)


_COLUMNS = tuple(field.name for field in fields(Point))


def parse_thresholds(texts: Sequence[str], *, option: str) -> Thresholds | None:
    """Read thresholds as the command line has them, ``0.3`` or ``TARGET=0.3``; None if there are none.

    Raises
    ------
    CrganError
        If one is no number from 0 to 1, or one for all stands beside others.
    """
    found: dict[str, float] = {}
    for text in texts:
        target, _, value = text.rpartition("=")
        try:
            found[target] = float(value)
        except ValueError:
            found[target] = -1.0
        if not 0 <= found[target] <= 1:
            raise fail("A threshold could not be read.", where=f"{option} {text}", expected="a number from 0 to 1, or TARGET=NUMBER")
    if "" not in found:
        return found or None
    if len(texts) > 1:
        raise fail(
            "A threshold for all targets stands beside others.",
            where=option,
            got=", ".join(texts),
            fix="give one for all, or name a target in each",
        )
    return found[""]


def _unreached(aim: Aim, target: str, curve: Curve) -> Problem:
    """Say that an aim was reached by no setting, and how near the nearest came."""
    if not curve.points:
        return Problem(
            what="It is not known what the dial would do: no validation patient has the target.",
            where=f"--aim {aim}, {target}",
            expected="a target that validation patients have",
            fix="set the dial by hand, with --fn-threshold and --fp-threshold",
        )
    nearest = min(curve.points, key=aim.of)
    what = "FNR" if aim.kind == "max-fnr" else "false lesions a patient"
    return Problem(
        what="No setting of the dial reached the aim on the validation patients.",
        where=f"--aim {aim}, {target}",
        expected=f"at most {aim.limit:g} {what}" if aim.kind != "max-fnr" else f"an {what} of at most {aim.limit:g}",
        got=f"at the nearest, p = {nearest.p:g} and q = {nearest.q:g}: {aim.of(nearest):.3g}, on {curve.patients} patients",
        fix=f"ask for --aim {aim.kind}={_above(aim.of(nearest)):g}, or train longer or on more patients",
    )


def _above(value: float) -> float:
    """A limit in three decimals that a value keeps to."""
    return round(value + 0.0005, 3)
