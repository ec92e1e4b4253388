from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from crgan.cases.files import read_volume
from crgan.cases.schemes import read_scheme
from crgan.config import Config
from crgan.errors import CrganError
from crgan.files import read_json
from crgan.inference.predict import predict
from crgan.model import Model
from crgan.sweep.decision import compose, settle
from crgan.training.run import train

MakeConfig = Callable[..., Config]


def voxels(path: Path) -> np.ndarray:
    return np.asarray(nib.load(path).dataobj)


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def masks(trained: Path, patients: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("masks") / "out"
    predict(trained, patients, out, probabilities=True, errors=True, threads=1)
    return out


@pytest.fixture
def images(patients: Path, tmp_path: Path) -> Path:
    """The images of two patients without their labels."""
    for name in ("p0", "p2"):
        shutil.copytree(patients / name, tmp_path / "images" / name)
        (tmp_path / "images" / name / f"{name}_seg.nii.gz").unlink()
    return tmp_path / "images"


def test_a_mask_for_every_case_on_its_images_grid(masks: Path, patients: Path) -> None:
    names = {f"p{number}.nii.gz" for number in range(4)}
    assert {path.name for path in masks.iterdir()} == {".prediction.json", "labels.json", "maps", *names}
    for number in range(4):
        mask, image = (nib.load(path) for path in (masks / f"p{number}.nii.gz", patients / f"p{number}" / f"p{number}_flair.nii.gz"))
        assert mask.shape == image.shape
        assert np.array_equal(mask.affine, image.affine)
        assert np.asarray(mask.dataobj).dtype == np.uint8


def test_masks_hold_what_was_to_be_found(masks: Path, patients: Path) -> None:
    for number in range(4):
        mask, truth = voxels(masks / f"p{number}.nii.gz"), voxels(patients / f"p{number}" / f"p{number}_seg.nii.gz")
        assert {*np.unique(mask)} <= {0, 1, 2}
        assert 2 * ((mask > 0) & (truth > 0)).sum() / ((mask > 0).sum() + (truth > 0).sum()) > 0.8


def test_names_and_regions_lie_beside_the_masks(masks: Path, trained: Path) -> None:
    assert read_scheme(masks / "labels.json") == Model.load(trained).labels


def test_maps_agree_with_the_masks(masks: Path, trained: Path) -> None:
    model = Model.load(trained)
    names = {
        f"p{number}_{target}_{kind}.nii.gz" for number in range(4) for target in ("whole", "core") for kind in ("probability", "fn", "fp")
    }
    assert {path.name for path in (masks / "maps").iterdir()} == names
    for number in range(4):
        maps = {}
        for kind in ("probability", "fn", "fp"):
            images = [nib.load(masks / "maps" / f"p{number}_{target}_{kind}.nii.gz") for target in ("whole", "core")]
            assert all(np.array_equal(image.affine, nib.load(masks / f"p{number}.nii.gz").affine) for image in images)
            maps[kind] = np.stack([np.asarray(image.dataobj) for image in images])
            assert maps[kind].dtype == np.float32
            assert maps[kind].min() >= 0
            assert maps[kind].max() <= 1
        decided = (maps["fn"] == 0) & (maps["probability"] > 0)
        p, q = (np.reshape(values, (2, 1, 1, 1)) for values in (model.dial.p, model.dial.q))
        corrected = compose(decided, maps["fn"], maps["fp"], p=p, q=q)
        expected = model.labels.decode(settle(corrected, maps["probability"], exclusive=False))
        assert (expected == voxels(masks / f"p{number}.nii.gz")).all()


def test_maps_are_written_as_asked_for(trained: Path, images: Path, tmp_path: Path) -> None:
    predict(trained, images, tmp_path / "none", threads=1)
    assert not (tmp_path / "none" / "maps").exists()
    predict(trained, images, tmp_path / "errors", errors=True, cases=["p0"], threads=1)
    assert {path.name.split("_")[-1] for path in (tmp_path / "errors" / "maps").iterdir()} == {"fn.nii.gz", "fp.nii.gz"}
    predict(trained, images, tmp_path / "alone", errors=True, probabilities=True, generator_only=True, cases=["p0"], threads=1)
    assert {path.name for path in (tmp_path / "alone" / "maps").iterdir()} == {"p0_whole_probability.nii.gz", "p0_core_probability.nii.gz"}


def test_alone_or_in_company_now_or_later_a_mask_is_the_same(masks: Path, trained: Path, images: Path, tmp_path: Path) -> None:
    predict(trained, images, tmp_path / "two", threads=1)
    predict(trained, images / "p2", tmp_path / "one", threads=1)
    for name in ("two/p0", "two/p2", "one/p2"):
        assert (tmp_path / f"{name}.nii.gz").read_bytes() == (masks / f"{name[-2:]}.nii.gz").read_bytes()


def test_the_models_folder_does_as_well_as_the_runs(masks: Path, trained: Path, images: Path, tmp_path: Path) -> None:
    moved = shutil.copytree(trained / "model", tmp_path / "elsewhere")
    (written,) = predict(moved, images, tmp_path / "out", cases=["p2"], threads=1)
    assert written.read_bytes() == (masks / "p2.nii.gz").read_bytes()


def test_cases_are_given_in_the_order_wanted(trained: Path, patients: Path, tmp_path: Path) -> None:
    written = predict(trained, patients, tmp_path / "out", cases=["p3", "p1", "p3"], threads=1)
    assert [path.name for path in written] == ["p3.nii.gz", "p1.nii.gz"]
    with pytest.raises(CrganError, match=r"no such cases[\s\S]*p0, p1[\s\S]*p9"):
        predict(trained, patients, tmp_path / "other", cases=["p0", "p9"])
    assert not (tmp_path / "other").exists()


def test_a_machine_that_cannot_compile_is_told_before_any_mask(trained: Path, images: Path, tmp_path: Path, monkeypatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("No working C++ compiler found")

    monkeypatch.setattr("torch.compile", fails)
    with pytest.raises(CrganError, match=r"cannot compile[\s\S]*g\+\+"):
        predict(trained, images, tmp_path / "out", compiled=True, threads=1)
    assert not (tmp_path / "out").exists()


def test_numbers_of_16_bits_change_little_and_are_not_mixed_with_others(masks: Path, trained: Path, images: Path, tmp_path: Path) -> None:
    short = tmp_path / "short"
    predict(trained, images, short, probabilities=True, precision="bf16-mixed", threads=1)
    for number in (0, 2):
        whole, rough = voxels(masks / f"p{number}.nii.gz") > 0, voxels(short / f"p{number}.nii.gz") > 0
        assert 2 * (whole & rough).sum() / (whole.sum() + rough.sum()) > 0.97
    maps = [voxels(folder / "maps" / "p0_whole_probability.nii.gz") for folder in (masks, short)]
    assert 0 < np.abs(maps[0] - maps[1]).mean() < 0.02
    with pytest.raises(CrganError, match=r"expected: precision: 32-true[\s\S]*got: +precision: bf16-mixed"):
        predict(trained, images, short, probabilities=True, resume=True, threads=1)


def test_the_dial_and_the_generator_alone(trained: Path, images: Path, tmp_path: Path) -> None:
    sizes = {}
    for name, settings in {
        "sensitive": {"fn_threshold": 0.05, "fp_threshold": 0.95},
        "precise": {"fn_threshold": 0.95, "fp_threshold": 0.05},
        "generator": {"generator_only": True},
    }.items():
        (path,) = predict(trained, images, tmp_path / name, cases=["p0"], threads=1, **settings)
        sizes[name] = int((voxels(path) > 0).sum())
    assert sizes["sensitive"] > sizes["precise"] > 0
    model = Model.load(trained)
    array = np.stack([voxels(images / "p0" / f"p0_{name}.nii.gz").transpose() for name in ("flair", "t1")])
    expected = model.segment(array, spacing_mm=(1.1, 1.0, 1.0), generator_only=True).labels
    assert (voxels(tmp_path / "generator" / "p0.nii.gz") == expected.transpose()).all()
    with pytest.raises(CrganError, match="no such aim"):
        predict(trained, images, tmp_path / "aimless", aim="fewer")
    assert not (tmp_path / "aimless").exists()
    aimed = predict(trained, images, tmp_path / "aimed", aim="dice", threads=1)
    plain = predict(trained, images, tmp_path / "plain", threads=1)
    assert [path.read_bytes() for path in aimed] == [path.read_bytes() for path in plain]


@pytest.fixture(scope="module")
def single(write_patients, small_config: MakeConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model of one modality, and its patients."""
    folder = tmp_path_factory.mktemp("single")
    data = write_patients(folder / "data", modalities=("flair",))
    return train(data, folder / "run", config=small_config(steps=30)), data


@pytest.fixture(scope="module")
def pictures(small_config: MakeConfig, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model of grey pictures, and the folder of them."""
    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(0)
    for index in range(4):
        rows, columns = np.indices((24, 30))
        cell = ((rows - 8 - index) ** 2 + (columns - 12) ** 2 < 30).astype(np.uint8)
        for kind, array in (("images", 60 + 90 * cell + random.normal(0, 5, cell.shape)), ("labels", cell)):
            (folder / "data" / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array.astype(np.uint8)).save(folder / "data" / kind / f"c{index}.png")
    adamw = ("generator_optimisation.optimiser=adamw", "generator_optimisation.learning_rate=0.02")
    config = small_config("batch.length=null", *adamw, steps=60)
    return train(folder / "data", folder / "run", config=config), folder / "data"


def test_a_single_file(single: tuple[Path, Path], tmp_path: Path) -> None:
    run, data = single
    (all_masks, one) = (
        predict(run, data, tmp_path / "all", threads=1),
        predict(run, data / "p1" / "p1_flair.nii.gz", tmp_path / "one", threads=1),
    )
    assert [path.name for path in one] == ["p1_flair.nii.gz"]
    assert (voxels(one[0]) == voxels(all_masks[1])).all()


def test_a_picture_gives_a_picture(pictures: tuple[Path, Path], tmp_path: Path) -> None:
    run, data = pictures
    written = predict(run, data, tmp_path / "all", probabilities=True, threads=1)
    assert [path.name for path in written] == [f"c{index}.png" for index in range(4)]
    for path in written:
        mask, truth = np.asarray(Image.open(path)), np.asarray(Image.open(data / "labels" / path.name))
        assert mask.shape == truth.shape
        assert 2 * (mask & truth).sum() / (mask.sum() + truth.sum()) > 0.8
    assert {path.name for path in (tmp_path / "all" / "maps").iterdir()} == {f"c{index}_class-1_probability.nii.gz" for index in range(4)}
    (one,) = predict(run, data / "images" / "c2.png", tmp_path / "one", threads=1)
    assert one.read_bytes() == written[2].read_bytes()


@pytest.mark.parametrize(
    ("suffix", "written"), [(".tif", ".tif"), (".PNG", ".png"), (".nrrd", ".nrrd"), (".mha", ".mha"), (".mhd", ".nii.gz")]
)
def test_pictures_keep_their_format_where_it_can_be_written(pictures, tmp_path: Path, suffix: str, written: str) -> None:
    import SimpleITK
    import tifffile

    run, data = pictures
    pixels = np.asarray(Image.open(data / "images" / "c1.png"))
    path = tmp_path / "images" / f"c1{suffix}"
    path.parent.mkdir()
    if suffix == ".PNG":
        Image.fromarray(pixels).save(path, format="PNG")
    elif suffix == ".tif":
        tifffile.imwrite(path, pixels)
    else:
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(pixels.T), str(path))  # its first axis is the fastest, here the rows
    (mask,) = predict(run, path, tmp_path / "out", threads=1)
    assert mask.name == f"c1{written}"
    (expected,) = predict(run, data / "images" / "c1.png", tmp_path / "expected", threads=1)
    assert (read_volume(mask).array[0, ..., 0] == np.asarray(Image.open(expected))).all()


@pytest.mark.parametrize("suffix", [".nii", ".nrrd", ".mha"])
def test_volumes_become_nifti(single: tuple[Path, Path], tmp_path: Path, suffix: str) -> None:
    import SimpleITK

    run, data = single
    source = data / "p0" / "p0_flair.nii.gz"
    path = tmp_path / "images" / f"p0_flair{suffix}"
    path.parent.mkdir()
    SimpleITK.WriteImage(SimpleITK.ReadImage(str(source)), str(path))
    (mask,) = predict(run, path, tmp_path / "out", threads=1)
    (expected,) = predict(run, source, tmp_path / "expected", threads=1)
    assert mask.name == "p0_flair.nii.gz"
    assert np.allclose(nib.load(mask).affine, nib.load(expected).affine, atol=1e-5)
    assert (voxels(mask) == voxels(expected)).all()


class TestLabelsAreIgnored:
    def test_whatever_they_hold(self, masks: Path, trained: Path, patients: Path, tmp_path: Path) -> None:
        data = shutil.copytree(patients, tmp_path / "data")
        (data / "labels.json").unlink()
        (data / "p0" / "p0_seg.nii.gz").write_bytes(b"broken")
        (data / "p1" / "p1_seg.nii.gz").unlink()
        other = nib.load(data / "p2" / "p2_seg.nii.gz")
        nib.save(nib.Nifti1Image(np.full((3, 3, 3), 77, np.int16), other.affine), data / "p2" / "p2_seg.nii.gz")
        predict(trained, data, tmp_path / "out", threads=1)
        for number in range(4):
            assert (tmp_path / "out" / f"p{number}.nii.gz").read_bytes() == (masks / f"p{number}.nii.gz").read_bytes()

    def test_even_if_all_are_broken(self, trained: Path, patients: Path, tmp_path: Path) -> None:
        data = shutil.copytree(patients, tmp_path / "data")
        (data / "labels.json").write_text("{", encoding="utf-8")
        for path in data.glob("*/*_seg.nii.gz"):
            path.write_bytes(b"broken")
        assert len(predict(trained, data, tmp_path / "out", threads=1)) == 4

    def test_one_without_an_image_makes_no_case(self, pictures: tuple[Path, Path], tmp_path: Path) -> None:
        run, data = pictures
        more = shutil.copytree(data, tmp_path / "data")
        shutil.copy(data / "labels" / "c0.png", more / "labels" / "extra.png")
        assert len(predict(run, more, tmp_path / "out", threads=1)) == 4


class TestModalities:
    def test_one_that_is_missing_is_told_for_every_case_before_work_begins(self, trained: Path, images: Path, tmp_path: Path) -> None:
        shutil.copytree(images / "p0", images / "p1")
        for path in (images / "p1").iterdir():
            path.rename(path.with_name(path.name.replace("p0", "p1")))
        (images / "p0" / "p0_t1.nii.gz").unlink()
        with pytest.raises(CrganError, match=r"p0 lacks the modality t1"):
            predict(trained, images, tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_all_of_one_are_missing(self, trained: Path, images: Path, tmp_path: Path) -> None:
        for path in images.glob("*/*_t1.nii.gz"):
            path.unlink()
        with pytest.raises(CrganError, match=r"do not have the modalities[\s\S]*2: flair, t1"):
            predict(trained, images, tmp_path / "out")

    def test_their_names_may_be_written_otherwise(self, masks: Path, trained: Path, images: Path, tmp_path: Path) -> None:
        for path in list(images.glob("*/*_t1.nii.gz")):
            path.rename(path.with_name(path.name.replace("_t1.", "_T1.")))
        predict(trained, images, tmp_path / "out", threads=1)
        assert (tmp_path / "out" / "p0.nii.gz").read_bytes() == (masks / "p0.nii.gz").read_bytes()

    def test_others_of_the_same_number_are_refused(self, trained: Path, images: Path, tmp_path: Path) -> None:
        for path in list(images.glob("*/*_t1.nii.gz")):
            path.rename(path.with_name(path.name.replace("_t1.", "_t2.")))
        with pytest.raises(CrganError, match=r"2: flair, t1[\s\S]*2: flair, t2"):
            predict(trained, images, tmp_path / "out")


class TestOutput:
    def test_what_is_there_is_not_written_over(self, trained: Path, images: Path, tmp_path: Path) -> None:
        (tmp_path / "out").mkdir()
        predict(trained, images, tmp_path / "out", cases=["p0"], threads=1)  # an empty folder will do
        before = content(tmp_path / "out")
        with pytest.raises(CrganError, match=r"already holds something[\s\S]*--overwrite"):
            predict(trained, images, tmp_path / "out")
        assert content(tmp_path / "out") == before
        predict(trained, images, tmp_path / "out", overwrite=True, threads=1)
        assert {"p0.nii.gz", "p2.nii.gz"} <= {*content(tmp_path / "out")}

    @pytest.mark.parametrize("overwrite", [False, True])
    def test_a_file_in_its_place(self, trained: Path, images: Path, tmp_path: Path, overwrite: bool) -> None:
        (tmp_path / "out").write_text("mine", encoding="utf-8")
        with pytest.raises(CrganError):
            predict(trained, images, tmp_path / "out", overwrite=overwrite, threads=1)
        assert (tmp_path / "out").read_text(encoding="utf-8") == "mine"

    def test_images_and_labels_are_never_written_over(self, pictures: tuple[Path, Path], single: tuple[Path, Path], tmp_path: Path) -> None:
        run, data = pictures
        data = shutil.copytree(data, tmp_path / "data")
        volumes = tmp_path / "volumes"
        volumes.mkdir()
        shutil.copy(single[1] / "p0" / "p0_flair.nii.gz", volumes / "x.nii.gz")
        before = content(tmp_path)
        for model, source, out in (
            (run, data, data / "images"),
            (run, data, data / "labels"),
            (run, data / "images" / "c1.png", data / "images"),
            (run, data / "images", data / "labels" / ".." / "images"),
            (single[0], volumes, volumes),
            (single[0], volumes / "x.nii.gz", volumes),
        ):
            with pytest.raises(CrganError, match="take the place"):
                predict(model, source, out, overwrite=True)
            assert content(tmp_path) == before

    def test_a_full_disk_is_told_and_leaves_whole_files_only(self, trained: Path, images: Path, tmp_path: Path, monkeypatch) -> None:
        from crgan.cases.formats.nifti import Nifti

        real, calls = Nifti.write, []

        def full(self: Nifti, path: Path, *args: object, **kwargs: object) -> None:
            calls.append(path)
            if len(calls) == 2:
                path.write_bytes(b"half")
                raise OSError(28, "No space left on device")
            real(self, path, *args, **kwargs)

        monkeypatch.setattr(Nifti, "write", full)
        with pytest.raises(CrganError, match=r"p2\.nii\.gz[\s\S]*No space left on device[\s\S]*disk has room"):
            predict(trained, images, tmp_path / "out", threads=1)
        assert {*content(tmp_path / "out")} == {".prediction.json", "labels.json", "p0.nii.gz"}

    def test_a_folder_that_cannot_be_written_to_is_told(self, trained: Path, images: Path, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(CrganError, match="could not be written"):
            predict(trained, images, tmp_path / "file" / "out", threads=1)


class TestImages:
    def test_all_that_is_wrong_is_told_before_any_is_segmented(self, trained: Path, images: Path, tmp_path: Path) -> None:
        (images / "p0" / "p0_flair.nii.gz").write_bytes(b"")
        image = nib.load(images / "p2" / "p2_t1.nii.gz")
        nib.save(nib.Nifti1Image(np.full(image.shape, np.nan, np.float32), image.affine), images / "p2" / "p2_t1.nii.gz")
        with pytest.raises(CrganError) as caught:
            predict(trained, images, tmp_path / "out")
        assert "p0_flair.nii.gz" in str(caught.value)
        assert "p2" in str(caught.value)
        assert not (tmp_path / "out").exists()

    def test_a_case_that_is_not_wanted_may_be_broken(self, trained: Path, images: Path, tmp_path: Path) -> None:
        (images / "p0" / "p0_flair.nii.gz").write_bytes(b"")
        assert len(predict(trained, images, tmp_path / "out", cases=["p2"], threads=1)) == 1

    @pytest.mark.parametrize("where", ["nothing", "empty", "text"])
    def test_where_there_are_none_it_is_told(self, trained: Path, tmp_path: Path, where: str) -> None:
        (tmp_path / "empty").mkdir()
        (tmp_path / "text").mkdir()
        (tmp_path / "text" / "notes.txt").touch()
        with pytest.raises(CrganError):
            predict(trained, tmp_path / where, tmp_path / "out")
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("device", ["cuda:9", "abacus"])
def test_a_device_that_is_not_there_is_told(trained: Path, images: Path, tmp_path: Path, device: str) -> None:
    with pytest.raises(CrganError, match=f"--device {device}"):
        predict(trained, images, tmp_path / "out", device=device)
    assert not (tmp_path / "out").exists()


def test_a_run_that_has_not_ended_cannot_predict(images: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.yaml").touch()
    with pytest.raises(CrganError, match="a run that has not ended"):
        predict(tmp_path / "run", images, tmp_path / "out")


def test_progress_counts_the_cases(trained: Path, images: Path, tmp_path: Path) -> None:
    from contextlib import contextmanager
    from types import SimpleNamespace

    from crgan.progress import Silent

    class Counting(Silent):
        counted = 0

        @contextmanager
        def task(self, name: str, total: int):
            def advance(n: int = 1) -> None:
                self.counted += n * (name == "segmenting")

            assert total == 2
            yield SimpleNamespace(advance=advance)

    progress = Counting()
    predict(trained, images, tmp_path / "out", progress=progress, threads=1)
    assert progress.counted == 2


@pytest.fixture(scope="module")
def look(trained: Path, patients: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Masks by a dial that leaves most of what is there out, and where to look for it."""
    out = tmp_path_factory.mktemp("look") / "out"
    hidden = {"fn_threshold": 1.0, "fp_threshold": 0.02}
    predict(trained, patients, out, cases=["p0", "p1"], where_to_look=True, probabilities=True, threads=1, **hidden)
    return out


class TestWhereToLook:
    def test_the_list_the_map_and_the_points_agree(self, look: Path) -> None:
        assert {path.name for path in (look / "where_to_look").iterdir()} == {
            f"{case}{ending}" for case in ("p0", "p1") for ending in (".json", "_look.nii.gz", ".mrk.json")
        }
        for case in ("p0", "p1"):
            listed = read_json(look / "where_to_look" / f"{case}.json")
            assert listed["case"] == case
            ranked, mask = (nib.load(path) for path in (look / "where_to_look" / f"{case}_look.nii.gz", look / f"{case}.nii.gz"))
            assert np.array_equal(ranked.affine, mask.affine)
            ranks = np.asarray(ranked.dataobj)
            assert ranks.shape == mask.shape
            assert {*np.unique(ranks)} - {0} == {place["rank"] for place in listed["places"]}
            (markups,) = read_json(look / "where_to_look" / f"{case}.mrk.json")["markups"]
            assert markups["coordinateSystem"] == "RAS"
            for place, point in zip(listed["places"], markups["controlPoints"], strict=True):
                assert ranks[tuple(place["voxel"])] == place["rank"]
                assert (ranks == place["rank"]).sum() == place["voxels"]
                assert point["position"] == place["position_mm"]
                assert np.allclose(nib.affines.apply_affine(ranked.affine, place["voxel"]), place["position_mm"], atol=1e-3)
                chance = voxels(look / "maps" / f"{case}_{place['target']}_probability.nii.gz")[ranks == place["rank"]]
                assert place["probability"] == pytest.approx(chance.max(), abs=1e-3)

    def test_what_was_left_out_is_found_there(self, look: Path, patients: Path) -> None:
        shares = []
        for case in ("p0", "p1"):
            truth, mask = voxels(patients / case / f"{case}_seg.nii.gz") > 0, voxels(look / f"{case}.nii.gz") > 0
            missed = truth & ~mask
            assert missed.any()
            shares.append((voxels(look / "where_to_look" / f"{case}_look.nii.gz")[missed] > 0).mean())
        assert np.mean(shares) > 0.5

    def test_a_generator_alone_tells_too(self, trained: Path, images: Path, tmp_path: Path) -> None:
        predict(trained, images, tmp_path / "out", cases=["p0"], where_to_look=True, generator_only=True, threads=1)
        places = read_json(tmp_path / "out" / "where_to_look" / "p0.json")["places"]
        assert all(0.1 <= place["probability"] <= 1 for place in places)

    def test_pictures_keep_their_format(self, pictures: tuple[Path, Path], tmp_path: Path) -> None:
        run, data = pictures
        predict(run, data, tmp_path / "out", cases=["c0"], where_to_look=True, threads=1)
        assert {path.name for path in (tmp_path / "out" / "where_to_look").iterdir()} == {"c0.json", "c0_look.png"}
