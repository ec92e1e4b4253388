from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from crgan import __version__
from crgan.cases.case import Dataset
from crgan.cases.phantom import write_brains
from crgan.cli import app
from crgan.conformal import Guarantee, Promise
from crgan.errors import Problem, fail
from crgan.interruption import Stopped


@pytest.fixture
def crgan(monkeypatch):
    """Run the command line in this process; wide enough that no line is broken."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def calls(monkeypatch):
    """Stand in for a function of the API: what it was called with, and what it gives or raises."""

    def stand_in(target: str, result: object = None) -> SimpleNamespace:
        record = SimpleNamespace(args=None, kwargs=None)

        def function(*args: object, **kwargs: object) -> object:
            record.args, record.kwargs = args, kwargs
            if isinstance(result, BaseException):
                raise result
            return result

        monkeypatch.setattr(target, function)
        return record

    return stand_in


def test_help_answers_within_a_third_of_a_second() -> None:
    command = [sys.executable, "-c", "from crgan.cli import main; main()", "--help"]
    spent = []
    for _ in range(5):
        before = os.times()  # processor time of children: how busy the machine is otherwise does not count
        shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        after = os.times()
        spent.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert min(spent) < 0.3
    assert all(name in shown for name in ("check", "train", "predict", "evaluate", "demo", "phantom"))


def test_every_command_says_what_it_does(crgan) -> None:
    for words in (
        ["check"],
        ["train"],
        ["predict"],
        ["evaluate"],
        ["demo"],
        ["download"],
        ["phantom"],
        *(["phantom", kind] for kind in ("brain", "liver", "cells")),
    ):
        shown = crgan(*words, "--help")
        assert shown.exit_code == 0
        assert shown.output.splitlines()[2].strip().endswith(".")


def test_version(crgan) -> None:
    assert crgan("--version").output == f"crgan {__version__}\n"


def test_an_unknown_option_is_a_users_mistake(crgan) -> None:
    result = crgan("train", "DATA", "--out", "RUN", "--epochs", "3")
    assert result.exit_code == 2
    assert "--epochs" in result.output


def test_a_mistake_is_explained_without_a_traceback(crgan, calls) -> None:
    calls("crgan.cases.layouts.open_dataset", fail("The folder is empty.", where="DATA", fix="give a folder with images"))
    result = crgan("check", "DATA")
    assert result.exit_code == 2
    assert result.stderr.splitlines() == ["error: The folder is empty.", "  where:    DATA", "  fix:      give a folder with images"]
    assert result.stdout == ""


def test_a_fault_of_ours_keeps_its_traceback(crgan, calls) -> None:
    calls("crgan.cases.layouts.open_dataset", ZeroDivisionError("ours"))
    assert isinstance(crgan("check", "DATA").exception, ZeroDivisionError)


def test_ctrl_c_exits_with_130(crgan, calls) -> None:
    calls("crgan.cases.layouts.open_dataset", KeyboardInterrupt())
    result = crgan("check", "DATA")
    assert (result.exit_code, result.stderr) == (130, "Stopped.\n")


@pytest.mark.parametrize(("number", "code"), [("SIGTERM", 143), ("SIGHUP", 129), ("SIGINT", 130)])
def test_a_signal_stops_every_command_cleanly(crgan, monkeypatch, number, code) -> None:
    signum = getattr(signal, number, None)
    if signum is None:
        pytest.skip("this system has no such signal")
    cleaned, before = [], signal.getsignal(signum)

    def working(*_: object, **__: object) -> None:
        try:
            os.kill(os.getpid(), signum)
        finally:
            cleaned.append(True)

    monkeypatch.setattr("crgan.cases.layouts.open_dataset", working)
    result = crgan("check", "DATA")
    assert (result.exit_code, result.stderr, cleaned) == (code, "Stopped.\n", [True])
    assert signal.getsignal(signum) is before


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_what_the_system_refuses_is_explained_without_a_traceback(crgan, calls, number) -> None:
    calls("crgan.cases.layouts.open_dataset", OSError(number, os.strerror(number), "/mnt/far/p0.nii"))
    result = crgan("check", "DATA")
    assert result.exit_code == 2
    assert os.strerror(number) in result.stderr
    assert "/mnt/far/p0.nii" in result.stderr
    assert "network folder" in result.stderr


def test_a_file_of_ours_that_is_missing_keeps_its_traceback(crgan, calls) -> None:
    calls("crgan.cases.layouts.open_dataset", FileNotFoundError(errno.ENOENT, "No such file", "recipes/gone.yaml"))
    assert isinstance(crgan("check", "DATA").exception, FileNotFoundError)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("drawn") / "patients"
    write_brains(folder, count=2, shape=(32, 40, 36))
    return folder


class TestCheck:
    @pytest.fixture
    def folder(self, drawn: Path, tmp_path: Path) -> Path:
        return shutil.copytree(drawn, tmp_path / "patients")

    def test_a_good_folder_is_described(self, crgan, folder: Path) -> None:
        result = crgan("check", folder)
        assert result.exit_code == 0
        assert "0 errors" in result.stdout
        for word in ("t1ce", "flair", "WT", "36 × 40 × 32 voxels"):
            assert word in result.stdout

    def test_a_bad_file_is_an_error(self, crgan, folder: Path) -> None:
        broken = folder / "brain_001" / "brain_001_t2.nii.gz"
        broken.write_bytes(broken.read_bytes()[:1000])
        result = crgan("check", folder)
        assert result.exit_code == 1
        assert "brain_001_t2.nii.gz" in result.stdout
        assert "error: " in result.stdout
        assert "1 errors" in result.stdout

    def test_images_alone_are_enough_to_predict(self, crgan, folder: Path, tmp_path: Path) -> None:
        for path in folder.glob("*/*_seg.nii.gz"):
            path.unlink()
        (folder / "labels.json").rename(tmp_path / "labels.json")
        result = crgan("check", folder)
        assert result.exit_code == 0
        assert "No case has a label: enough to predict, not to train." in result.stdout

    def test_json_holds_the_same(self, crgan, folder: Path, tmp_path: Path) -> None:
        broken = folder / "brain_001" / "brain_001_t2.nii.gz"
        broken.write_bytes(broken.read_bytes()[:1000])
        assert crgan("check", folder, "--json", tmp_path / "found.json").exit_code == 1
        found = json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))
        assert set(found["modalities"]) == {"t1", "t1ce", "t2", "flair"}
        assert found["labels"]["regions"]["ET"]
        assert [problem["severity"] for problem in found["problems"]] == ["error"]
        assert found["problems"][0]["where"].endswith("brain_001_t2.nii.gz")
        assert "brain_000" in {case["case_id"] for case in found["cases"]}

    @pytest.mark.parametrize("name", ["cases.json", "cases.csv"])
    def test_the_cases_can_be_listed_and_checked_by_that_list(self, crgan, folder: Path, tmp_path: Path, name: str) -> None:
        result = crgan("check", folder, "--write-manifest", tmp_path / name)
        assert result.exit_code == 0
        assert ("A CSV file has no place" in result.stdout) == (name == "cases.csv")
        again = crgan("check", tmp_path / name).stdout
        assert "0 errors" in again
        assert ("WT" in again) == (name == "cases.json")


class TestTrain:
    @pytest.fixture
    def load_config(self, calls) -> SimpleNamespace:
        return calls("crgan.config.load_config", "the config")

    def test_options_become_settings(self, crgan, calls, load_config) -> None:
        train = calls("crgan.training.run.train", Path("RUN"))
        result = crgan(
            *("train", "DATA", "--out", "RUN", "--recipe", "paper", "--system", "rnn-unet", "--steps", 7, "--seed", 3),
            *("--split", "S.json", "--fold", 0),
            *("--device", "cpu", "--precision", "32-true", "--threads", 2, "--layout", "msd", "--pattern", "P", "--group", "G"),
            *("--set", "depth=3", "--set", "planes=axial"),
        )
        assert result.exit_code == 0, result.output
        assert load_config.kwargs == {
            "recipe": "paper",
            "overrides": ["depth=3", "planes=axial"],
            "system": "rnn-unet",
            "steps": 7,
            "seed": 3,
            "minutes": None,
            "device": "cpu",
            "precision": "32-true",
            "threads": 2,
            "data.split": Path("S.json"),
            "data.fold": 0,
            "data.layout": "msd",
            "data.pattern": "P",
            "data.group": "G",
        }
        assert train.args == (Path("DATA"), Path("RUN"))
        progress = train.kwargs.pop("progress")
        assert train.kwargs == {"config": "the config", "resume": False, "overwrite": False, "init": None, "scheduler": None}
        assert progress.note("heard") is None
        assert result.stdout == "Trained: RUN\n"

    def test_an_ensemble_is_trained_by_one_option(self, crgan, calls, load_config) -> None:
        train = calls("crgan.training.ensemble.train_ensemble", Path("RUN"))
        assert crgan("train", "DATA", "--out", "RUN", "--steps", 9, "--ensemble", 3, "--resume").exit_code == 0
        assert (train.args, train.kwargs["members"], train.kwargs["resume"]) == ((Path("DATA"), Path("RUN")), 3, True)
        assert crgan("train", "DATA", "--out", "RUN", "--ensemble", 1).exit_code == 2

    def test_what_is_not_given_is_left_to_the_recipe(self, crgan, calls, load_config) -> None:
        train = calls("crgan.training.run.train", Path("RUN"))
        assert crgan("train", "DATA", "--out", "RUN", "--init", "OLD", "--overwrite").exit_code == 0
        given = {name: value for name, value in load_config.kwargs.items() if value is not None}
        assert given == {"recipe": "default", "overrides": ()}
        assert (train.kwargs["init"], train.kwargs["overwrite"], train.kwargs["resume"]) == (Path("OLD"), True, False)

    @pytest.mark.parametrize("pair", [["--minutes", "1", "--steps", "2"], ["--resume", "--overwrite"]])
    def test_options_that_exclude_each_other(self, crgan, pair) -> None:
        result = crgan("train", "DATA", "--out", "RUN", *pair)
        assert result.exit_code == 2
        assert all(word.lstrip("-") in result.stderr for word in pair if word.startswith("--"))

    @pytest.mark.parametrize(("stop", "code"), [(KeyboardInterrupt(), 130), (Stopped(2), 130), (Stopped(15), 143)])
    def test_a_stopped_training_says_how_to_go_on(self, crgan, calls, load_config, monkeypatch, stop, code) -> None:
        calls("crgan.training.run.train", stop)
        words = ["train", "my data", "--out", "RUN", "--seed", "3"]
        monkeypatch.setattr(sys, "argv", ["/somewhere/crgan", *words, "--overwrite"])
        result = crgan(*words, "--overwrite")
        assert result.exit_code == code
        assert result.stderr == "Stopped; `crgan train 'my data' --out RUN --seed 3 --resume` goes on.\n"


class TestCalibrate:
    def test_what_is_promised_is_said_in_figures_and_in_words(self, crgan, calls) -> None:
        guarantee = Guarantee(sensitivity=0.75, patients=20, marked=0.0123, missed=0.045)
        calibrate = calls("crgan.inference.calibrate.calibrate", Promise(max_fnr=0.1, per="lesion", targets={"core": guarantee}))
        result = crgan("calibrate", "my run", "DATA", "--max-fnr", 0.1, "--per", "lesion", "--cases", "a,b", "--threads", 1)
        assert result.exit_code == 0, result.output
        assert calibrate.args == (Path("my run"), Path("DATA"))
        calibrate.kwargs.pop("progress")
        assert calibrate.kwargs == {
            "max_fnr": 0.1,
            "per": "lesion",
            "cases": ("a", "b"),
            "device": "auto",
            "threads": 1,
            "layout": None,
            "pattern": None,
            "group": None,
        }
        words = " ".join(result.stdout.split())
        assert "core 20 0.750 0.045 0.0123" in words
        assert "Among new patients who have core, the set misses at most 10 % of its lesions on average" in words
        assert "crgan predict 'my run' IMAGES --out MASKS --max-fnr 0.1 --per lesion" in words


class TestPredict:
    def test_options_are_handed_over(self, crgan, calls) -> None:
        predict = calls("crgan.inference.predict.predict", [Path("MASKS/a.nii.gz")])
        result = crgan(
            *("predict", "RUN", "IMAGES", "--out", "MASKS", "--fn-threshold", 0.3, "--fp-threshold", 0.8, "--errors"),
            *("--cases", "a, b", "--device", "cpu", "--threads", 1, "--naming", "brats", "--tta", 3, "--resume", "--precision", "auto"),
            *("--workers", 2, "--scheduler", "tcp://here:1", "--compile"),
        )
        assert result.exit_code == 0, result.output
        assert predict.args == (Path("RUN"), Path("IMAGES"), Path("MASKS"))
        predict.kwargs.pop("progress")
        assert predict.kwargs == {
            "aim": None,
            "fn_threshold": 0.3,
            "fp_threshold": 0.8,
            "generator_only": False,
            "probabilities": False,
            "errors": True,
            "where_to_look": False,
            "tta": 3,
            "max_fnr": None,
            "per": "voxel",
            "naming": "brats",
            "dicom_seg": False,
            "overwrite": False,
            "resume": True,
            "cases": ("a", "b"),
            "device": "cpu",
            "threads": 1,
            "compiled": True,
            "precision": "auto",
            "workers": 2,
            "scheduler": "tcp://here:1",
            "layout": None,
            "pattern": None,
            "group": None,
        }
        assert result.stdout == "1 masks written to MASKS\n"

    def test_several_runs_are_averaged(self, crgan, calls) -> None:
        predict = calls("crgan.inference.predict.predict", [])
        assert crgan("predict", "RUN", "OTHER", "IMAGES", "--out", "MASKS").exit_code == 0
        assert predict.args == ([Path("RUN"), Path("OTHER")], Path("IMAGES"), Path("MASKS"))

    def test_the_dial_follows_an_aim_or_numbers_for_each_target(self, crgan, calls) -> None:
        predict = calls("crgan.inference.predict.predict", [])
        assert crgan("predict", "RUN", "IMAGES", "--out", "MASKS", "--aim", "max-fnr=0.1").exit_code == 0
        assert (predict.kwargs["aim"], predict.kwargs["fn_threshold"]) == ("max-fnr=0.1", None)
        each = ("--fn-threshold", "WT=0.3", "--fn-threshold", "ET=0.2")
        assert crgan("predict", "RUN", "IMAGES", "--out", "MASKS", *each).exit_code == 0
        assert predict.kwargs["fn_threshold"] == {"WT": 0.3, "ET": 0.2}

    def test_the_device_is_chosen_by_itself(self, crgan, calls) -> None:
        predict = calls("crgan.inference.predict.predict", [])
        assert crgan("predict", "RUN", "IMAGES", "--out", "MASKS", "--generator-only").exit_code == 0
        assert (predict.kwargs["device"], predict.kwargs["cases"], predict.kwargs["generator_only"]) == ("auto", None, True)

    @pytest.mark.parametrize(("part", "ids"), [("test", ("c",)), ("train", ("a", "b"))])
    def test_a_split_file_names_the_cases(self, crgan, calls, part, ids) -> None:
        predict = calls("crgan.inference.predict.predict", [])
        opened = calls("crgan.cases.layouts.open_dataset", "the data set")
        split = calls("crgan.cases.splits.read_split", SimpleNamespace(train=("a", "b"), test=("c",)))
        chosen = ("--split", "S.json", "--part", part, "--fold", 1, "--layout", "msd")
        assert crgan("predict", "RUN", "IMAGES", "--out", "MASKS", *chosen).exit_code == 0
        assert predict.kwargs["cases"] == ids
        assert (split.args, split.kwargs) == ((Path("S.json"), "the data set"), {"fold": 1})
        assert opened.kwargs["layout"] == "msd"

    def test_cases_and_split_exclude_each_other(self, crgan) -> None:
        result = crgan("predict", "RUN", "IMAGES", "--out", "MASKS", "--cases", "a", "--split", "S.json")
        assert result.exit_code == 2
        assert "--cases" in result.stderr

    @pytest.mark.parametrize("option", ["--fn-threshold=1.5", "--fp-threshold=-0.1", "--part=validation", "--threads=0"])
    def test_values_out_of_range_are_refused(self, crgan, option) -> None:
        result = crgan("predict", "RUN", "IMAGES", "--out", "MASKS", option)
        assert result.exit_code == 2
        assert option.split("=")[0] in result.output


def test_phantom_brain_writes_patients(crgan, tmp_path: Path) -> None:
    result = crgan("phantom", "brain", "--out", tmp_path / "patients", "-n", 1, "--shape", 32, 40, 36, "--seed", 5)
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (tmp_path / "patients").iterdir()) == ["brain_000", "labels.json"]
    assert f"1 patients written to {tmp_path / 'patients'}" in result.stdout


def test_phantoms_are_written_in_the_layout_that_was_asked_for(crgan, tmp_path: Path) -> None:
    result = crgan("phantom", "liver", "--out", tmp_path / "livers", "-n", 1, "--shape", 32, 32, 32, "--layout", "lits")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (tmp_path / "livers").iterdir()) == ["segmentation-0.nii", "volume-0.nii"]
    result = crgan(
        "phantom", "cells", "--out", tmp_path / "cells", "-n", 1, "--shape", 32, 40, "--frames", 2, "--slices", 4, "--layout", "ctc"
    )
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (tmp_path / "cells" / "01").iterdir()) == ["t000.tif", "t001.tif"]
    assert "1 movies written" in result.stdout


def test_a_layout_for_other_phantoms_is_a_users_mistake(crgan, tmp_path: Path) -> None:
    result = crgan("phantom", "liver", "--out", tmp_path / "livers", "-n", 1, "--shape", 32, 32, 32, "--layout", "brats2021")
    assert result.exit_code == 2
    assert "lits" in result.stderr


def test_demo_prints_its_table_and_where_the_report_is(crgan, calls) -> None:
    run_demo = calls(
        "crgan.demo.run_demo",
        SimpleNamespace(title="4 unseen patients", columns=("region", "Dice"), rows=[("WT", "0.8")], report=Path("demo/report.html")),
    )
    result = crgan("demo", "--seed", 4, "--overwrite")
    assert result.exit_code == 0, result.output
    assert run_demo.args == (Path("demo"),)
    run_demo.kwargs.pop("progress")
    assert run_demo.kwargs == {"seed": 4, "threads": None, "overwrite": True}
    assert "4 unseen patients" in result.stdout
    assert result.stdout.endswith("Look at demo/report.html\n")


def test_warnings_alone_do_not_stop(crgan, calls) -> None:
    problems = [Problem(what="The image is constant.", severity="warning")]
    calls("crgan.cases.integrity.check_cases", ([], problems))
    calls("crgan.cases.layouts.open_dataset", Dataset(root=Path("DATA"), layout="msd", cases=(), modalities=("ct",), labels=None))
    result = crgan("check", "DATA")
    assert result.exit_code == 0
    assert "warning: The image is constant." in result.stdout
    assert "0 errors, 1 warnings" in result.stdout


def write_scores(folder: Path, dice: float) -> Path:
    from crgan.evaluation.scores import Scores

    cases = {f"p{number}": {"lesion": {"dice": dice + 0.01 * number}} for number in range(7)}
    Scores.of(cases, patients={case: case for case in cases}).write_json(folder / "scores.json")
    return folder


def test_compare_prints_differences_and_ranks_and_writes_them(crgan, tmp_path: Path) -> None:
    one, other = write_scores(tmp_path / "unet", 0.6), write_scores(tmp_path / "full", 0.7)
    files = ("--json", tmp_path / "comparison.json", "--html", tmp_path / "comparison.html")
    result = crgan("compare", one, f"refined={other / 'scores.json'}", *files)
    assert result.exit_code == 0
    assert "refined is ahead with 0.730" in (tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert "refined − unet" in result.output
    assert "+0.100 [+0.100, +0.100]" in result.output
    assert "7 cases of 7 patients" in result.output
    data = json.loads((tmp_path / "comparison.json").read_text())
    assert data["differences"][0]["wilcoxon_holm"] == pytest.approx(2 / 2**7)
    assert [rank["system"] for rank in data["ranking"]["dice"]["lesion"]] == ["refined", "unet"]


def test_compared_systems_need_different_names(crgan, tmp_path: Path) -> None:
    folders = [write_scores(tmp_path / side / "scores", 0.6) for side in "ab"]
    result = crgan("compare", *folders)
    assert result.exit_code == 2
    assert "same name" in result.output
    assert crgan("compare", folders[0] / "scores.json", f"b={folders[1]}").exit_code == 0


def test_options_of_evaluate_are_handed_over(crgan, calls, tmp_path: Path) -> None:
    from crgan.evaluation.scores import Scores

    call = calls("crgan.evaluation.evaluate.evaluate", Scores.of({}, patients={}))
    assert crgan("evaluate", "m", "l", "--out", tmp_path).exit_code == 0
    assert (call.kwargs["images"], call.kwargs["tolerance_mm"], call.kwargs["lesion_splits_mm"], call.kwargs["without"]) == (
        None,
        1,
        (10,),
        (),
    )
    words = ["--images", "i", "--tolerance", "2", "--lesion-split", "5", "--lesion-split", "15", "--without", "lesions"]
    assert crgan("evaluate", "m", "l", "--out", tmp_path, *words).exit_code == 0
    assert (call.kwargs["images"], call.kwargs["tolerance_mm"]) == (Path("i"), 2)
    assert (call.kwargs["lesion_splits_mm"], call.kwargs["without"]) == ([5, 15], ["lesions"])
