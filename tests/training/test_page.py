from __future__ import annotations

import base64
import re
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crgan.config import Config
from crgan.model import Model
from crgan.training.run import train

MakeConfig = Callable[..., Config]


def pictures(page: str) -> list[Image.Image]:
    return [Image.open(BytesIO(base64.b64decode(data))) for data in re.findall(r"data:image/png;base64,([\w+/=]+)", page)]


@pytest.fixture(scope="module")
def page(patients: Path, small_config: MakeConfig, tmp_path_factory: pytest.TempPathFactory) -> str:
    run = train(patients, tmp_path_factory.mktemp("runs") / "run", config=small_config(steps=10))
    return (run / "report.html").read_text(encoding="utf-8")


def test_it_tells_who_was_trained_on_and_what_came_of_it(page: str) -> None:
    assert "Training of rnn-cgan+refinement" in page
    assert re.search(r"Patients: \d for training, \d for validation", page)
    assert re.search(r"The generator alone reached a Dice of 0\.\d{3}", page)
    assert re.search(r"With the refiner, and the dial at \(0\.5, 0\.5\), it reached a Dice of 0\.\d{3}", page)
    assert "the dial was set for the best Dice of each target" in page


def test_it_warns_of_its_own_figures(page: str) -> None:
    assert "so they flatter" in page


def test_it_lists_every_validation_and_draws_curves_and_patients(page: str) -> None:
    assert page.count('class="name">adversarial<') == page.count('class="name">refinement<') == 2
    assert len(re.findall(r"<svg[^>]*>", page)) >= 4  # three of the validations, and the dial's
    assert "Dice (higher is better), adversarial stage: from 0." in page
    (patients,) = pictures(page)
    assert len(np.unique(np.asarray(patients.convert("L")))) > 20


def test_systems_without_a_refiner_show_the_generator_alone(patients: Path, small_config: MakeConfig, tmp_path: Path, page: str) -> None:
    run = train(patients, tmp_path / "run", config=small_config(steps=4, system="unet"))
    alone = (run / "report.html").read_text(encoding="utf-8")
    assert "With the refiner" not in alone
    assert "with the refiner" not in alone
    assert pictures(alone)[0].width < pictures(page)[0].width


def test_temperatures_are_listed(trained: Path) -> None:
    page, found = (trained / "report.html").read_text(encoding="utf-8"), Model.load(trained).temperatures
    assert "Calibration of the probabilities" in page
    for network, each in (("generator", found.generator["whole"]), ("refiner", found.refiner["whole"])):
        assert re.search(rf"whole</t[dh]>\s*<t[dh][^>]*>{network}</t[dh]>\s*<td[^>]*>{each.value:.2f}<", page)


def test_the_dial_is_shown_with_its_curves(trained: Path) -> None:
    page, dial = (trained / "report.html").read_text(encoding="utf-8"), Model.load(trained).dial
    for target, setting in dial.settings.items():
        point = dial.curves[target].at(setting)
        cells = [f"{setting.p:g}", f"{setting.q:g}", "–" if point is None else f"{point.dice:.3f}"]
        assert re.search(rf"{target}</t[dh]>\s*" + r"\s*".join(rf"<td[^>]*>{re.escape(cell)}</td>" for cell in cells), page)
    for line in ("whole with the refiner: FNR from", "whole generator alone: FNR from"):
        assert line in page
