"""nnU-Net beside us, for the benchmarks that compare with it: it lives in an environment of its own and is run by its own Python.

python -m venv NNUNET; NNUNET/bin/pip install torch==2.13.0 nnunetv2
"""

from __future__ import annotations

import os
from pathlib import Path

# Begins every script for nnU-Net's Python.
TRAINER = """
import json, sys, time, torch
from batchgenerators.utilities.file_and_folder_operations import join, load_json, maybe_mkdir_p, save_json
from nnunetv2.paths import nnUNet_preprocessed
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

def read_plans(dataset):
    folder = join(nnUNet_preprocessed, dataset)
    return load_json(join(folder, "nnUNetPlans.json")) | {"continue_training": False}, load_json(join(folder, "dataset.json"))

def make_trainer(plans, description, configuration, fold):
    trainer = nnUNetTrainer(plans, configuration, fold, description, torch.device("cpu"))
    trainer.initialize()
    return trainer

def begin(trainer):
    trainer.on_train_start()
    trainer.network.train()

def end_workers(trainer):  # or they would outlive the training
    for loader in (trainer.dataloader_train, trainer.dataloader_val):
        if hasattr(loader, "_finish"):
            loader._finish()
"""


# How many processes augment, of a training alone: planning fails if it is 0.
WORKERS = "nnUNet_n_proc_DA"


def environment(work: Path, *, threads: int) -> dict[str, str]:
    """Environment variables: nnU-Net's folders below ``work``, and threads."""
    folders = {f"nnUNet_{name}": str(work / name) for name in ("raw", "preprocessed", "results")}
    return os.environ | dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads)) | folders
