"""Open an image from anybody's folder: upright, RGB and complete, or one sentence that says what is wrong."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from vlmgate.spec import VlmgateError

# Pillow's own warning line (PIL.Image.MAX_IMAGE_PIXELS): 256 MiB as RGB, more than any camera photograph needs,
# while a file of a few kilobytes can declare far more and fill the memory of the machine.
MAX_PIXELS = 178_956_970 // 2

# Only formats that Pillow decodes by itself: others (EPS, for one) start an external program.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM")


def open_image(path: str | Path) -> Image.Image:
    """Open ``path`` as a viewer would show it.

    The EXIF orientation is applied; transparency is laid on white; palette, CMYK, grayscale and 1-bit become RGB
    (without colour management); integers of 16 bits are scaled to 8 bits, not clipped. Of an animation the first
    frame is taken.

    Returns:
        A decoded RGB image (height × width × 3, uint8) that holds no open file.

    Raises:
        VlmgateError: The file is missing, empty, no image, truncated, too large to decode or without pixels.
    """
    file = Path(path)
    _check_file(file)
    try:
        with _strict_pillow(), Image.open(file, formats=FORMATS) as image:
            _check_size(file, *image.size)
            image.load()
            return _to_rgb(ImageOps.exif_transpose(image))
    except VlmgateError:
        raise
    except UnidentifiedImageError as error:
        raise VlmgateError(
            f"{file} is not an image, or its header is damaged or declares no pixels (known: {', '.join(FORMATS)}); "
            "save it again as PNG or JPEG, or remove it."
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise VlmgateError(f"{file} declares more than the limit of {MAX_PIXELS:,} pixels; make it smaller.") from error
    except Exception as error:  # Pillow's decoders raise almost any type on damaged bytes
        raise VlmgateError(
            f"{file} is truncated or damaged ({_first_line(error)}); copy it again from its source or export it again."
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0] or type(error).__name__


def _check_file(file: Path) -> None:
    try:
        size = file.stat().st_size
    except FileNotFoundError as error:
        raise VlmgateError(f"{file} does not exist; expected an image file: check the path.") from error
    except (OSError, ValueError) as error:
        raise VlmgateError(f"{file} cannot be read ({_first_line(error)}); check its path and permissions.") from error
    if not file.is_file():
        raise VlmgateError(f"{file} is not a file; expected an image file: give the path of one image.")
    if size == 0:
        raise VlmgateError(f"{file} is empty (0 bytes); expected an image: copy it again from its source.")
    try:
        file.open("rb").close()
    except OSError as error:
        raise VlmgateError(f"{file} cannot be read ({_first_line(error)}); check its permissions.") from error


def _check_size(file: Path, width: int, height: int) -> None:
    """Judge the size in the header before anything is decoded, also where Pillow's own limit has been lifted."""
    if width * height > MAX_PIXELS:
        raise VlmgateError(
            f"{file} declares {width}×{height} = {width * height:,} pixels, more than the limit of {MAX_PIXELS:,}; "
            "make it smaller."
        )


@contextmanager
def _strict_pillow() -> Iterator[None]:
    """Half a picture is an error here, even where another library has told Pillow to accept it."""
    lenient = ImageFile.LOAD_TRUNCATED_IMAGES
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # remarks on metadata
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = lenient


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F" or image.mode.startswith("I"):
        image = _to_8_bits(image)
    elif image.has_transparency_data:
        top = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", top.size, "white"), top)
    # `convert` returns a copy also where the mode is RGB already, so nothing refers to the file.
    return image.convert("RGB")


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Grayscale of 16 or 32 bits to 8. (``convert("L")`` clips at 255: nearly everything becomes white.)

    Integers within 0 … 65,535 are taken as 16-bit; floats within 0 … 1 or 0 … 255 as such; any other range has no
    agreed white, so it is stretched from its lowest to its highest value.
    """
    values = np.asarray(image, np.float64)
    values = np.where(np.isfinite(values), values, 0.0)
    low, high = float(values.min()), float(values.max())
    whites = (1.0, 255.0) if image.mode == "F" else (65_535.0,)
    white = next((w for w in whites if low >= 0 and high <= w), None)
    if white is not None:
        low, high = 0.0, white
    scaled = (values - low) / max(high - low, 1e-12) * 255
    return Image.fromarray(np.rint(scaled).astype(np.uint8))
