"""What happens to an image before the networks see it, and how their maps get back onto its grid."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from crgan.cases.case import Case, Dataset
from crgan.errors import fail
from crgan.preprocessing.fitting import fit_ct, fit_mr, fit_reference, fit_spacing
from crgan.preprocessing.prepared import Box, Prepared, PreparedGeometry, Spacing, three_lengths, three_sizes
from crgan.preprocessing.resample import resample_image, resample_labels, resampled_parts, resampled_shape
from crgan.preprocessing.settings import Positive, PreprocessingSettings
from crgan.preprocessing.steps import adjust, cut_to_foreground
from crgan.preprocessing.zscore import IntensityStatistics, Kind, Scaling, ct_scaling, guess_kind, patient_scalings
from crgan.progress import Progress, Silent

# float16 keeps 11 binary digits of everything below 65,504.
_FLOAT16_LIMIT = 60_000.0
# Of one channel on the prepared grid; the largest CT at 0.5 mm has a quarter of it.
_MOST_VOXELS = 2**31


class Pipeline(BaseModel):
    """The settings together with what was fitted to the training cases; the same for training and prediction.

    Parameters
    ----------
    settings
        The user's choices.
    modalities
        Names of the channels, in order.
    kinds
        What each channel is.
    spacing_mm
        The spacing ``(z, y, x)`` that every case is brought to, or None to leave each as it is.
    intensities
        The training set's statistics for each CT channel, None for the others.
    landmarks
        The training set's scale for each MR channel, None for the others and where the settings do not want one.
    reference
        Number of the modality whose grid the others are brought onto, where they lie on several.
    version
        Of this description; another one is refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    settings: PreprocessingSettings
    modalities: tuple[str, ...]
    kinds: tuple[Kind, ...]
    spacing_mm: tuple[Positive, Positive, Positive] | None
    intensities: tuple[IntensityStatistics | None, ...]
    landmarks: tuple[tuple[float, ...] | None, ...]
    reference: int = Field(0, ge=0)
    version: Literal[2] = 2

    @model_validator(mode="after")
    def _one_entry_a_channel(self) -> Pipeline:
        if not len(self.modalities) == len(self.kinds) == len(self.intensities) == len(self.landmarks):
            message = "modalities, kinds, intensities and landmarks differ in length"
            raise ValueError(message)
        return self

    @classmethod
    def fit(
        cls, cases: Sequence[Case], dataset: Dataset, *, settings: PreprocessingSettings | None = None, progress: Progress | None = None
    ) -> Pipeline:
        """Fit to the training cases: their common spacing, CT intensities and, where wanted, MR landmarks.

        Only file headers are read, except for the latter two, which are fitted to up to 50 cases, evenly chosen.

        Parameters
        ----------
        cases
            The training cases alone.
        dataset
            The data set they belong to.
        settings
            By default those of :class:`~crgan.preprocessing.settings.PreprocessingSettings`.
        progress
            Follows the cases whose voxels are read.

        Raises
        ------
        CrganError
            If there is no case, a file cannot be read, CT shows nothing but air, or the settings want a step that
            none of the channels is for.
        """
        settings = settings or PreprocessingSettings()
        if not cases:
            raise fail("Preprocessing needs at least one training case to fit to.", where=dataset.root, got="no cases")
        kinds = tuple(guess_kind(name) if settings.kind == "auto" else settings.kind for name in dataset.modalities)
        _refuse_idle_steps(settings, kinds, dataset)
        progress = progress or Silent()
        return cls(
            settings=settings,
            modalities=dataset.modalities,
            kinds=kinds,
            spacing_mm=_target_spacing(cases, settings),
            intensities=fit_ct(cases, dataset, kinds, settings, progress),
            landmarks=fit_mr(cases, dataset, kinds, settings, progress),
            reference=fit_reference(cases),
        )

    def apply(
        self, image: NDArray[np.generic], spacing_mm: Sequence[float], *, label: NDArray[np.uint8] | None = None, compact: bool = False
    ) -> Prepared:
        """Crop, adjust, normalise and resample one case (:mod:`crgan.preprocessing.steps` has the whole order).

        Parameters
        ----------
        image
            ``(M, Z, Y, X)`` on the canonical grid, any real dtype.
        spacing_mm
            Its voxel size, ``(z, y, x)``.
        label
            Codes ``(Z, Y, X)``, uint8.
        compact
            Give the image as float16, unless a voxel is too large for it: what networks are trained on, and shown at prediction.

        Raises
        ------
        CrganError
            If the channels are not the modalities, the label lies on another grid, a voxel is NaN or infinite,
            or the spacing is not positive.
        """
        self._check(image, spacing_mm, label)
        shape, spacing = three_sizes(image.shape[1:]), three_lengths(spacing_mm)
        box, kept, foreground = cut_to_foreground(image, self.settings)
        adjusted = self._adjust(kept, foreground)
        scalings = self._scalings(adjusted, foreground)
        inside = three_sizes(adjusted.shape[1:])
        resampled = inside if self.spacing_mm is None else resampled_shape(inside, spacing, self.spacing_mm)
        if math.prod(resampled) > _MOST_VOXELS:
            raise fail(
                "The image would be too large at the spacing that the model works at.",
                expected=f"at most {_MOST_VOXELS} voxels",
                got=f"{' × '.join(map(str, resampled))}, from {' × '.join(map(str, inside))} at {spacing} mm",
                fix="check the spacing in the image's header, and where the model comes from",
            )

        def normalised(part: slice) -> NDArray[np.float32]:
            """Some slices of all channels: more than those that are being resampled never exist as float32."""
            channels = zip(scalings, adjusted, foreground, strict=True)
            return np.stack([scaling(channel[part], own[part]) for scaling, channel, own in channels])

        fits = compact and all(_fits(scaling, channel) for scaling, channel in zip(scalings, adjusted, strict=True))
        return Prepared(
            image=resample_image(adjusted, resampled, prepare=normalised, dtype=np.float16 if fits else np.float32),
            label=None if label is None else resample_labels(label[box], resampled),
            geometry=PreparedGeometry(
                shape=resampled,
                spacing_mm=three_lengths([s * n / m for s, n, m in zip(spacing, inside, resampled, strict=True)]),
                box=box,
                original_shape=shape,
                original_spacing_mm=spacing,
            ),
        )

    @staticmethod
    def restore(maps: Sequence[NDArray[np.generic]], geometry: PreparedGeometry, *, slab_slices: int = 16) -> NDArray[np.float32]:
        """Bring maps on a prepared grid back to the whole original grid; 0 outside the box.

        Parameters
        ----------
        maps
            K arrays ``(z, y, x)``, for example probabilities.
        geometry
            The :attr:`Prepared.geometry` of the case.
        slab_slices
            Slices worked on at a time; the result does not depend on it.

        Returns
        -------
        NDArray
            float32 ``(K, Z, Y, X)``.
        """
        result = np.zeros((len(maps), *geometry.original_shape), np.float32)
        for part, values in Pipeline.restore_parts(maps, geometry, slab_slices=slab_slices):
            result[:, *part] = values
        return result

    @staticmethod
    def restore_parts(
        maps: Sequence[NDArray[np.generic]], geometry: PreparedGeometry, *, least: float = -np.inf, slab_slices: int = 16
    ) -> Iterator[tuple[Box, NDArray[np.float32]]]:
        """Do :meth:`restore` part by part, so that the maps never exist at full size, and only where it can matter.

        Parameters
        ----------
        maps, geometry, slab_slices
            As for :meth:`restore`.
        least
            What is below it in every map may be left out.

        Yields
        ------
        tuple[Box, NDArray]
            A box of the original grid and its maps ``(K, slices, rows, columns)``, float32. Outside of all boxes every map is 0, as
            beyond the prepared grid, or below ``least``.

        Raises
        ------
        ValueError
            If the maps do not have the size that the geometry tells.
        """
        found = {values.shape for values in maps}
        if found != {geometry.shape}:
            message = f"maps of shape {found} do not lie on the prepared grid of shape {geometry.shape}; expected K times (z, y, x)"
            raise ValueError(message)
        inside = three_sizes([part.stop - part.start for part in geometry.box])
        for parts, values in resampled_parts(maps, inside, least=least, slab_slices=slab_slices):
            z, y, x = (slice(whole.start + part.start, whole.start + part.stop) for whole, part in zip(geometry.box, parts, strict=True))
            yield (z, y, x), values

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return self.model_dump(mode="json")

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Pipeline:
        """Read what :meth:`to_json` wrote.

        Raises
        ------
        CrganError
            If it was written by another version, or something is missing or wrong in it.
        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            first = error.errors()[0]
            raise fail(
                "The description of the preprocessing cannot be used.",
                where=".".join(str(part) for part in first["loc"]) or None,
                expected="what this version of crgan writes",
                got=f"{first['msg']} ({first['input']!r:.80})",
                fix="use the version of crgan that wrote it, or prepare the data anew",
            ) from error

    def _check(self, image: NDArray[np.generic], spacing_mm: Sequence[float], label: NDArray[np.uint8] | None) -> None:
        if image.ndim != 4 or len(image) != len(self.modalities) or 0 in image.shape:
            raise fail(
                "The image does not have the channels that preprocessing was fitted to.",
                expected=f"an array (M, Z, Y, X) with M = {len(self.modalities)}: {', '.join(self.modalities)}",
                got=f"an array of shape {image.shape}",
                fix="give every modality, in this order, on one grid",
            )
        if label is not None and label.shape != image.shape[1:]:
            raise fail("Image and label have different shapes.", expected=str(image.shape[1:]), got=str(label.shape))
        if len(spacing_mm) != 3 or not all(np.isfinite(length) and length > 0 for length in spacing_mm):
            raise fail(
                "The voxel spacing is not usable.", expected="three positive lengths (z, y, x) in millimetres", got=str(tuple(spacing_mm))
            )
        with np.errstate(invalid="ignore"):  # a sum is finite only if every voxel is, and needs no copy of the image
            sums = [channel.sum(dtype=np.float64) for channel in image]
        broken = [name for name, total in zip(self.modalities, sums, strict=True) if not np.isfinite(total)]
        if broken:
            raise fail(
                "The image has NaN or infinite voxels.",
                expected="finite numbers",
                got=f"NaN or infinity in {', '.join(broken)}",
                fix="replace such voxels by the background value",
            )

    def _adjust(self, image: NDArray[np.generic], foreground: NDArray[np.bool_]) -> NDArray[np.generic]:
        """Do the steps before normalisation on each channel of ``(M, Z, Y, X)``; the image itself if there are none."""
        adjusted = [
            adjust(channel, own, self.settings, kind, landmarks)
            for channel, own, kind, landmarks in zip(image, foreground, self.kinds, self.landmarks, strict=True)
        ]
        return image if all(after.base is image for after in adjusted) else np.stack(adjusted)

    def _scalings(self, image: NDArray[np.generic], foreground: NDArray[np.bool_]) -> list[Scaling]:
        """Tell how each channel of ``(M, Z, Y, X)`` is to be normalised, as its kind wants it."""
        own = [channel for channel, statistics in enumerate(self.intensities) if statistics is None]
        everything = len(own) == len(image)  # and then needs no copy
        chosen = (image, foreground) if everything else (image[own], foreground[own])
        patient = iter(patient_scalings(*chosen, pooled=self.settings.normalisation == "pooled"))
        return [next(patient) if statistics is None else ct_scaling(statistics) for statistics in self.intensities]


def _fits(scaling: Scaling, channel: NDArray[np.generic]) -> bool:
    """Whether every voxel of a channel fits into float16 once it is normalised; resampling makes none larger."""
    extremes = np.array([channel.min(), channel.max()])
    return bool(np.abs(scaling(extremes, np.ones(2, bool))).max() <= _FLOAT16_LIMIT)


def _refuse_idle_steps(settings: PreprocessingSettings, kinds: Sequence[Kind], dataset: Dataset) -> None:
    """Refuse a step that would silently do nothing."""
    for name, wanted, kind in (
        ("bias_field", settings.bias_field, "mr"),
        ("landmarks", settings.landmarks, "mr"),
        ("window_hu", settings.window_hu is not None, "ct"),
    ):
        if wanted and kind not in kinds:
            raise fail(
                f"The step preprocessing.{name} is for {kind.upper()}, and there is none.",
                where=dataset.root,
                expected=f"a channel of kind {kind}",
                got=", ".join(f"{modality}: {found}" for modality, found in zip(dataset.modalities, kinds, strict=True)),
                fix=f"leave the step out, or say what the channels are with preprocessing.kind={kind}",
            )


def _target_spacing(cases: Sequence[Case], settings: PreprocessingSettings) -> Spacing | None:
    if settings.spacing_mm == "native":
        return None
    return fit_spacing(cases) if settings.spacing_mm == "common" else settings.spacing_mm
