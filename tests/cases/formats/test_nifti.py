from __future__ import annotations

import gzip
import struct
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crgan.cases.files import read_geometry, read_labels, read_volume, write_labels, write_map
from crgan.cases.volume import Geometry
from crgan.errors import CrganError

AFFINES = {
    "oblique": np.array([[0.8, -0.36, 1.2, 3.3], [0.6, 0.48, -1.6, -7.7], [0, 0.8, 1.5, 11.1], [0, 0, 0, 1]], np.float32).astype(
        float
    ),  # turned by a 3-4-5 triangle twice
    "flipped": np.diag([-1.0, 1.0, -3.0, 1.0]),
    "permuted": np.array([[0.0, 0, 2, 1], [-1, 0, 0, 2], [0, 1.5, 0, 3], [0, 0, 0, 1]]),
    "sheared": np.array([[1.0, 0.5, 0, 0], [0, 1, 0.25, 0], [0, 0, 1, 0], [0, 0, 0, 1]]),
}


@pytest.mark.parametrize("affine", AFFINES.values(), ids=AFFINES)
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("header", [nib.Nifti1Image, nib.Nifti2Image])
def test_what_nibabel_wrote_is_read_and_written_back(tmp_path: Path, affine: np.ndarray, suffix: str, header: type) -> None:
    array = np.random.default_rng(0).integers(-500, 500, (4, 5, 6)).astype(np.int16)
    source, target = tmp_path / f"source{suffix}", tmp_path / f"target{suffix}"
    nib.save(header(array, affine), source)
    volume = read_volume(source)
    assert np.array_equal(volume.array[0], array)
    assert volume.array.dtype == np.int16
    assert np.array_equal(volume.geometry.affine, affine)
    assert volume.array.flags.writeable
    write_labels(target, array % 3, volume.geometry)
    written = nib.load(target)
    assert np.array_equal(written.affine, affine)  # bit for bit
    assert np.array_equal(np.asarray(written.dataobj), array % 3)
    assert written.get_data_dtype() == np.uint8


def _qform_file(path: Path, quaternion: np.ndarray, spacing: list[float], handedness: int) -> Path:
    """A file whose place is told by the quaternion (b, c, d) alone."""
    image = nib.Nifti1Image(np.zeros((3, 4, 5), np.int16), None)
    for name, value in zip(("quatern_b", "quatern_c", "quatern_d", "qoffset_x"), (*quaternion, 0.1), strict=True):
        image.header[name] = value
    image.header["qform_code"], image.header["sform_code"] = 1, 0
    image.header["pixdim"][:4] = [handedness, *spacing]
    path.write_bytes(_with_header(image))
    return path


def _there_and_back(source: Path) -> tuple[np.ndarray, np.ndarray]:
    geometry, _ = read_geometry(source)
    assert np.array_equal(geometry.affine, nib.load(source).affine)
    write_labels(source.with_name("written.nii"), np.zeros((3, 4, 5), np.uint8), geometry)
    return geometry.affine, nib.load(source.with_name("written.nii")).affine


def test_an_affine_from_a_qform_is_kept_to_the_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        a, *bcd = rng.normal(size=4)
        bcd = np.array(bcd) * np.sign(a) / np.linalg.norm([a, *bcd])
        read, written = _there_and_back(_qform_file(tmp_path / "a.nii", bcd, rng.uniform(0.1, 5, 3).tolist(), int(rng.choice([-1, 1]))))
        assert np.array_equal(read, written)


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=3), st.lists(st.floats(0.1, 5), min_size=3, max_size=3), st.sampled_from([-1, 1]))
def test_special_turns_are_kept_to_the_precision_of_the_header(tmp_path_factory, quaternion, spacing, handedness) -> None:
    bcd = np.array(quaternion) / max(1.0, np.linalg.norm(quaternion) * 1.0001)
    read, written = _there_and_back(_qform_file(tmp_path_factory.mktemp("qform") / "a.nii", bcd, spacing, handedness))
    assert np.allclose(read, written, rtol=0, atol=1e-6)


def _with_header(image: nib.Nifti1Image) -> bytes:
    header = image.header.copy()
    header["vox_offset"] = 352
    header["magic"] = b"n+1"
    return header.binaryblock + b"\0" * 4 + np.asarray(image.dataobj).tobytes(order="F")


@pytest.mark.parametrize("qform", [0, 1])
def test_a_typical_qform_is_kept_to_the_bit(tmp_path: Path, qform: int) -> None:
    image = nib.Nifti1Image(np.zeros((3, 4, 5), np.int16), AFFINES["oblique"])
    image.set_qform(AFFINES["permuted"], code=qform)
    image.set_sform(None, code=0)
    nib.save(image, tmp_path / "source.nii.gz")
    geometry, _ = read_geometry(tmp_path / "source.nii.gz")
    write_labels(tmp_path / "target.nii.gz", np.zeros((3, 4, 5), np.uint8), geometry)
    assert np.array_equal(nib.load(tmp_path / "target.nii.gz").affine, nib.load(tmp_path / "source.nii.gz").affine)


def test_both_forms_are_written_where_the_grid_is_not_sheared(tmp_path: Path) -> None:
    for name, code in {"oblique": 1, "sheared": 0}.items():
        write_labels(tmp_path / f"{name}.nii", np.zeros((3, 4, 5), np.uint8), Geometry((3, 4, 5), AFFINES[name]))
        header = nib.load(tmp_path / f"{name}.nii").header
        assert (int(header["sform_code"]), int(header["qform_code"])) == (1, code)
        assert header.get_xyzt_units()[0] == "mm"


def test_channels_are_the_fourth_axis(tmp_path: Path) -> None:
    array = np.random.default_rng(0).normal(size=(4, 5, 6, 3)).astype(np.float32)
    nib.save(nib.Nifti1Image(array, np.eye(4)), tmp_path / "a.nii.gz")
    volume = read_volume(tmp_path / "a.nii.gz")
    assert np.array_equal(volume.array, np.moveaxis(array, -1, 0))
    geometry, channels = read_geometry(tmp_path / "a.nii.gz")
    assert (geometry.shape, channels) == ((4, 5, 6), 3)
    nib.save(nib.Nifti1Image(array[:, :, :, None], np.eye(4)), tmp_path / "vector.nii.gz")  # as ANTs writes vectors
    assert np.array_equal(read_volume(tmp_path / "vector.nii.gz").array, np.moveaxis(array, -1, 0))


def test_colours_are_channels_and_alpha_is_dropped(tmp_path: Path) -> None:
    colours = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1"), ("A", "u1")])
    array = np.zeros((2, 3, 4), colours)
    array["G"], array["A"] = 7, 255
    nib.save(nib.Nifti1Image(array, np.eye(4)), tmp_path / "a.nii")
    volume = read_volume(tmp_path / "a.nii")
    assert [int(channel.max()) for channel in volume.array] == [0, 7, 0]
    assert read_geometry(tmp_path / "a.nii")[1] == 3


def test_two_dimensions_stay_two(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.arange(6, dtype=np.uint8).reshape(2, 3), np.diag([2.0, 3.0, 1.0, 1.0])), tmp_path / "a.nii.gz")
    volume = read_volume(tmp_path / "a.nii.gz")
    assert volume.array.shape == (1, 2, 3, 1)
    assert volume.geometry.dimensions == 2
    write_labels(tmp_path / "b.nii.gz", volume.array[0], volume.geometry)
    again = read_volume(tmp_path / "b.nii.gz")
    assert again.geometry.dimensions == 2
    assert again.geometry.matches(volume.geometry)
    assert np.array_equal(again.array, volume.array)


def test_scaled_images_are_float32_and_scaled_labels_whole(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.array([0, 255, 510], np.int16).reshape(3, 1, 1), np.eye(4))
    image.header.set_slope_inter(1 / 255, 0)
    # nibabel would scale once more on saving: write the stored integers as they are.
    header = image.header.copy()
    header["vox_offset"], header["magic"] = 352, b"n+1"
    (tmp_path / "a.nii").write_bytes(header.binaryblock + b"\0" * 4 + np.array([0, 255, 510], "<i2").tobytes())
    volume = read_volume(tmp_path / "a.nii")
    assert volume.array.dtype == np.float32
    assert volume.array.ravel() == pytest.approx([0, 1, 2], abs=1e-6)
    assert read_labels(tmp_path / "a.nii").array.ravel().tolist() == [0, 1, 2]
    assert np.allclose(nib.load(tmp_path / "a.nii").get_fdata()[None], volume.array)


def test_big_endian_files_are_read(tmp_path: Path) -> None:
    array = np.arange(24, dtype=">i2").reshape(2, 3, 4)
    nib.save(nib.Nifti1Image(array, np.eye(4), nib.Nifti1Header(endianness=">")), tmp_path / "a.nii.gz")
    volume = read_volume(tmp_path / "a.nii.gz")
    assert np.array_equal(volume.array[0], array)
    assert volume.array.dtype.isnative


def test_the_same_mask_gives_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    geometry = Geometry((3, 4, 5), np.eye(4))
    for number, name in enumerate(["a.nii.gz", "b.nii.gz"]):
        monkeypatch.setattr("time.time", lambda number=number: 1e9 + 1000 * number)
        write_labels(tmp_path / name, np.ones((3, 4, 5), np.uint8), geometry)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_maps_are_float32(tmp_path: Path) -> None:
    array = np.random.default_rng(0).random((3, 4, 5))
    write_map(tmp_path / "a.nii.gz", array, Geometry((3, 4, 5), AFFINES["oblique"]))
    volume = read_volume(tmp_path / "a.nii.gz")
    assert np.array_equal(volume.array[0], array.astype(np.float32))
    assert volume.array.dtype == np.float32


@pytest.mark.parametrize("kept", [0, 1, 2, 100, 348, 400, -9, -8, -1])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_truncated_files_are_refused(tmp_path: Path, kept: int, suffix: str) -> None:
    whole = tmp_path / f"whole{suffix}"
    nib.save(nib.Nifti1Image(np.random.default_rng(0).integers(0, 99, (9, 9, 9)).astype(np.int16), np.eye(4)), whole)
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(whole.read_bytes()[:kept])
    with pytest.raises(CrganError) as caught:
        read_volume(path)
    assert caught.value.problems[0].where == path
    assert caught.value.problems[0].fix


@pytest.mark.parametrize(
    "content",
    [b"", b"\x1f\x8b", gzip.compress(b"x" * 348), gzip.compress(b"short")[:-6]],
    ids=["empty", "magic", "not-a-header", "cut"],  # the bytes hold the time, and test processes would not agree on their names
)
def test_headers_that_cannot_be_read_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.nii.gz").write_bytes(content)
    with pytest.raises(CrganError) as caught:
        read_geometry(tmp_path / "a.nii.gz")
    assert caught.value.problems[0].where == tmp_path / "a.nii.gz"


def test_a_flipped_bit_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    nib.save(nib.Nifti1Image(np.random.default_rng(0).integers(0, 99, (9, 9, 9)).astype(np.int16), np.eye(4)), path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)
    with pytest.raises(CrganError, match=r"cannot be read|truncated"):
        read_volume(path)


def test_a_gz_file_that_is_not_compressed_is_told_to_be_renamed(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.zeros((2, 2, 2), np.int16), np.eye(4)), tmp_path / "a.nii")
    (tmp_path / "a.nii").rename(tmp_path / "a.nii.gz")
    for read in (read_volume, read_geometry):
        with pytest.raises(CrganError, match=r"rename it to a\.nii$"):
            read(tmp_path / "a.nii.gz")
    (tmp_path / "b.nii.gz").write_text("<html>404 not found</html>")
    with pytest.raises(CrganError, match=r"not gzip-compressed[\s\S]*<htm[\s\S]*get the file again") as caught:
        read_volume(tmp_path / "b.nii.gz")
    assert "rename" not in str(caught.value)


def test_a_compressed_file_that_is_not_named_so_is_told_to_be_renamed(tmp_path: Path) -> None:
    (tmp_path / "a.nii").write_bytes(gzip.compress(b"x" * 400))
    with pytest.raises(CrganError, match=r"rename it to a\.nii\.gz"):
        read_volume(tmp_path / "a.nii")


def test_what_is_no_volume_is_refused(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(np.zeros((2, 2, 2, 3, 3), np.int16), np.eye(4)), tmp_path / "five.nii")
    with pytest.raises(CrganError, match=r"2 to 4 axes[\s\S]*\(2, 2, 2, 3, 3\)"):
        read_volume(tmp_path / "five.nii")
    nib.save(nib.Nifti1Image(np.zeros((2, 2, 2), np.complex64), np.eye(4)), tmp_path / "complex.nii")
    with pytest.raises(CrganError, match="complex numbers"):
        read_volume(tmp_path / "complex.nii")


def test_a_header_without_place_is_refused_but_a_flat_slice_gets_a_thickness(tmp_path: Path) -> None:
    image = nib.Nifti1Image(np.zeros((2, 2, 2), np.int16), np.eye(4))
    content = bytearray(_with_header(image))
    struct.pack_into("<4f", content, 280, 0, 0, 0, 0)  # the first row of the sform
    (tmp_path / "a.nii").write_bytes(content)
    with pytest.raises(CrganError, match="several voxels at one point"):
        read_geometry(tmp_path / "a.nii")
    slice_affine = np.diag([2.0, 3.0, 0.0, 1.0])
    image = nib.Nifti1Image(np.zeros((2, 2, 1), np.int16), None)
    image.header.set_sform(slice_affine, code=1)
    (tmp_path / "b.nii").write_bytes(_with_header(image))
    geometry, _ = read_geometry(tmp_path / "b.nii")
    assert geometry.affine[:3, 2].tolist() == [0, 0, 1]
