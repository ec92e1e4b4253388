from __future__ import annotations

import csv
import os
import signal
import threading
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import nn

from crgan.errors import CrganError
from crgan.interruption import Stopped
from crgan.progress import Silent
from crgan.training import loop
from crgan.training.checkpoint import load_state
from crgan.training.journal import Journal
from crgan.training.loop import run_stage


class ToyStage:
    """One weight that goes down by what the step's number says, and scripted validations."""

    name = "toy"
    keep_at: tuple[float, ...] = ()

    def __init__(
        self, dice: Callable[[int], float] = lambda step: step / 100, *, before_step: Callable[[int], None] = lambda _: None
    ) -> None:
        self.net = nn.Linear(1, 1, bias=False)
        nn.init.ones_(self.net.weight)
        self.modules = {"net": self.net}
        self.optimisers = {"net": torch.optim.AdamW(self.net.parameters(), lr=0.01)}
        self.dice, self.before_step = dice, before_step
        self.pace = 1.0
        self.steps: list[tuple[int, int | None]] = []
        self.validated: list[int] = []

    def step(self, number: int, total: int | None) -> dict[str, float]:
        self.before_step(number)
        self.optimisers["net"].zero_grad()
        loss = (self.net.weight * (1 + number % 3)).square().sum()
        loss.backward()
        self.optimisers["net"].step()
        self.steps.append((number, total))
        return {"loss": float(loss.detach())}

    def validate(self) -> dict[str, float]:
        done = self.steps[-1][0] + 1
        self.validated.append(done)
        return {"dice": self.dice(done), "fnr": 0.5}

    @property
    def weight(self) -> float:
        return float(self.net.weight.detach())


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., dict[str, float]]:
    """Run a stage in ``tmp_path/toy`` as a process of its own would: with a journal read from the disk."""
    alone = SimpleNamespace(is_global_zero=True, world_size=1, broadcast=int, barrier=lambda: None, log_dict=lambda *_, **__: None)

    def call(stage: ToyStage, *, fabric: SimpleNamespace = alone, **settings: Any) -> dict[str, float]:
        chosen = {"steps": 8, "seconds": None, "validations": 4, "patience": None, "progress": Silent(), **settings}
        return run_stage(fabric, stage, tmp_path / "toy", journal=Journal(tmp_path / "metrics.csv", fabric), **chosen)

    return call


def rows(folder: Path) -> list[int]:
    with (folder / "metrics.csv").open(encoding="utf-8", newline="") as file:
        return [int(row["step"]) for row in csv.DictReader(file)]


def test_all_steps_are_taken_and_validations_are_spaced_evenly(run, tmp_path: Path) -> None:
    stage = ToyStage()
    assert run(stage, steps=10, validations=3) == {"step": 10, "dice": 0.1, "fnr": 0.5}
    assert stage.steps == [(number, 10) for number in range(10)]
    assert stage.validated == [4, 7, 10]
    assert rows(tmp_path) == [4, 7, 10]


def test_fewer_steps_than_validations(run) -> None:
    stage = ToyStage()
    run(stage, steps=2, validations=5)
    assert stage.validated == [1, 2]


def test_the_best_weights_are_left_in_the_network(run) -> None:
    stage, after_four = ToyStage(lambda step: {2: 0.3, 4: 0.8, 6: 0.8, 8: 0.5}[step]), ToyStage()
    found = run(stage)
    assert found == {"step": 4, "dice": 0.8, "fnr": 0.5}  # the first of equals
    for number in range(4):
        after_four.step(number, 8)
    assert stage.weight == after_four.weight


def test_weights_are_kept_after_the_shares_that_a_stage_asks_for(run, tmp_path: Path) -> None:
    stage, after_six = ToyStage(), ToyStage()
    stage.keep_at = (0.5, 0.75)
    run(stage, steps=8)
    for number in range(6):
        after_six.step(number, 8)
    assert {path.name for path in (tmp_path / "toy").glob("at*")} == {"at50.safetensors", "at75.safetensors"}
    assert load_state(loop.snapshot_path(tmp_path / "toy", 0.75), stage.modules, {}) == {"step": 6}
    assert stage.weight == after_six.weight


def test_memory_that_ran_out_is_told_with_a_way_out(run) -> None:
    def full(_: int) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    with pytest.raises(CrganError, match=r"toy stage, step 0[\s\S]*2\.00 GiB[\s\S]*fewer net\.groups[\s\S]*batch\.find=true"):
        run(ToyStage(before_step=full))


def test_a_dice_of_zero_is_better_than_none(run) -> None:
    assert run(ToyStage(lambda _: 0.0))["dice"] == 0


@pytest.mark.parametrize(("patience", "last"), [(1, 6), (2, 8), (None, 20)])
def test_it_stops_early(run, patience: int | None, last: int) -> None:
    stage = ToyStage(lambda step: {2: 0.1, 4: 0.5}.get(step, 0.2))
    assert run(stage, steps=20, validations=10, patience=patience)["dice"] == 0.5
    assert len(stage.steps) == last


def test_a_stage_that_stopped_early_stays_so(run) -> None:
    run(ToyStage(lambda step: -step / 100), steps=20, validations=10, patience=2)
    again = ToyStage()
    assert run(again, steps=20, validations=10, patience=2)["step"] == 2
    assert again.steps == []


def test_a_finished_stage_is_not_begun_again(run, tmp_path: Path) -> None:
    first = ToyStage()
    run(first)
    again = ToyStage()
    run(again)
    assert (again.steps, again.weight) == ([], first.weight)
    assert rows(tmp_path) == [2, 4, 6, 8]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("at", range(8))
def test_interrupted_and_gone_on_with_ends_at_the_same_weights(run, tmp_path: Path, number: signal.Signals, at: int) -> None:
    def interrupt(step: int) -> None:
        if step == at:
            os.kill(os.getpid(), number)

    handler = signal.getsignal(number)
    with pytest.raises(Stopped) as stopped:
        run(ToyStage(before_step=interrupt))
    assert stopped.value.number == number
    assert signal.getsignal(number) is handler
    resumed, through = ToyStage(), ToyStage()
    found = run(resumed)
    assert resumed.steps == [(step, 8) for step in range(at + 1, 8)]  # the step that was interrupted was ended
    assert rows(tmp_path) == [2, 4, 6, 8]
    for step in range(8):
        through.step(step, 8)
    assert (found["step"], resumed.weight) == (8, through.weight)


def test_a_second_ctrl_c_is_not_waited_for(run) -> None:
    def interrupt(step: int) -> None:
        if step == 3:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            pytest.fail("the step went on")

    stage = ToyStage(before_step=interrupt)
    with pytest.raises(KeyboardInterrupt):
        run(stage)
    assert len(stage.steps) == 3


def test_a_second_sigterm_changes_nothing(run) -> None:
    def interrupt(step: int) -> None:
        if step == 3:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGTERM)

    stage = ToyStage(before_step=interrupt)
    with pytest.raises(Stopped):
        run(stage)
    assert len(stage.steps) == 4


@pytest.mark.parametrize("where", ["step", "validate"])
def test_killed_between_checkpoints_no_figure_stands_twice(run, tmp_path: Path, where: str) -> None:
    """A crash loses what came after the last checkpoint; it happens again, also in the journal."""

    class CrashError(Exception):
        pass

    stage = ToyStage()
    action, calls = getattr(stage, where), []

    def crash(*args: Any) -> dict[str, float]:
        calls.append(args)
        if len(calls) == (6 if where == "step" else 3):
            raise CrashError
        return action(*args)

    setattr(stage, where, crash)
    with pytest.raises(CrashError):
        run(stage)
    resumed = ToyStage()
    run(resumed)
    assert resumed.steps[0] == (4, 8)
    assert rows(tmp_path) == [2, 4, 6, 8]


def test_killed_after_the_first_validation_and_before_its_checkpoint(run, tmp_path: Path, monkeypatch) -> None:
    save = loop.save_state

    def crash(path: Path, *args: Any) -> None:
        if path.name == "last.safetensors":
            raise MemoryError
        save(path, *args)

    monkeypatch.setattr(loop, "save_state", crash)
    with pytest.raises(MemoryError):
        run(ToyStage())
    assert rows(tmp_path) == [2]
    monkeypatch.undo()
    run(ToyStage())
    assert rows(tmp_path) == [2, 4, 6, 8]


def test_a_checkpoint_is_written_now_and_then(run, tmp_path: Path, monkeypatch) -> None:
    """However rare validations are, little is lost."""
    monkeypatch.setattr(loop, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    seen = []

    def look(step: int) -> None:
        path = tmp_path / "toy" / "last.safetensors"
        if path.exists():
            with safe_open(path, framework="pt") as file:
                seen.append((step, file.metadata()["facts"]))

    run(ToyStage(before_step=look), validations=1)
    assert [step for step, facts in seen if f'"step": {step}' in facts] == list(range(1, 8))


class TestDamagedCheckpoints:
    @pytest.fixture
    def folder(self, run, tmp_path: Path, monkeypatch) -> Path:
        """Of a run that was stopped in its sixth step of eight, with a checkpoint after each."""
        monkeypatch.setattr(loop, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
        with pytest.raises(KeyboardInterrupt):
            run(ToyStage(before_step=lambda step: os.kill(os.getpid(), signal.SIGINT) if step == 5 else None))
        return tmp_path / "toy"

    @staticmethod
    def damage(path: Path) -> None:
        path.write_bytes(path.read_bytes()[:-3])

    def test_the_one_before_is_gone_on_from_and_the_end_is_the_same(self, run, folder: Path) -> None:
        self.damage(folder / "last.safetensors")
        resumed, through = ToyStage(), ToyStage()
        run(resumed)
        assert resumed.steps == [(step, 8) for step in range(5, 8)]
        for step in range(8):
            through.step(step, 8)
        assert resumed.weight == through.weight

    def test_the_damaged_one_never_takes_the_place_of_the_good_one(self, run, folder: Path, monkeypatch) -> None:
        self.damage(folder / "last.safetensors")
        monkeypatch.setattr(loop, "save_state", lambda *_: (_ for _ in ()).throw(MemoryError))
        with pytest.raises(MemoryError):
            run(ToyStage())
        monkeypatch.undo()
        resumed = ToyStage()
        run(resumed)
        assert resumed.steps[0] == (5, 8)

    def test_with_both_damaged_it_is_told(self, run, folder: Path) -> None:
        self.damage(folder / "last.safetensors")
        self.damage(folder / "previous.safetensors")
        with pytest.raises(CrganError, match=r"cannot be used[\s\S]*last\.safetensors"):
            run(ToyStage())

    def test_killed_between_keeping_the_old_and_writing_the_new(self, run, folder: Path) -> None:
        (folder / "last.safetensors").unlink()
        resumed = ToyStage()
        run(resumed)
        assert resumed.steps[0] == (5, 8)


class Timed(ToyStage):
    """Makes a clock pass: a step takes a second, a validation as long as it is told, the first one twice that."""

    def __init__(self, clock: SimpleNamespace, *, validation: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.clock, self.validation = clock, validation

    def step(self, number: int, total: int | None) -> dict[str, float]:
        self.clock.now += 1
        return super().step(number, total)

    def validate(self) -> dict[str, float]:
        self.clock.now += self.validation if self.validated else 2 * self.validation
        return super().validate()


@pytest.fixture
def clock(monkeypatch) -> SimpleNamespace:
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_minutes_become_a_number_of_steps_that_is_kept(run, clock: SimpleNamespace, tmp_path: Path) -> None:
    def stop(step: int) -> None:
        if step == 20:
            os.kill(os.getpid(), signal.SIGINT)

    first = Timed(clock, validation=2.5, before_step=stop)
    with pytest.raises(KeyboardInterrupt):
        run(first, steps=None, seconds=100, validations=3)
    # 12 steps and a validation took 17 of the 100 seconds, two validations will take 10: 73 are left, 70 with caution.
    assert first.steps[:12] == [(number, None) for number in range(12)]
    assert first.steps[12:] == [(number, 82) for number in range(12, 21)]
    second = Timed(clock, validation=2.5)
    run(second, steps=None, seconds=1, validations=3)  # a resumed run keeps the number, whatever time is left
    assert second.steps == [(number, 82) for number in range(21, 82)]
    assert rows(tmp_path) == [41, 82]


@pytest.mark.parametrize(("seconds", "validation", "times"), [(100, 5, 2), (500, 5, 2), (1000, 5, 5), (1000, 0.5, 6)])
def test_validation_takes_a_small_part_of_the_time(
    run, clock: SimpleNamespace, tmp_path: Path, seconds: float, validation: float, times: int
) -> None:
    run(Timed(clock, validation=validation), steps=None, seconds=seconds, validations=6)
    assert len(rows(tmp_path)) == times


def test_processes_agree_on_how_often_to_validate(run, clock: SimpleNamespace, tmp_path: Path, monkeypatch) -> None:
    """This one alone could afford two."""

    def with_others(_: object, figures: dict[str, float]) -> dict[str, float]:
        return {name: 3.9 if name == "validations" else value for name, value in figures.items()}

    monkeypatch.setattr(loop, "agreed", with_others)
    run(Timed(clock, validation=5), steps=None, seconds=500, validations=6)
    assert len(rows(tmp_path)) == 3


def test_time_is_left_for_what_comes_afterwards(run, clock: SimpleNamespace) -> None:
    begun = clock.now
    run(Timed(clock, validation=10), steps=None, seconds=1000, validations=4, afterwards=3.0)
    assert 920 < clock.now - begun <= 970


@pytest.mark.parametrize("step_later", [0.25, 1.0, 3.0])
@pytest.mark.parametrize("pace", [1.0, 0.8])
def test_what_is_known_at_a_validation_is_planned_with(
    run, clock: SimpleNamespace, tmp_path: Path, step_later: float, pace: float
) -> None:
    """Steps and validations that turn out to be faster or slower than the first ones."""

    class Changing(Timed):
        def step(self, number: int, total: int | None) -> dict[str, float]:
            if number >= 12:
                self.clock.now += step_later - 1
            return super().step(number, total)

    stage = Changing(clock, validation=5)  # the first takes 10 seconds
    stage.pace = pace
    begun = clock.now
    run(stage, steps=None, seconds=1000, validations=4)
    assert 0.95 * pace * 1000 < clock.now - begun <= 1000
    marks = rows(tmp_path)
    assert len(marks) == 4
    assert marks[-1] == len(stage.steps)
    assert marks[2] - marks[1] == pytest.approx(marks[3] - marks[2], rel=0.1 + 1 - pace)


@pytest.mark.parametrize("later", [0.2, 5.0])
def test_time_is_kept_where_other_work_comes_or_goes(run, clock: SimpleNamespace, tmp_path: Path, later: float) -> None:
    class Disturbed(Timed):
        def step(self, number: int, total: int | None) -> dict[str, float]:
            if self.clock.now > 1000 + 300:
                self.clock.now += later - 1
            return super().step(number, total)

    stage = Disturbed(clock, validation=2.5)
    stage.keep_at = (0.25, 0.5, 0.75, 0.9)
    run(stage, steps=None, seconds=1000, validations=4)
    assert 0.9 * 1000 < clock.now - 1000 <= 1.25 * 1000  # by the first two plans it would have been 450, or over 3,000
    assert len(list((tmp_path / "toy").glob("at*"))) == 4


@pytest.mark.parametrize("later", [0.25, 4.0])
def test_time_is_kept_where_nothing_is_validated_any_more(run, clock: SimpleNamespace, tmp_path: Path, later: float) -> None:
    class Disturbed(Timed):
        def step(self, number: int, total: int | None) -> dict[str, float]:
            if self.clock.now > 1000 + 650:
                self.clock.now += later - 1
            return super().step(number, total)

    stage = Disturbed(clock, validation=2.5)
    run(stage, steps=None, seconds=1000, validations=2)
    assert 0.95 * 1000 < clock.now - 1000 <= 1.03 * 1000  # by the plan of the only validation before it would have been 740, or 1,980
    assert rows(tmp_path)[1:] == [len(stage.steps)]


def test_the_second_plan_is_kept_too(run, clock: SimpleNamespace, tmp_path: Path) -> None:
    class Faster(Timed):
        def step(self, number: int, total: int | None) -> dict[str, float]:
            self.clock.now -= 0.5 if number >= 12 else 0
            return super().step(number, total)

    def stop(step: int) -> None:
        if step == 300:
            os.kill(os.getpid(), signal.SIGINT)

    first = Faster(clock, validation=1, before_step=stop)
    with pytest.raises(KeyboardInterrupt):
        run(first, steps=None, seconds=400, validations=2)
    planned = first.steps[-1][1]
    second = Faster(clock, validation=1)
    run(second, steps=None, seconds=1, validations=2)
    assert {total for _, total in second.steps} == {planned}
    assert len(rows(tmp_path)) == 2


def test_too_little_time_still_gives_a_network(run) -> None:
    stage = ToyStage()
    assert run(stage, steps=None, seconds=0.0, validations=3)["dice"] > 0
    assert len(stage.steps) == 14  # those that are measured, and one before each of two validations


def test_a_clock_that_stands_still_is_no_division_by_zero(run, monkeypatch) -> None:
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: 5.0))
    stage = ToyStage()
    run(stage, steps=None, seconds=1e-6, validations=1)
    assert len(stage.steps) >= 12


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
@pytest.mark.parametrize("limit", [{"steps": 8}, {"steps": None, "seconds": 0.0}])
def test_divergence_is_told_and_the_last_good_checkpoint_is_kept(run, tmp_path: Path, loss: float, limit: dict[str, Any]) -> None:
    class Diverging(ToyStage):
        def step(self, number: int, total: int | None) -> dict[str, float]:
            return super().step(number, total) | ({"loss": loss} if number == 5 else {})

    with pytest.raises(CrganError, match=r"diverged[\s\S]*step 5[\s\S]*net_optimisation\.learning_rate"):
        run(Diverging(), **limit)
    kept = tmp_path / "toy" / "last.safetensors"
    assert kept.exists() == (limit["steps"] is not None)


class TestSeveralProcesses:
    """Stand-ins for a process beside others; tests/end_to_end runs real ones."""

    @pytest.fixture
    def fabric(self) -> SimpleNamespace:
        return SimpleNamespace(
            is_global_zero=True,
            world_size=2,
            device="cpu",
            all_reduce=lambda tensor, **_: tensor,
            barrier=lambda: None,
            log_dict=lambda *_, **__: None,
        )

    def test_all_take_as_many_steps_as_they_have_measured_on_average(self, run, fabric: SimpleNamespace) -> None:
        fabric.all_reduce = lambda tensor, reduce_op: torch.full_like(tensor, 20) if reduce_op == "mean" else tensor
        stage = ToyStage()
        run(stage, fabric=fabric, steps=None, seconds=0.0)
        assert len(stage.steps) == 20

    def test_all_stop_where_one_is_stopped(self, run, tmp_path: Path, fabric: SimpleNamespace) -> None:
        asked: list[float] = []

        def all_reduce(tensor: torch.Tensor, reduce_op: str) -> torch.Tensor:
            if reduce_op == "mean":  # of figures
                return tensor
            asked.append(float(tensor))
            return tensor + (len(asked) == 3)  # the other one had Ctrl-C in its third step

        fabric.all_reduce = all_reduce
        stage = ToyStage()
        with pytest.raises(KeyboardInterrupt):
            run(stage, fabric=fabric)
        assert (asked, len(stage.steps)) == ([0, 0, 0], 3)
        assert (tmp_path / "toy" / "last.safetensors").exists()

    def test_only_the_first_one_writes(self, run, tmp_path: Path, fabric: SimpleNamespace) -> None:
        run(ToyStage())
        before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        for name in ("last", "previous"):
            (tmp_path / "toy" / f"{name}.safetensors").unlink()
        fabric.is_global_zero = False
        run(ToyStage(lambda step: 1 - step / 100), fabric=fabric)
        gone = {tmp_path / "toy" / f"{name}.safetensors" for name in ("last", "previous")}
        assert {path for path in tmp_path.rglob("*") if path.is_file()} == {*before} - gone
        assert all(path.read_bytes() == content for path, content in before.items() if path.exists())


def test_a_checkpoint_with_other_facts_is_of_another_version(run, tmp_path: Path) -> None:
    stage = ToyStage()
    loop.save_state(tmp_path / "toy" / "last.safetensors", stage.modules, stage.optimisers, {"epoch": 3})
    with pytest.raises(CrganError, match="another version"):
        run(stage)


def test_it_runs_in_a_thread_too(run) -> None:
    """Signals belong to the main thread; a notebook or a server may train in another."""
    found: list[dict[str, float]] = []
    thread = threading.Thread(target=lambda: found.append(run(ToyStage())))
    thread.start()
    thread.join()
    assert found[0]["step"] == 8


def test_progress_begins_where_the_run_was_stopped(run) -> None:
    class Counting(Silent):
        def __init__(self) -> None:
            self.counted: list[int] = []

        @contextmanager
        def task(self, name: str, total: int):
            assert (name, total) == ("toy", 8)
            yield SimpleNamespace(advance=lambda n=1, **_: self.counted.append(n), resize=lambda _: None)

    def interrupt(step: int) -> None:
        if step == 4:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(ToyStage(before_step=interrupt))
    progress = Counting()
    run(ToyStage(), progress=progress)
    assert (progress.counted[0], sum(progress.counted)) == (5, 8)
