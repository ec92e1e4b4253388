from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
import tifffile
from PIL import Image

from crgan.cases.files import read_geometry, read_labels, read_volume, write_labels, write_map
from crgan.cases.formats.pictures import movie_geometry, picture_geometry
from crgan.errors import CrganError

GREY = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
COLOUR = np.stack([GREY, GREY + 1, GREY + 2], axis=-1)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff"])
@pytest.mark.parametrize(
    ("pixels", "channels"),
    [
        (GREY, 1),
        (GREY.astype(np.uint16) * 256 + 3, 1),
        (COLOUR, 3),
        (np.concatenate([COLOUR, np.full((2, 3, 1), 9, np.uint8)], axis=-1), 3),
        (COLOUR.astype(np.uint16) * 256 + 3, 3),
    ],
    ids=["grey", "grey16", "colour", "alpha", "colour16"],
)
def test_colours_are_channels_and_alpha_is_dropped(tmp_path: Path, suffix: str, pixels: np.ndarray, channels: int) -> None:
    path = tmp_path / f"a{suffix}"
    if suffix == ".png" and pixels.dtype == np.uint16 and pixels.ndim == 3:
        sitk.WriteImage(sitk.GetImageFromArray(pixels, isVector=True), str(path))  # Pillow cannot
    elif suffix == ".png":
        Image.fromarray(pixels).save(path)
    else:
        tifffile.imwrite(path, pixels, photometric="rgb" if pixels.ndim == 3 else "minisblack")
    volume = read_volume(path)
    expected = pixels[..., None] if pixels.ndim == 2 else pixels[..., :3]
    assert np.array_equal(volume.array, np.moveaxis(expected, -1, 0)[..., None])
    assert volume.array.dtype == pixels.dtype
    assert (volume.geometry.shape, volume.geometry.dimensions, volume.geometry.spacing_mm) == ((2, 3, 1), 2, (1.0, 1.0, 1.0))
    geometry, found = read_geometry(path)
    assert geometry.matches(volume.geometry)
    assert found == channels


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("largest", [3, 300])
def test_masks_go_there_and_back(tmp_path: Path, suffix: str, largest: int) -> None:
    labels = np.array([[0, 1, 2], [0, largest, 1]])[..., None]
    write_labels(tmp_path / f"a{suffix}", labels, picture_geometry(2, 3))
    again = read_labels(tmp_path / f"a{suffix}")
    assert np.array_equal(again.array[0], labels)
    assert again.array.dtype == (np.uint8 if largest < 256 else np.uint16)
    assert again.geometry.matches(picture_geometry(2, 3))


def test_grey_with_alpha_is_grey(tmp_path: Path) -> None:
    Image.fromarray(np.stack([GREY, 255 - GREY], axis=-1), mode="LA").save(tmp_path / "a.png")
    assert np.array_equal(read_volume(tmp_path / "a.png").array[0, ..., 0], GREY)
    assert read_geometry(tmp_path / "a.png")[1] == 1
    tifffile.imwrite(tmp_path / "a.tif", np.stack([GREY, 255 - GREY], axis=-1), photometric="minisblack", extrasamples=["unassalpha"])
    assert np.array_equal(read_volume(tmp_path / "a.tif").array[..., 0], GREY[None])


def test_a_palette_gives_colours_for_images_and_indices_for_labels(tmp_path: Path) -> None:
    indices = np.array([[0, 1], [2, 1]], np.uint8)
    colours = np.array([[0, 0, 0], [250, 10, 20], [5, 240, 30]], np.uint8)
    picture = Image.fromarray(indices, mode="P")
    picture.putpalette(colours.ravel().tolist())
    picture.save(tmp_path / "a.png")
    colormap = np.zeros((3, 256), np.uint16)
    colormap[:, :3] = colours.T.astype(np.uint16) * 257
    tifffile.imwrite(tmp_path / "a.tif", indices, photometric="palette", colormap=colormap)
    for name in ("a.png", "a.tif"):
        assert np.array_equal(read_volume(tmp_path / name).array[..., 0], np.moveaxis(colours[indices], -1, 0))
        assert read_geometry(tmp_path / name)[1] == 3
        assert np.array_equal(read_labels(tmp_path / name).array[0, ..., 0], indices)


def test_labels_of_few_bits_keep_their_values(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 1], [1, 0]], bool)).save(tmp_path / "one.png")
    assert read_labels(tmp_path / "one.png").array.ravel().tolist() == [0, 1, 1, 0]
    for bits, values in {2: [0, 1, 2, 3], 4: [0, 1, 9, 15]}.items():
        path = tmp_path / f"{bits}.png"
        path.write_bytes(_small_png(bits, values))
        assert read_labels(path).array.ravel().tolist() == values


def _small_png(bits: int, values: list[int]) -> bytes:
    """A grey PNG of one row with ``bits`` bits a pixel, which Pillow cannot write."""
    import struct
    import zlib

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    row = sum(value << bits * (len(values) - 1 - number) for number, value in enumerate(values))
    header = struct.pack(">IIBBBBB", len(values), 1, bits, 0, 0, 0, 0)
    data = zlib.compress(b"\0" + row.to_bytes(len(values) * bits // 8, "big"))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_grey_labels_stored_as_colours_are_one_channel(tmp_path: Path) -> None:
    Image.fromarray(np.stack([GREY] * 3, axis=-1)).save(tmp_path / "grey.png")
    assert np.array_equal(read_labels(tmp_path / "grey.png").array[0, ..., 0], GREY)
    Image.fromarray(COLOUR).save(tmp_path / "colour.png")
    with pytest.raises(CrganError, match="several channels"):
        read_labels(tmp_path / "colour.png")


def test_pages_are_the_third_axis(tmp_path: Path) -> None:
    pages = np.random.default_rng(0).integers(0, 999, (4, 5, 6)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", pages, photometric="minisblack")
    volume = read_volume(tmp_path / "a.tif")
    assert np.array_equal(volume.array[0], pages.transpose(1, 2, 0))
    assert volume.geometry.dimensions == 3
    assert volume.geometry.orientation == "ARS"  # rows along y, columns along x, pages along z: working axes need no turn
    write_labels(tmp_path / "b.tif", volume.array[0], volume.geometry)
    again = read_labels(tmp_path / "b.tif")
    assert np.array_equal(again.array, volume.array)
    assert again.geometry.matches(volume.geometry)
    assert read_geometry(tmp_path / "b.tif")[0].matches(volume.geometry)


def test_a_stack_of_three_pages_is_no_colour_picture(tmp_path: Path) -> None:
    write_labels(tmp_path / "a.tif", np.arange(12).reshape(2, 2, 3), picture_geometry(2, 2, 3))
    assert read_labels(tmp_path / "a.tif").array.shape == (1, 2, 2, 3)


def test_channels_and_pages_of_an_imagej_stack(tmp_path: Path) -> None:
    stack = np.random.default_rng(0).integers(0, 99, (4, 2, 5, 6)).astype(np.uint16)  # ZCYX
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata={"axes": "ZCYX"})
    volume = read_volume(tmp_path / "a.tif")
    assert np.array_equal(volume.array, stack.transpose(1, 2, 3, 0))
    assert read_geometry(tmp_path / "a.tif")[1] == 2


def test_a_series_of_stacks_is_no_volume(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((2, 3, 5, 6), np.uint8), photometric="minisblack")
    for read in (read_volume, read_geometry):
        with pytest.raises(CrganError, match="more axes than a volume"):
            read(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("pixels", "mode", "compression"),
    [
        (GREY, "L", "tiff_lzw"),
        (COLOUR, "RGB", "tiff_lzw"),
        (GREY.astype(np.uint16) * 256 + 3, "I;16", "tiff_lzw"),
        (GREY.astype(np.float32) / 7, "F", "tiff_lzw"),
        (GREY > 40, "1", "tiff_lzw"),
        (GREY > 40, "1", "group4"),
    ],
)
def test_compressions_that_tifffile_lacks_are_decoded(tmp_path: Path, pixels: np.ndarray, mode: str, compression: str) -> None:
    picture = Image.fromarray(pixels)
    assert picture.mode == mode
    picture.save(tmp_path / "a.tif", compression=compression)
    array = read_volume(tmp_path / "a.tif").array[..., 0]
    assert np.array_equal(array, np.moveaxis(pixels, -1, 0) if pixels.ndim == 3 else pixels[None])
    assert array.dtype == (np.uint8 if pixels.dtype == bool else pixels.dtype)


def test_palettes_and_stacks_are_decoded(tmp_path: Path) -> None:
    picture = Image.fromarray(GREY // 80, mode="P")
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    picture.save(tmp_path / "a.tif", compression="tiff_lzw")
    assert np.array_equal(read_labels(tmp_path / "a.tif").array[0, ..., 0], GREY // 80)
    assert read_volume(tmp_path / "a.tif").array[:, 1, 0, 0].tolist() == [255, 0, 0]
    pages = [Image.fromarray(GREY + number) for number in range(4)]
    pages[0].save(tmp_path / "b.tif", compression="tiff_lzw", save_all=True, append_images=pages[1:])
    assert np.array_equal(read_volume(tmp_path / "b.tif").array[0], np.stack([GREY + number for number in range(4)], axis=-1))


def test_colours_of_16_bits_are_not_cut(tmp_path: Path) -> None:
    deep = COLOUR.astype(np.uint16) * 256 + 3
    writer = sitk.ImageFileWriter()
    writer.SetFileName(str(tmp_path / "a.tif"))
    writer.SetUseCompression(True)
    writer.SetCompressor("LZW")
    writer.Execute(sitk.GetImageFromArray(deep, isVector=True))
    assert np.array_equal(read_volume(tmp_path / "a.tif").array[..., 0], np.moveaxis(deep, -1, 0))


def test_white_as_zero_is_turned(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY, photometric="miniswhite")
    assert np.array_equal(read_volume(tmp_path / "a.tif").array[0, ..., 0], 255 - GREY)


def test_probabilities_fit_a_tiff_but_no_png(tmp_path: Path) -> None:
    probabilities = np.random.default_rng(0).random((2, 3, 1)).astype(np.float32)
    write_map(tmp_path / "a.tif", probabilities, picture_geometry(2, 3))
    assert np.array_equal(read_volume(tmp_path / "a.tif").array[0], probabilities)
    with pytest.raises(CrganError, match=r"A PNG cannot hold this[\s\S]*float32"):
        write_map(tmp_path / "a.png", probabilities, picture_geometry(2, 3))
    with pytest.raises(CrganError, match="A PNG cannot hold this"):
        write_labels(tmp_path / "a.png", np.zeros((2, 3, 4), int), picture_geometry(2, 3, 4))
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("kept", [0, 4, 30, 0.5, 0.9])
def test_truncated_files_are_refused(tmp_path: Path, suffix: str, kept: float) -> None:
    path = tmp_path / f"a{suffix}"
    pixels = np.random.default_rng(0).integers(0, 255, (40, 50)).astype(np.uint8)
    if suffix == ".png":
        Image.fromarray(pixels).save(path)
    else:
        tifffile.imwrite(path, pixels)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    with pytest.raises(CrganError) as caught:
        read_volume(path)
    assert caught.value.problems[0].where == path


def test_a_tiff_that_claims_more_than_its_file_can_hold_is_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY)
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as file:
        for tag in ("ImageLength", "ImageWidth"):
            file.pages[0].tags[tag].overwrite(60000)
    for read in (read_volume, read_geometry):
        with pytest.raises(CrganError, match=r"larger than its file[\s\S]*60000, 60000"):
            read(tmp_path / "a.tif")


@pytest.mark.parametrize("axes", ["ZCYX", "CZYX", "TZCYX", "TCZYX"])
def test_the_named_axes_of_an_ome_tiff_become_channels_and_planes(tmp_path: Path, axes: str) -> None:
    sizes = {"T": 1, "C": 2, "Z": 3, "Y": 5, "X": 4}
    named = np.random.default_rng(0).integers(0, 4000, (2, 5, 4, 3)).astype(np.uint16)  # C, Y, X, Z
    order = ["CYXZ".index(letter) for letter in axes if letter != "T"]
    stored = named.transpose(order).reshape([sizes[letter] for letter in axes])
    tifffile.imwrite(tmp_path / "a.ome.tif", stored, photometric="minisblack", metadata={"axes": axes})
    volume = read_volume(tmp_path / "a.ome.tif")
    assert np.array_equal(volume.array, named)
    assert read_geometry(tmp_path / "a.ome.tif")[1] == 2


@pytest.mark.parametrize("name", ["a.ome.tif", "a.tif"])
@pytest.mark.parametrize("axes", ["TYX", "TCYX"])
def test_an_axis_named_time_makes_a_movie(tmp_path: Path, name: str, axes: str) -> None:
    stored = np.random.default_rng(0).integers(0, 4000, (3, *(2,) * (len(axes) - 3), 5, 4)).astype(np.uint16)
    tifffile.imwrite(tmp_path / name, stored, photometric="minisblack", metadata={"axes": axes})
    volume = read_volume(tmp_path / name)
    assert volume.geometry.is_movie
    assert volume.geometry.spacing_mm == (1, 1, 10)
    assert read_geometry(tmp_path / name)[0].matches(volume.geometry)
    assert np.array_equal(volume.array, stored.reshape(3, -1, 5, 4).transpose(1, 2, 3, 0))


def test_masks_of_a_movie_read_back_as_one(tmp_path: Path) -> None:
    ids = np.random.default_rng(0).integers(0, 300, (5, 4, 3))
    write_labels(tmp_path / "a.tif", ids, movie_geometry(5, 4, 3))
    back = read_labels(tmp_path / "a.tif")
    assert back.geometry.is_movie
    assert np.array_equal(back.array[0], ids)
    for name in ("a.nii.gz", "a.mha"):  # which know no time
        write_labels(tmp_path / name, ids, movie_geometry(5, 4, 3))
        assert np.array_equal(np.sort(read_labels(tmp_path / name).array, axis=None), np.sort(ids, axis=None))
        assert read_geometry(tmp_path / name)[0].dimensions == 3
    with pytest.raises(CrganError, match="A PNG cannot hold this"):
        write_labels(tmp_path / "a.png", ids, movie_geometry(5, 4, 3))


def test_a_movie_of_volumes_is_refused_and_what_imagej_calls_frames_is_a_stack(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.ome.tif", np.zeros((3, 2, 5, 4), np.uint16), photometric="minisblack", metadata={"axes": "TZYX"})
    with pytest.raises(CrganError, match=r"more axes than a volume(.|\n)*TZYX"):
        read_volume(tmp_path / "a.ome.tif")
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((3, 5, 4), np.uint16), imagej=True, metadata={"axes": "TYX"})
    assert read_geometry(tmp_path / "b.tif")[0].dimensions == 3
