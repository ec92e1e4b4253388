"""The choices a user has in preprocessing."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]


class PreprocessingSettings(BaseModel):
    """The choices a user has in preprocessing; :mod:`~crgan.preprocessing.steps` says in which order they act.

    Parameters
    ----------
    spacing_mm
        ``"common"``: the training cases' median per axis, made isotropic where the axes differ by a factor of
        3 at most. ``"native"``: every case keeps its own. Or the spacing wanted, ``(z, y, x)`` in millimetres.
        2-D images keep their pixels under the first two.
    normalisation
        Mean and standard deviation ``"per-modality"``, or ``"pooled"`` over all modalities of a case as in the
        paper. CT channels are always normalised by the training set's values.
    crop_to_foreground
        Leave out what surrounds the foreground.
    kind
        What the channels are; ``"auto"`` takes modalities named CT for computed tomography and all others for MR.
    bias_field
        Correct the bias field of MR channels by N4.
    bias_field_shrink
        The field is estimated on a grid this many times coarser.
    landmarks
        Bring the intensities of MR channels to a scale learnt from the training cases (Nyúl).
    window_hu
        Clip CT channels to this range of Hounsfield units.
    equalisation
        Equalise each slice's histogram, as a whole or (``"clahe"``) locally with limited contrast.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    spacing_mm: Literal["common", "native"] | tuple[Positive, Positive, Positive] = "common"
    normalisation: Literal["per-modality", "pooled"] = "per-modality"
    crop_to_foreground: bool = True
    kind: Literal["auto", "mr", "ct", "microscopy"] = "auto"
    bias_field: bool = False
    bias_field_shrink: int = Field(4, ge=1)
    landmarks: bool = False
    window_hu: tuple[_Finite, _Finite] | None = None
    equalisation: Literal["none", "histogram", "clahe"] = "none"

    @field_validator("window_hu")
    @classmethod
    def _check_window(cls, window_hu: tuple[float, float] | None) -> tuple[float, float] | None:
        if window_hu is not None and window_hu[0] >= window_hu[1]:
            raise ValueError("the lower end of the window first, then the upper one")
        return window_hu
