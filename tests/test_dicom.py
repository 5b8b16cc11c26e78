"""DICOM: how gray values are shown, what is refused, and that nobody's name comes along."""

import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stylesr import dicom, jobs
from stylesr.cli import main
from stylesr.errors import ImageError
from stylesr.images import check, decode
from tests import tiny

pydicom = pytest.importorskip("pydicom")
NAME = "Doe^Jane"
CT = np.linspace(0, 4000, 12 * 16).reshape(12, 16).astype(np.uint16)


def file(
    values: np.ndarray[Any, Any] = CT, syntax: str = "ExplicitVRLittleEndian", **said: Any
) -> bytes:
    """A DICOM file of these stored values, (H, W) or (frames, H, W), with a patient's name."""
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = getattr(pydicom.uid, syntax)
    dataset.PatientName, dataset.StudyDate = NAME, "20200102"
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3.4"
    bits = 8 * values.dtype.itemsize
    defaults = {
        "Rows": values.shape[-2],
        "Columns": values.shape[-1],
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(values.dtype.kind == "i"),
    }
    if values.ndim == 3:
        defaults["NumberOfFrames"] = len(values)
    for name, value in {**defaults, **said}.items():
        if value is not None:
            setattr(dataset, name, value)
    dataset.PixelData = values.tobytes()
    if dataset.file_meta.TransferSyntaxUID.is_compressed:
        dataset.PixelData = pydicom.encaps.encapsulate([values.tobytes()])
    out = BytesIO()
    pydicom.dcmwrite(out, dataset, enforce_file_format=True)
    return out.getvalue()


def gray(data: bytes) -> np.ndarray[Any, Any]:
    """The values of a gray picture, all three channels alike."""
    picture = decode(data)
    assert picture.gray and bool((picture.pixels == picture.pixels[:1]).all())
    return np.asarray(picture.pixels[0])


# -- how it is shown ------------------------------------------------------------------------------


def test_a_window_says_what_is_black_and_what_is_white() -> None:
    """Rows of the example in DICOM's part 3, C.11.2.1.2.1: centre 2048, width 4096."""
    values = np.array([[0, 2047, 2048, 4095, 4096, 9999]], np.uint16)
    shown = gray(file(values, WindowCenter=2048, WindowWidth=4096))
    expected = np.array([[0, 2047 / 4095, 2048 / 4095, 1, 1, 1]])
    assert abs(shown - expected).max() < 1e-5


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"WindowCenter": 50, "WindowWidth": 100, "VOILUTFunction": "LINEAR_EXACT"}, [0, 0.5, 1]),
        (
            {"WindowCenter": 50, "WindowWidth": 100, "VOILUTFunction": "SIGMOID"},
            [1 / (1 + np.exp(2)), 0.5, 1 / (1 + np.exp(-2))],
        ),
        ({"WindowCenter": [50, 7], "WindowWidth": [101, 9]}, [0.005, 0.505, 1]),
        ({}, [0, 0.5, 1]),  # the lowest and the highest value
    ],
)
def test_every_kind_of_window(said: dict[str, Any], expected: list[float]) -> None:
    values = np.array([[0, 50, 100]], np.uint16)
    assert abs(gray(file(values, **said)) - expected).max() < 1e-4
    assert abs(gray(file(values, **said, PhotometricInterpretation="MONOCHROME1"))
               - (1 - np.array(expected))).max() < 1e-4  # fmt: skip
    told = any("no window" in notice for notice in decode(file(values, **said)).notices)
    assert told == (not said)


def test_values_are_rescaled_before_the_window() -> None:
    """Hounsfield units: signed values of 12 bits, stored from 1024 up."""
    values = np.array([[-24, 1024, 2048]], np.int16)
    said = {"RescaleSlope": 1, "RescaleIntercept": -1024, "WindowCenter": 0.5, "WindowWidth": 2049}
    assert abs(gray(file(values, **said)) - [0, 0.5, 1]).max() < 0.012


def test_a_table_instead_of_a_window() -> None:
    table = pydicom.Dataset()
    table.LUTDescriptor = [3, 0, 16]
    table.LUTData = np.array([0, 65535, 16384], np.uint16).tobytes()
    said = {"VOILUTSequence": pydicom.Sequence([table])}
    shown = gray(file(np.array([[0, 1, 2]], np.uint16), **said))
    assert abs(shown - [0, 1, 0.25]).max() < 1e-4


@pytest.mark.parametrize(("values", "bits"), [(CT, 16), (CT.astype(np.uint8), 8)])
@pytest.mark.parametrize(
    "syntax", ["ExplicitVRLittleEndian", "ImplicitVRLittleEndian", "RLELossless"]
)
def test_levels_are_kept(values: np.ndarray[Any, Any], bits: int, syntax: str) -> None:
    if syntax == "RLELossless":
        dataset = pydicom.dcmread(BytesIO(file(values)))
        dataset.compress(pydicom.uid.RLELossless)
        out = BytesIO()
        dataset.save_as(out)
        data = out.getvalue()
    else:
        data = file(values, syntax)
    assert check(data) == (12, 16)
    assert decode(data).bits == bits
    assert len(np.unique(gray(data))) == len(np.unique(values))


def test_the_first_of_many_frames_by_its_own_window() -> None:
    """As an enhanced CT has it: rescaling for all frames, a window for each."""
    rescale, window, other = (pydicom.Dataset() for _ in range(3))
    rescale.RescaleSlope, rescale.RescaleIntercept = 2, 0
    window.WindowCenter, window.WindowWidth = 100.5, 201
    other.WindowCenter, other.WindowWidth = 5, 9
    shared, *each = (pydicom.Dataset() for _ in range(3))
    shared.PixelValueTransformationSequence = pydicom.Sequence([rescale])
    each[0].FrameVOILUTSequence = pydicom.Sequence([window])
    each[1].FrameVOILUTSequence = pydicom.Sequence([other])
    values = np.array([[[0, 50, 100]], [[7, 7, 7]]], np.uint16)
    data = file(
        values,
        SharedFunctionalGroupsSequence=pydicom.Sequence([shared]),
        PerFrameFunctionalGroupsSequence=pydicom.Sequence(each),
    )
    assert abs(gray(data) - [0, 0.5, 1]).max() < 1e-4
    assert "first of 2 frames used" in decode(data).notices


def test_colour_of_eight_bits() -> None:
    values = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    said = {"SamplesPerPixel": 3, "PlanarConfiguration": 0, "PhotometricInterpretation": "RGB"}
    data = file(values, **said, Rows=2, Columns=3, NumberOfFrames=1)
    picture = decode(data)
    assert not picture.gray
    assert np.array_equal(np.asarray(picture.pixels.permute(1, 2, 0) * 255).round(), values)


# -- what comes along -----------------------------------------------------------------------------


@pytest.mark.parametrize("metadata", ["safe", "keep", "strip"])
def test_nothing_of_the_patient_gets_into_a_result(
    tmp_path: Path, metadata: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.photo().save_pretrained(tmp_path / "photo")
    source, result = tmp_path / "scan", tmp_path / "large.png"
    source.write_bytes(file(BurnedInAnnotation="YES"))
    options = ["--style", str(tmp_path / "photo"), "--scale", "2", "--metadata", metadata]
    assert main(["enhance", str(source), str(result), *options]) == 0
    data = result.read_bytes()
    assert b"Doe" not in data and b"2020" not in data
    with Image.open(result) as image:
        assert (image.mode, image.size) == ("I;16", (32, 24))
    told = capsys.readouterr().err
    assert dicom.WARNING in told and "words about the patient are part of its pixels" in told


def test_a_folder_of_them(tmp_path: Path) -> None:
    tiny.photo().save_pretrained(tmp_path / "photo")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.dcm").write_bytes(file())
    items = jobs.find(tmp_path / "in", tmp_path / "out", format="tiff")
    (outcome,) = jobs.run(items, tmp_path / "out", jobs.Job({str(tmp_path / "photo"): 1.0}))
    assert outcome.status == "made" and dicom.WARNING in outcome.notices
    assert decode(tmp_path / "out" / "a.tiff").bits == 16


# -- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (file()[:-50], "the picture is truncated or damaged"),
        (file()[:140], "the picture is truncated or damaged"),
        (file(Rows=None), "the picture is DICOM without a picture"),
        (file(syntax="DeflatedExplicitVRLittleEndian"), "the picture is deflated DICOM"),
        (
            file(PhotometricInterpretation="PALETTE COLOR"),
            "the picture is PALETTE COLOR of 16 bits",
        ),
        (file(Rows=9000, Columns=9000), "9000×9000 = 81,000,000 pixels; at most 64,000,000"),
    ],
    ids=["cut", "no-header", "nothing", "deflated", "palette", "large"],
)
def test_it_says_why_it_does_not_read(data: bytes, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        decode(data)


def test_how_it_is_compressed_may_be_unknown() -> None:
    with pytest.raises(ImageError, match="compressed in a way that is not read here"):
        decode(file(syntax="JPEGLSLossless"))


def test_without_pydicom_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    data = file()
    monkeypatch.setitem(sys.modules, "pydicom.filereader", None)
    with pytest.raises(ImageError, match=r"is DICOM: pip install 'stylesr\[dicom\]'"):
        decode(data)
