"""Any other folder, described by a pattern of file names: ``{patient}/{case}_{modality}.nii.gz``."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from crgan.cases.case import Case
from crgan.cases.files import IMAGE_SUFFIXES, is_image, split_suffix
from crgan.cases.layouts.found import Found, channel_names, sorted_names
from crgan.cases.layouts.label_words import strip_label_word
from crgan.errors import fail

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}|(\*)")
_NAMES = ("patient", "case", "modality")
_SINGLE = "image"
_HELP = "docs/layouts.md tells how patterns are written"


@dataclass(frozen=True, slots=True)
class _Match:
    path: Path
    fields: dict[str, str]

    @property
    def case_id(self) -> str:
        return self.fields.get("case") or self.fields.get("patient") or split_suffix(self.path)[0]

    @property
    def patient_id(self) -> str:
        return self.fields.get("patient") or self.case_id


class Pattern:
    """Files named by a pattern of image files and, after a semicolon, one of label files.

    Parameters
    ----------
    pattern
        Paths relative to the data set's folder with ``{patient}``, ``{case}``, ``{modality}`` and ``*`` in place of
        what differs; each stands for one or more characters of a name. A placeholder that occurs twice stands for
        the same text. Without a label pattern, a modality that is a label word (``seg``, ``gt`` …) is the label.

    Raises
    ------
    CrganError
        If the pattern has an unknown placeholder, or none.
    """

    name = "pattern"

    def __init__(self, pattern: str) -> None:
        self.expects = f"files named {pattern}"
        parts = [part.strip() for part in pattern.split(";")]
        if len(parts) > 2:
            raise fail("The pattern has more than two parts.", where=pattern, expected="IMAGES or IMAGES;LABELS", fix=_HELP)
        self._images = _compile(parts[0])
        self._labels = _compile(parts[1]) if len(parts) == 2 else None

    def detect(self, root: Path) -> bool:
        """Whether any file has such a name."""
        return bool(_matches(root, self._images))

    def cases(self, root: Path) -> Found:
        """Find the cases whose files match."""
        images = _matches(root, self._images)
        if self._labels is not None:
            labels = _matches(root, self._labels)
            taken = {match.path for match in labels}
            images = [match for match in images if match.path not in taken]
        else:
            labels = [match for match in images if _is_label(match)]
            images = [match for match in images if not _is_label(match)]
        label_by_case = {match.case_id: match for match in labels}
        groups: dict[str, list[_Match]] = defaultdict(list)
        for match in images:
            groups[match.case_id].append(match)
        modalities = sorted_names(match.fields.get("modality", _SINGLE) for match in images)
        cases = [_case(members, modalities, label_by_case.get(case_id)) for case_id, members in groups.items()]
        if modalities == (_SINGLE,):
            modalities = channel_names([match.path for match in images])
        return Found(cases=tuple(case for group in cases for case in group), modalities=modalities)


def _compile(pattern: str) -> re.Pattern[str]:
    """Turn a pattern into a regular expression over relative paths with forward slashes."""
    seen: set[str] = set()
    expression, end = "", 0
    for match in _PLACEHOLDER.finditer(pattern):
        expression += re.escape(pattern[end : match.start()])
        end = match.end()
        name = match[1]
        if match[2]:
            expression += "[^/]+"
        elif name not in _NAMES:
            expected = ", ".join(f"{{{known}}}" for known in _NAMES)
            raise fail("The pattern has an unknown placeholder.", where=pattern, expected=expected, got=f"{{{name}}}", fix=_HELP)
        elif name in seen:
            expression += f"(?P={name})"
        else:
            seen.add(name)
            expression += f"(?P<{name}>[^/]+)"
    if not seen & {"patient", "case"}:
        raise fail("The pattern does not tell cases apart.", where=pattern, expected="{case} or {patient} in it", fix=_HELP)
    expression += re.escape(pattern[end:])
    if not pattern.lower().endswith(IMAGE_SUFFIXES):
        expression += "(?:" + "|".join(re.escape(suffix) for suffix in sorted(IMAGE_SUFFIXES, key=len, reverse=True)) + ")"
    return re.compile(expression)


def _matches(root: Path, expression: re.Pattern[str]) -> list[_Match]:
    """Image files below the folder whose relative path matches, sorted."""
    if not root.is_dir():
        return []
    found = []
    for path in sorted(root.rglob("*")):
        match = expression.fullmatch(path.relative_to(root).as_posix())
        if match is not None and is_image(path) and path.is_file():
            found.append(_Match(path, match.groupdict()))
    return found


def _is_label(match: _Match) -> bool:
    word = match.fields.get("modality") or split_suffix(match.path)[0]
    return strip_label_word(word) is not None


def _case(members: list[_Match], modalities: tuple[str, ...], label: _Match | None) -> list[Case]:
    """The case of some files; several if two files claim the same modality, which the integrity check reports."""
    by_modality: dict[str, list[Path]] = defaultdict(list)
    for match in members:
        by_modality[match.fields.get("modality", _SINGLE)].append(match.path)
    copies = max(len(paths) for paths in by_modality.values())
    first = members[0]
    cases = []
    for copy in range(copies):
        images = []
        for modality in modalities:
            paths = by_modality.get(modality) or [_expected(first, modality)]
            images.append(paths[min(copy, len(paths) - 1)])
        cases.append(
            Case(case_id=first.case_id, patient_id=first.patient_id, images=tuple(images), label=label.path if label is not None else None)
        )
    return cases


def _expected(match: _Match, modality: str) -> Path:
    """Where a missing modality would be, judged by the name of one that is there."""
    own = match.fields.get("modality", "")
    return match.path.with_name(modality.join(match.path.name.rsplit(own, 1))) if own else match.path
