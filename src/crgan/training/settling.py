"""The settings that a run keeps wherever it goes on: what the user left open, decided once."""

from __future__ import annotations

from crgan.config import Config
from crgan.machine import choose_device, choose_precision
from crgan.planning import derive_settings
from crgan.preprocessing.fingerprint import Fingerprint


def settle(config: Config, fingerprint: Fingerprint) -> Config:
    """Decide by the training data on sizes and shares, and by the device on the precision.

    Parameters
    ----------
    config
        Settings with ``None`` where the data decide, and ``"auto"`` where the device does.
    fingerprint
        Of the prepared training cases.

    Raises
    ------
    CrganError
        If the device that the settings name is not there.
    """
    precision = choose_precision(config.precision, choose_device(config.device))
    return derive_settings(config, fingerprint).model_copy(update={"precision": precision})
