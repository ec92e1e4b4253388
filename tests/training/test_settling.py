from __future__ import annotations

from pathlib import Path

import pytest

from crgan.config import load_config
from crgan.errors import CrganError
from crgan.model import Model
from crgan.planning import derive_settings
from crgan.training import settling
from crgan.training.settling import settle


@pytest.mark.parametrize("found", ["bf16-mixed", "32-true"])
def test_the_data_decide_on_sizes_and_the_device_on_the_precision(trained: Path, monkeypatch: pytest.MonkeyPatch, found: str) -> None:
    fingerprint = Model.load(trained).fingerprint
    monkeypatch.setattr(settling, "choose_precision", lambda name, _device: found if name == "auto" else name)
    settled = settle(load_config(), fingerprint)
    assert settled == derive_settings(load_config(), fingerprint).model_copy(update={"precision": found})
    assert settle(settled, fingerprint) == settled
    assert settle(load_config(precision="16-mixed"), fingerprint).precision == "16-mixed"


def test_a_device_that_is_not_there_is_told(trained: Path) -> None:
    with pytest.raises(CrganError, match="device cannot be used"):
        settle(load_config(device="nonsense"), Model.load(trained).fingerprint)
