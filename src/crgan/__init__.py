"""Conditional refinement GANs for medical images in which what matters is rare.

Everything public is reached from here and is imported when it is first used, so that ``import crgan`` is quick
and loads neither PyTorch nor NumPy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crgan.cases.case import Case, Dataset
    from crgan.cases.integrity import check_cases as check
    from crgan.cases.layouts import open_dataset
    from crgan.config import Config, load_config
    from crgan.ensemble import load_model
    from crgan.errors import CrganError
    from crgan.evaluation.compare import compare
    from crgan.evaluation.evaluate import evaluate
    from crgan.inference.calibrate import calibrate
    from crgan.inference.predict import predict
    from crgan.model import Model
    from crgan.study.run import run_study as study
    from crgan.training.ensemble import train_ensemble
    from crgan.training.run import train

__all__ = [
    "Case",
    "Config",
    "CrganError",
    "Dataset",
    "Model",
    "calibrate",
    "check",
    "compare",
    "evaluate",
    "load_config",
    "load_model",
    "open_dataset",
    "predict",
    "study",
    "train",
    "train_ensemble",
]

# Where each public name lives: module, and its name there.
_HOMES = {
    "Case": ("crgan.cases.case", "Case"),
    "Config": ("crgan.config", "Config"),
    "CrganError": ("crgan.errors", "CrganError"),
    "Dataset": ("crgan.cases.case", "Dataset"),
    "Model": ("crgan.model", "Model"),
    "calibrate": ("crgan.inference.calibrate", "calibrate"),
    "check": ("crgan.cases.integrity", "check_cases"),
    "compare": ("crgan.evaluation.compare", "compare"),
    "evaluate": ("crgan.evaluation.evaluate", "evaluate"),
    "load_config": ("crgan.config", "load_config"),
    "load_model": ("crgan.ensemble", "load_model"),
    "open_dataset": ("crgan.cases.layouts", "open_dataset"),
    "predict": ("crgan.inference.predict", "predict"),
    "study": ("crgan.study.run", "run_study"),
    "train": ("crgan.training.run", "train"),
    "train_ensemble": ("crgan.training.ensemble", "train_ensemble"),
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("crgan")
    if name not in _HOMES:
        message = f"module 'crgan' has no attribute {name!r}; it has {', '.join(__all__)}"
        raise AttributeError(message)
    module, attribute = _HOMES[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
