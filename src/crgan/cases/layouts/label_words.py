"""Words in file names: which file is a label, which names are modalities, which are time points."""

from __future__ import annotations

import re

_SEPARATOR = r"[_\-. ]"
_LABEL_WORD = r"(?:[a-z]*seg(?:mentation)?s?|gt|ground_?truth|lesions?|masks?|msk|labels?|roi|truth|annotations?|manual)"
_LABEL = re.compile(rf"^(?:(?P<base>.*?){_SEPARATOR})?{_LABEL_WORD}(?:{_SEPARATOR}(?:{_LABEL_WORD}|final|consensus))*$", re.IGNORECASE)
_MODALITY = re.compile(
    r"^(?:t1|t2|t2\*|t2s|t2star|pd|flair|dwi|adc|swi|dir|asl|mra|mprage|dti|cbf|cbv|mtt|tmax|ct|cta|cbct|pet|suv|mri?|us)"
    r"(?:[-]?(?:w|c|n|f|ce|gd|post|pre|contrast|flair|map|res))?$",
    re.IGNORECASE,
)
_TIME_POINT = re.compile(r"^(?:frame|time|timepoint|tp|visit|ses|session|scan|phase|day|week|month|year|slice|sl|z)?-?\d+$", re.IGNORECASE)
_HELPER = re.compile(rf"^(?:.*{_SEPARATOR})?(?:brain|bet|skull|head|body)[_\-]?mask$", re.IGNORECASE)
_LAST_TOKEN = re.compile(rf"^(?P<base>.+){_SEPARATOR}(?P<token>[^_\-. ]+)$")


def strip_label_word(stem: str) -> str | None:
    """What remains of a label file's stem: ``"p1_gmseg_manual"`` gives ``"p1"``, ``"seg"`` gives ``""``.

    None if the stem is not that of a label.
    """
    match = _LABEL.match(stem)
    return None if match is None else match["base"] or ""


def is_helper(stem: str) -> bool:
    """Whether a file is neither image nor label but a by-product, such as ``p1_brainmask``."""
    return _HELPER.match(stem) is not None


def is_modality(word: str) -> bool:
    """Whether a word is a well-known modality, such as ``T1ce``, ``FLAIR`` or ``ct``."""
    return _MODALITY.match(word) is not None


def is_time_point(word: str) -> bool:
    """Whether a word tells examinations apart, not modalities: ``frame01``, ``visit2``, ``003``."""
    return _TIME_POINT.match(word) is not None


def split_token(stem: str) -> tuple[str, str] | None:
    """Cut the last word off a stem: ``"p1_frame01"`` gives ``("p1", "frame01")``; None if it is a single word."""
    match = _LAST_TOKEN.match(stem)
    return None if match is None else (match["base"], match["token"])
