"""highdicom and pydicom, which only some DICOM files need: an optional dependency, ``crgan[dicom]``."""

from __future__ import annotations

import logging
from typing import Any

from crgan.errors import fail


def load_highdicom(what: str) -> Any:
    """Import highdicom, silent about headers: what it and pydicom would say about an odd value quotes the value.

    Parameters
    ----------
    what
        What it is needed for, to begin a sentence with.

    Raises
    ------
    CrganError
        If it is not installed, with the line that installs it.
    """
    try:
        import highdicom
        import pydicom
    except ImportError as error:
        raise fail(f"{what} needs highdicom, which is not installed.", got=str(error), fix='pip install "crgan[dicom]"') from error
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    for name in ("pydicom", "highdicom"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    loaded: Any = highdicom
    return loaded
