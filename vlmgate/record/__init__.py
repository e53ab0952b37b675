"""The memory of the suite: runs and baselines as JSON files, and the fingerprint of the environment they were made in."""

from vlmgate.record.baselines import (
    add_occasion,
    baseline_path,
    find_baseline,
    find_environment,
    load_baselines,
    nearest,
    promote,
)
from vlmgate.record.codec import from_json, to_json
from vlmgate.record.document import SCHEMA_VERSION
from vlmgate.record.environment import differences, environment_name, fingerprint
from vlmgate.record.files import atomic_write, find_run, new_run_folder, read_run, safe_name, write_run
from vlmgate.record.fitness import LEAST_BLOCKS

__all__ = [
    "LEAST_BLOCKS",
    "SCHEMA_VERSION",
    "add_occasion",
    "atomic_write",
    "baseline_path",
    "differences",
    "environment_name",
    "find_baseline",
    "find_environment",
    "find_run",
    "fingerprint",
    "from_json",
    "load_baselines",
    "nearest",
    "new_run_folder",
    "promote",
    "read_run",
    "safe_name",
    "to_json",
    "write_run",
]
