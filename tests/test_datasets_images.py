"""Opening images from users' folders: what is shown is what a viewer shows, and bad files give one sentence."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

from vlmgate.datasets.images import MAX_PIXELS, open_image
from vlmgate.spec import VlmgateError


def picture() -> Image.Image:
    """48 × 32: red on the left, blue on the right, with noise so that no format compresses it to nothing."""
    pixels = np.zeros((32, 48, 3), np.int16)
    pixels[:, :24], pixels[:, 24:] = (220, 30, 30), (30, 30, 220)
    pixels += np.random.default_rng(0).integers(-20, 20, pixels.shape, dtype=np.int16)
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def save(path: Path, image: Image.Image, **options: Any) -> Path:
    image.save(path, **options)
    return path


def pixels(path: Path) -> np.ndarray:
    image = open_image(path)
    assert image.mode == "RGB"
    return np.asarray(image).astype(int)


def png_header(width: int, height: int) -> bytes:
    """A PNG that declares a size and holds no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_undone(tmp_path: Path, orientation: int) -> None:
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = picture().transpose(undo[orientation]) if orientation > 1 else picture()
    path = save(tmp_path / "a.png", stored, exif=exif)
    assert np.array_equal(pixels(path), np.asarray(picture()))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_on_white_whatever_lies_below(tmp_path: Path, mode: str) -> None:
    image = Image.new(mode, (4, 2), (0, 0, 0, 0) if mode == "RGBA" else (0, 0))
    image.putpixel((0, 0), (10, 20, 30, 255) if mode == "RGBA" else (10, 255))
    image.putpixel((1, 0), (0, 0, 0, 128) if mode == "RGBA" else (0, 128))
    got = pixels(save(tmp_path / "a.png", image))
    assert tuple(got[0, 0]) == ((10, 20, 30) if mode == "RGBA" else (10, 10, 10))
    assert tuple(got[0, 1]) == (127, 127, 127)
    assert (got[1] == 255).all()


def test_palette_with_and_without_a_transparent_entry(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([0, 0, 0, 200, 10, 20])
    image.putpixel((1, 0), 1)
    assert pixels(save(tmp_path / "opaque.png", image)).tolist() == [[[0, 0, 0], [200, 10, 20]]]
    path = save(tmp_path / "clear.png", image, transparency=0)
    assert pixels(path).tolist() == [[[255, 255, 255], [200, 10, 20]]]


def test_transparent_colour_of_an_rgb_png(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", Image.new("RGB", (2, 2), (1, 2, 3)), transparency=(1, 2, 3))
    assert (pixels(path) == 255).all()


def test_cmyk_jpeg_keeps_its_colours(tmp_path: Path) -> None:
    got = pixels(save(tmp_path / "a.jpg", picture().convert("CMYK"), quality=95))
    assert np.abs(got[:, :20].mean((0, 1)) - (220, 30, 30)).max() < 12
    assert np.abs(got[:, 28:].mean((0, 1)) - (30, 30, 220)).max() < 12


def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path: Path) -> None:
    values = np.array([[0, 257, 32_768, 65_535]], np.uint16)
    for name in ("a.png", "a.tif"):
        assert pixels(save(tmp_path / name, Image.fromarray(values)))[0, :, 0].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([[0.0, 0.5, 1.0]], np.float32), [0, 128, 255]),
        (np.array([[0.0, 100.0, 255.0]], np.float32), [0, 100, 255]),
        (np.array([[-10.0, np.nan, 10.0]], np.float32), [0, 128, 255]),
        (np.array([[0, 257, 65_535]], np.int32), [0, 1, 255]),
        (np.array([[0, 1_000_000, 2_000_000]], np.int32), [0, 128, 255]),
        (np.array([[7.0, 7.0, 7.0]], np.float32) * 1000, [0, 0, 0]),
    ],
)
def test_thirty_two_bit_tiff(tmp_path: Path, values: np.ndarray, expected: list[int]) -> None:
    assert pixels(save(tmp_path / "a.tif", Image.fromarray(values)))[0, :, 0].tolist() == expected


@pytest.mark.parametrize("mode", ["L", "1"])
def test_grayscale_becomes_three_equal_channels(tmp_path: Path, mode: str) -> None:
    image = Image.new(mode, (3, 2), 255)
    image.putpixel((0, 0), 0)
    got = pixels(save(tmp_path / "a.png", image))
    assert got[0, 0].tolist() == [0, 0, 0] and got[1, 2].tolist() == [255, 255, 255]


def test_the_file_is_closed_and_the_pixels_stay(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", picture())
    image = open_image(path)
    path.unlink()
    assert np.array_equal(np.asarray(image), np.asarray(picture()))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.jpg", b"", "is empty (0 bytes)"),
        ("text.jpg", b"hello, this is no image", "is not an image"),
        ("page.eps", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "is not an image"),
        ("zero.png", png_header(0, 7), "declares no pixels"),
        ("bomb.png", png_header(60_000, 60_000), f"{MAX_PIXELS:,} pixels"),
        ("big.png", png_header(9_460, 9_460), f"{MAX_PIXELS:,} pixels"),
        ("hollow.png", png_header(8, 8), "is truncated or damaged"),
    ],
)
def test_bad_content_gives_one_sentence(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(VlmgateError) as caught:
        open_image(path)
    message = str(caught.value)
    assert message.startswith(str(path)) and says in message and "\n" not in message and message.endswith(".")


def test_the_limit_holds_where_pillows_own_is_lifted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(60_000, 60_000))
    with pytest.raises(VlmgateError, match=r"60000×60000 = 3,600,000,000 pixels, more than the limit of 89,478,485"):
        open_image(path)


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    with pytest.raises(VlmgateError, match="does not exist"):
        open_image(tmp_path / "none.png")
    with pytest.raises(VlmgateError, match="is not a file"):
        open_image(tmp_path)
    with pytest.raises(VlmgateError, match="cannot be read"):
        open_image("null\0byte")


FORMATS = [("JPEG", {}), ("JPEG", {"progressive": True}), ("PNG", {}), ("GIF", {}), ("BMP", {}), ("TIFF", {}), ("WEBP", {})]


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize(("kind", "options"), FORMATS)
def test_a_cut_file_never_opens_with_other_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, options: dict[str, Any], lenient: bool
) -> None:
    """Also where another library has told Pillow to accept truncated files."""
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", lenient)
    path = save(tmp_path / "whole", picture(), format=kind, **options)
    whole, content = pixels(path), path.read_bytes()
    refused = 0
    for length in range(1, len(content), len(content) // 40):
        path.write_bytes(content[:length])
        try:
            assert np.array_equal(pixels(path), whole)  # only bytes after the picture were cut
        except VlmgateError as error:
            assert str(error).startswith(str(path)) and "\n" not in str(error)
            refused += 1
    assert refused >= 38
    assert lenient == ImageFile.LOAD_TRUNCATED_IMAGES  # left as it was found
