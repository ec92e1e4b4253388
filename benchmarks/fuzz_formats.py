"""Damage image files of every format in many ways and read them: `python benchmarks/fuzz_formats.py [--count 200]`.

Each file is small, made here and damaged by a seed of its own: bits flipped, cut short, a number in the header replaced
by a huge or a negative one, bytes put in or taken out. A reader must give an image or a `CrganError` whose text is
short and complete, within two seconds and 1 GB. Files are read in processes of their own, so that a crash of a library
is seen, too. Prints a row a format; exits with 1 if anything else happened.
"""

from __future__ import annotations

import argparse
import gzip
import random
import resource
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

import nibabel as nib
import numpy as np
import tifffile
from PIL import Image

from crgan.cases.files import read_geometry, read_volume
from crgan.cases.formats.itk import load_itk
from crgan.errors import CrganError

MEMORY = 1 << 30
SECONDS = 2.0
HEADER = 600  # most of what describes an image stands in its first bytes
LIES = (
    *(struct.pack(kind, value) for kind, value in [("<i", -1), ("<i", 2**31 - 1), ("<I", 2**16), (">I", 2**31 - 1), (">I", 2**16)]),
    *(b"\xff\x7f", b"\x7f\xff", b"\0\0", b"9999", b"-1  "),
)


def voxels() -> np.ndarray:
    """A small image ``(12, 11, 10)`` that does not compress to nothing."""
    return np.random.default_rng(0).integers(0, 4000, (12, 11, 10)).astype(np.int16)


def nifti(path: Path) -> None:
    """NIfTI, not compressed."""
    nib.save(nib.Nifti1Image(voxels(), np.diag([1.0, 2.0, 3.0, 1.0])), path)


def itk(path: Path) -> None:
    """NRRD or MetaImage, compressed."""
    sitk = load_itk()
    sitk.WriteImage(sitk.GetImageFromArray(voxels()), str(path), useCompression=True)


def png(path: Path) -> None:
    """Grey of 16 bits."""
    Image.fromarray(voxels()[0].astype(np.uint16)).save(path)


def pgm(path: Path) -> None:
    """Grey of 8 bits."""
    Image.fromarray((voxels()[0] >> 4).astype(np.uint8)).save(path)


def tiff(path: Path) -> None:
    """A stack of pages, compressed."""
    tifffile.imwrite(path, voxels(), compression="zlib", photometric="minisblack")


def ome(path: Path) -> None:
    """Channels and planes with physical sizes."""
    tifffile.imwrite(path, voxels().reshape(3, 4, 11, 10), photometric="minisblack", metadata={"axes": "ZCYX", "PhysicalSizeX": 0.5})


def dicom(path: Path) -> None:
    """One slice of a CT."""
    import pydicom
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

    data = pydicom.Dataset()
    data.file_meta = pydicom.dataset.FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = CTImageStorage
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = "1.2.3"
    data.SeriesInstanceUID, data.Modality = "1.2", "CT"
    data.ImagePositionPatient, data.ImageOrientationPatient, data.PixelSpacing = [1, 2, 3], [1, 0, 0, 0, 1, 0], [0.5, 0.5]
    data.Rows, data.Columns, data.SamplesPerPixel, data.PhotometricInterpretation = 11, 10, 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 16, 15, 1
    data.RescaleSlope, data.RescaleIntercept = 1, -1024
    data.PixelData = voxels()[0].tobytes()
    data.save_as(path, enforce_file_format=True)


FORMATS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "NIfTI": (".nii", nifti),
    "NIfTI, gzip": (".nii.gz", nifti),
    "NRRD": (".nrrd", itk),
    "MetaImage": (".mha", itk),
    "PNG": (".png", png),
    "PGM": (".pgm", pgm),
    "TIFF": (".tif", tiff),
    "OME-TIFF": (".ome.tif", ome),
    "DICOM": (".dcm", dicom),
}


def damage(content: bytes, seed: int) -> bytes:
    """Damage a file's bytes in the way that the seed says."""
    rng = random.Random(seed)
    found = bytearray(content)
    start = min(len(found), HEADER)
    way = seed % 6
    if way == 0:  # a few bits, anywhere in the header
        for _ in range(rng.choice((1, 3, 10))):
            found[rng.randrange(start)] ^= 1 << rng.randrange(8)
    elif way == 1:  # many bits, anywhere
        for _ in range(rng.choice((1, 20, 200))):
            found[rng.randrange(len(found))] ^= 1 << rng.randrange(8)
    elif way == 2:  # cut short
        del found[rng.randrange(len(found)) :]
    elif way == 3:  # a lie in the header
        lie, place = rng.choice(LIES), rng.randrange(start)
        found[place : place + len(lie)] = lie
    elif way == 4:  # a written number becomes a huge one (text headers); in others, a lie on an even place
        digits = [place for place in range(start) if chr(found[place]).isdigit()]
        place = rng.choice(digits) if digits else rng.randrange(start)
        found[place : place + 1] = b"99999999"[: rng.choice((1, 4, 8))]
    else:  # bytes too many or too few
        place = rng.randrange(start)
        found[place : place + rng.randrange(8)] = rng.randbytes(rng.randrange(8))
    return bytes(found)


def damage_file(name: str, sound: bytes, seed: int) -> bytes:
    """Damage a file of a format; gzip is damaged inside half of the time, where its checksum does not help."""
    if FORMATS[name][0] == ".nii.gz" and seed % 2 == 0:
        return gzip.compress(damage(gzip.decompress(sound), seed // 2))
    return damage(sound, seed)


def read_damaged(path: Path) -> tuple[str, float, int]:
    """Read a file; gives what came of it, the seconds, and the bytes this process has needed at most."""
    before = time.perf_counter()
    outcome = "read"
    for read in (read_geometry, read_volume):
        try:
            read(path)
        except CrganError as error:
            problem = error.problems[0]
            clear = problem.what.endswith(".") and problem.where is not None and problem.fix is not None and len(str(problem)) < 1000
            outcome = "refused" if clear else f"unclear: {problem.what}"
        except MemoryError:
            outcome = "fault: MemoryError"
        except Exception as error:  # noqa: BLE001 - whatever else comes out is what this looks for
            outcome = f"fault: {type(error).__name__}: {error}"[:200]
    return outcome, time.perf_counter() - before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (6 * MEMORY, 6 * MEMORY))  # address space, of which libraries map more than they use
    load_itk()


def fuzz(name: str, folder: Path, count: int) -> tuple[Counter[str], float, int]:
    """Read ``count`` damaged files of a format in a process of its own; gives outcomes, the longest time and the most memory."""
    outcomes: Counter[str] = Counter()
    longest, most = 0.0, 0
    suffix, write = FORMATS[name]
    write(folder / f"sound{suffix}")
    sound = (folder / f"sound{suffix}").read_bytes()
    pool = None
    for seed in range(count):
        path = folder / str(seed) / f"damaged{suffix}"  # a folder each: a DICOM file stands for its whole folder
        path.parent.mkdir()
        path.write_bytes(damage_file(name, sound, seed))
        pool = pool or ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_limit_memory)
        try:
            outcome, seconds, memory = pool.submit(read_damaged, path).result(timeout=30)
        except BrokenProcessPool:
            outcome, seconds, memory = f"crash (seed {seed})", 0.0, 0
            pool = None
        except TimeoutError:
            outcome, seconds, memory = f"hang (seed {seed})", 30.0, 0
            for process in list(getattr(pool, "_processes", {}).values()):
                process.kill()
            pool = None
        outcomes[outcome if outcome in {"read", "refused"} else f"{outcome} [seed {seed}]"] += 1
        longest, most = max(longest, seconds), max(most, memory)
    if pool is not None:
        pool.shutdown()
    return outcomes, longest, most


def main() -> int:
    """Fuzz every format and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="files per format")
    parser.add_argument("--format", choices=FORMATS, help="only this one")
    arguments = parser.parse_args()
    bad = False
    print(f"{'format':<12} {'files':>5} {'read':>5} {'refused':>7} {'other':>5} {'longest s':>9} {'memory MB':>9}")
    for name in FORMATS if arguments.format is None else [arguments.format]:
        with tempfile.TemporaryDirectory() as folder:
            outcomes, longest, most = fuzz(name, Path(folder), arguments.count)
        others = {outcome: number for outcome, number in outcomes.items() if outcome not in {"read", "refused"}}
        row = f"{name:<12} {arguments.count:>5} {outcomes['read']:>5} {outcomes['refused']:>7} {sum(others.values()):>5}"
        print(f"{row} {longest:>9.2f} {most / 2**20:>9.0f}", flush=True)
        for outcome in others:
            print(f"  {outcome}")
        bad |= bool(others) or longest > SECONDS or most > MEMORY
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
