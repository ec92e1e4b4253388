"""Any other folder, described by a pattern of file names: ``{patient}/{case}_{modality}.nii.gz``."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from crgan.cases.case import Case
from crgan.cases.files import IMAGE_SUFFIXES, is_image
from crgan.cases.layouts.found import Found, channel_names, distinct_ids, sorted_names, two_labels
from crgan.cases.layouts.label_words import strip_label_word
from crgan.errors import fail

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}|\*")
_NAMES = ("patient", "case", "modality")
_SINGLE = "image"
_HELP = "docs/layouts/pattern.md tells how patterns are written"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Named:
    """A file and what the placeholders stand for in its path relative to the data set's folder."""

    root: Path
    relative: str
    fields: dict[str, str]
    modality_span: tuple[int, int] | None

    @property
    def path(self) -> Path:
        return self.root / self.relative

    @property
    def case_id(self) -> str:
        return self.fields.get("case") or self.fields["patient"]

    @property
    def patient_id(self) -> str:
        return self.fields.get("patient") or self.fields["case"]

    @property
    def modality(self) -> str:
        return self.fields.get("modality", _SINGLE)

    def sibling(self, modality: str) -> Path:
        """Where the same case's file of another modality would be."""
        start, end = self.modality_span or (0, 0)
        return self.root / (self.relative[:start] + modality + self.relative[end:])


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
        If the pattern has an unknown placeholder, or does not tell cases apart.
    """

    name = "pattern"

    def __init__(self, pattern: str) -> None:
        self.expects = f"files named {pattern}"
        images, *labels = (part.strip() for part in pattern.split(";"))
        if len(labels) > 1:
            raise fail("The pattern has more than two parts.", where=pattern, expected="IMAGES or IMAGES;LABELS", fix=_HELP)
        self._images = _compile(images)
        self._labels = _compile(labels[0]) if labels else None
        # What image and label have in common tells which belong together.
        self._shared = [
            name for name in ("patient", "case") if name in self._images.groupindex and name in (self._labels or self._images).groupindex
        ]
        if not self._shared:
            raise fail("Images and labels have no placeholder in common.", where=pattern, expected="{case} in both parts", fix=_HELP)

    def detect(self, root: Path) -> bool:
        """Whether any file has such a name."""
        return bool(_matches(root, self._images))

    def cases(self, root: Path) -> Found:
        """Find the cases whose files match.

        Raises
        ------
        CrganError
            If two files are the same modality of a case.
        """
        images = _matches(root, self._images)
        if self._labels is not None:
            labels = _matches(root, self._labels)
            taken = {label.path for label in labels}
            images = [image for image in images if image.path not in taken]
        else:
            labels = [image for image in images if strip_label_word(image.modality) is not None]
            images = [image for image in images if strip_label_word(image.modality) is None]
        ambiguous = two_labels([("/".join(self._key(label)), label.path) for label in labels])
        label_by_key = {self._key(label): label.path for label in labels}
        groups: dict[tuple[str, str], dict[str, _Named]] = defaultdict(dict)
        for image in images:
            members = groups[image.patient_id, image.case_id]
            if image.modality in members:
                raise fail(
                    f"Two files are the image {image.modality} of case {image.case_id}.",
                    where=root,
                    expected="one",
                    got=f"{members[image.modality].relative}, {image.relative}",
                    fix="write a pattern that tells them apart",
                )
            members[image.modality] = image
        modalities = sorted_names(image.modality for image in images)
        cases = []
        for (patient_id, case_id), members in groups.items():
            first = next(iter(members.values()))
            paths = tuple(members[name].path if name in members else first.sibling(name) for name in modalities)
            cases.append(Case(case_id=case_id, patient_id=patient_id, images=paths, label=label_by_key.get(self._key(first))))
        if modalities == (_SINGLE,):
            modalities = channel_names([image.path for image in images])
        return Found(cases=distinct_ids(cases), modalities=modalities, ambiguous=ambiguous)

    def _key(self, named: _Named) -> tuple[str, ...]:
        return tuple(named.fields[name] for name in self._shared)


def _compile(pattern: str) -> re.Pattern[str]:
    """Turn a pattern into a regular expression over relative paths with forward slashes."""
    seen: set[str] = set()
    expression, end = "", 0
    for match in _PLACEHOLDER.finditer(pattern):
        expression += re.escape(pattern[end : match.start()])
        end = match.end()
        name = match[1]
        if name is None:
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


def _matches(root: Path, expression: re.Pattern[str]) -> list[_Named]:
    """Image files below the folder whose relative path matches, sorted."""
    found = []
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root).as_posix()
        match = expression.fullmatch(relative)
        if match is not None and is_image(path) and path.is_file():
            span = match.span("modality") if "modality" in expression.groupindex else None
            found.append(_Named(root=root, relative=relative, fields=match.groupdict(), modality_span=span))
    return found
