"""The datasets by name: folders under fixtures/, scenes rendered on demand, and any folder in COCO captions layout."""

import re
from pathlib import Path

from vlmgate.datasets.coco import load_coco
from vlmgate.spec import Dataset, VlmgateError
from vlmgate.spec.names import unknown

# A name without a number is the folder fixtures/NAME: a new one needs that folder and a line here.
DATASETS: dict[str, str] = {
    "scenes": "320 rendered scenes with five captions each (fixtures/scenes)",
    "awkward": "unusual image files: rotated, palette, transparent, CMYK, 16-bit, … (fixtures/awkward)",
    "scenes:N": "the first N evaluation scenes, rendered on demand, for example scenes:2000",
}


def load_dataset(name: str, root: Path, cache: Path, limit: int | None = None) -> Dataset:
    """Load a dataset by its name in `DATASETS`, or by the path of a folder with a captions.json.

    Args:
        name: Name or path. A relative path is looked for below ``root``, then below the current folder.
        root: The repository's folder, where fixtures/ and suite.yaml's paths start.
        cache: Folder for what is rendered on demand.
        limit: Take the first so many examples only.

    Raises:
        VlmgateError: The name is unknown (says which are known, and the nearest), or what it names cannot be loaded.
    """
    if number := re.fullmatch(r"scenes:([0-9]+)", name):
        # Imported here because `python -m vlmgate.datasets.build` imports this package first.
        from vlmgate.datasets.build import rendered_scenes

        return rendered_scenes(int(number[1]), cache, limit)
    if name in DATASETS and ":" not in name:
        return load_coco(root / "fixtures" / name, name, limit)
    for folder in (root / Path(name).expanduser(), Path(name).expanduser()):
        if name and folder.is_dir():
            return load_coco(folder, name, limit)
    raise VlmgateError(f"{unknown('dataset', name, DATASETS)}; or give the path of a folder with captions.json")
