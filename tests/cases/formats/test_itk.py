from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from crgan.cases.files import read_geometry, read_labels, read_volume, write_labels, write_map
from crgan.cases.volume import Geometry
from crgan.errors import CrganError

TURN = np.array([[0.8, -0.36, 0.48], [0.6, 0.48, -0.64], [0.0, 0.8, 0.6]])


def itk_image(array: np.ndarray, **kwargs: bool) -> sitk.Image:
    """An oblique image of voxels ``(K, J, I[, C])``, placed in ITK's LPS."""
    image = sitk.GetImageFromArray(array, **kwargs)
    image.SetSpacing((0.5, 1.5, 2.5))
    image.SetDirection(TURN.ravel().tolist())
    image.SetOrigin((10.0, 20.0, 30.0))
    return image


@pytest.mark.parametrize("suffix", [".nrrd", ".mha", ".mhd", ".nhdr"])
def test_voxels_lie_where_itk_puts_them(tmp_path: Path, suffix: str) -> None:
    array = np.random.default_rng(0).integers(-9, 9, (5, 4, 3)).astype(np.int16)
    image = itk_image(array)
    path = tmp_path / f"a{suffix}"
    sitk.WriteImage(image, str(path))
    volume = read_volume(path)
    assert volume.array.shape == (1, 3, 4, 5)
    for index in [(0, 0, 0), (2, 1, 4), (1, 3, 0)]:
        lps = np.array(image.TransformIndexToPhysicalPoint(index))
        assert volume.geometry.affine @ [*index, 1] == pytest.approx([-lps[0], -lps[1], lps[2], 1])
        assert volume.array[0][index] == image[index]
    assert volume.geometry.spacing_mm == pytest.approx((0.5, 1.5, 2.5))
    geometry, channels = read_geometry(path)
    assert geometry.matches(volume.geometry, tolerance_mm=0)
    assert channels == 1


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_a_mask_lies_on_its_image(tmp_path: Path, suffix: str) -> None:
    sitk.WriteImage(itk_image(np.zeros((5, 4, 3), np.int16)), str(tmp_path / f"a{suffix}"))
    geometry, _ = read_geometry(tmp_path / f"a{suffix}")
    labels = np.random.default_rng(0).integers(0, 3, (3, 4, 5))
    write_labels(tmp_path / f"b{suffix}", labels, geometry)
    again = read_labels(tmp_path / f"b{suffix}")
    assert np.array_equal(again.array[0], labels)
    assert again.geometry.matches(geometry, tolerance_mm=1e-9)
    write_map(tmp_path / f"c{suffix}", labels / 3, geometry)
    assert np.array_equal(read_volume(tmp_path / f"c{suffix}").array[0], (labels / 3).astype(np.float32))


def test_a_sheared_grid_is_read_but_not_written(tmp_path: Path) -> None:
    (tmp_path / "a.nhdr").write_text(
        "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 2 3 4\n"
        "space directions: (1,0,0) (0.5,2,0) (0,0,3)\nkinds: domain domain domain\nendian: little\n"
        "encoding: raw\nspace origin: (1,2,3)\ndata file: a.raw\n"
    )
    np.zeros(24, np.int16).tofile(tmp_path / "a.raw")
    geometry, _ = read_geometry(tmp_path / "a.nhdr")
    assert np.allclose(geometry.affine, [[-1, -0.5, 0, -1], [0, -2, 0, -2], [0, 0, 3, 3], [0, 0, 0, 1]])
    with pytest.raises(CrganError, match=r"sheared[\s\S]*write a \.nii\.gz"):
        write_labels(tmp_path / "b.mha", np.zeros((2, 3, 4), int), geometry)
    assert not list(tmp_path.glob("*b.mha*"))


def test_components_and_time_are_channels(tmp_path: Path) -> None:
    array = np.arange(5 * 4 * 3 * 2, dtype=np.float32).reshape(5, 4, 3, 2)
    sitk.WriteImage(itk_image(array, isVector=True), str(tmp_path / "vector.nrrd"))
    volume = read_volume(tmp_path / "vector.nrrd")
    assert np.array_equal(volume.array, array.transpose(3, 2, 1, 0))
    assert read_geometry(tmp_path / "vector.nrrd")[1] == 2
    series = sitk.GetImageFromArray(array, isVector=False)
    series.SetSpacing((2.0, 3.0, 4.0, 1.0))
    sitk.WriteImage(series, str(tmp_path / "series.mha"))
    volume = read_volume(tmp_path / "series.mha")
    assert np.array_equal(volume.array, array.transpose(0, 3, 2, 1))
    assert volume.geometry.spacing_mm == (2.0, 3.0, 4.0)


def test_pictures_keep_two_dimensions(tmp_path: Path) -> None:
    image = sitk.GetImageFromArray(np.arange(6, dtype=np.uint8).reshape(2, 3))
    image.SetSpacing((0.5, 0.25))
    sitk.WriteImage(image, str(tmp_path / "a.mha"))
    volume = read_labels(tmp_path / "a.mha")
    assert (volume.array.shape, volume.geometry.dimensions) == ((1, 3, 2, 1), 2)
    assert volume.geometry.spacing_mm[:2] == (0.5, 0.25)
    write_labels(tmp_path / "b.mha", volume.array[0], volume.geometry)
    again = read_labels(tmp_path / "b.mha")
    assert np.array_equal(again.array, volume.array)
    assert again.geometry.matches(volume.geometry)
    assert again.geometry.dimensions == 2


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
@pytest.mark.parametrize("kept", [0, 10, -20])
def test_truncated_files_are_refused(tmp_path: Path, suffix: str, kept: int) -> None:
    path = tmp_path / f"a{suffix}"
    sitk.WriteImage(itk_image(np.random.default_rng(0).integers(0, 99, (5, 4, 3)).astype(np.int16)), str(path))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CrganError) as caught:
        read_volume(path)
    assert caught.value.problems[0].where == path


def test_voxels_in_a_second_file_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(CrganError, match=r"name the file \.mha"):
        write_labels(tmp_path / "a.mhd", np.zeros((2, 3, 4), int), Geometry((2, 3, 4), np.eye(4)))
