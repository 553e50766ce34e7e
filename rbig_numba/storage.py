"""Fitted flows in one file: a zip of .npy arrays and a JSON header. No pickle.

`numpy.load` opens it without this package. Entries are named NUMBER.KIND.ARRAY in the order of the
bijections, those of one flow after another; "header" holds UTF-8 JSON as bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from rbig_numba.bijections.affine import Affine
from rbig_numba.bijections.base import Bijection
from rbig_numba.bijections.coupling import Coupling
from rbig_numba.bijections.joint import JointMixture
from rbig_numba.bijections.mixture import Mixture
from rbig_numba.bijections.radial import Radial
from rbig_numba.bijections.rotation import Rotation
from rbig_numba.files import AnyPath, check_readable, replacing
from rbig_numba.flow import Flow

# What is written, and what is read: format 1 had no "lengths", and one flow; format 2 no "reach";
# format 3 no "log_sizes", and one scale for a shape; format 4 no "first", and all columns in
# mixtures.
FORMAT, FORMATS = 5, (1, 2, 3, 4, 5)
KINDS: dict[str, type[Bijection]] = {
    kind.kind: kind for kind in (Affine, Coupling, JointMixture, Mixture, Radial, Rotation)
}


def save_flows(path: AnyPath, flows: Sequence[Flow], metadata: dict[str, Any]) -> None:
    """Write flows and metadata (JSON values) to a file that is either whole or not there."""
    bijections = [bijection for flow in flows for bijection in flow.bijections]
    arrays = {
        f"{i}.{bijection.kind}.{name}": array
        for i, bijection in enumerate(bijections)
        for name, array in bijection.arrays().items()
    }
    header = {
        "format": FORMAT,
        "kinds": [bijection.kind for bijection in bijections],
        "lengths": [len(flow.bijections) for flow in flows],
        "metadata": metadata,
    }
    header["checksum"] = _checksum(header, arrays)
    encoded = np.frombuffer(json.dumps(header).encode(), dtype=np.uint8)
    with replacing(path) as fresh, open(fresh, "wb") as file:
        np.savez(file, header=encoded, **arrays)  # type: ignore[arg-type]


def load_flows(path: AnyPath) -> tuple[list[Flow], dict[str, Any]]:
    """Read what `save_flows` wrote.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is cut, changed, not a model, or of a newer format; the message says which.
    """
    path = check_readable(path)
    arrays = _read_arrays(path)
    header = _read_header(path, arrays)
    if header.get("checksum") != _checksum(header, arrays):
        raise ValueError(f"{path}: the checksum doesn't match: the file was changed or damaged")
    kinds = header["kinds"]
    bijections = (
        KINDS[kind](**_with_sizes(kind, _arrays_of(f"{i}.{kind}.", arrays)))
        for i, kind in enumerate(kinds)
    )
    lengths = header.get("lengths", [len(kinds)])
    return [Flow(tuple(islice(bijections, n))) for n in lengths], header["metadata"]


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    with open(path, "rb") as file:  # missing or unreadable: its own OSError
        if file.read(2) != b"PK":
            raise ValueError(f"{path} is not a model file of rbig-numba")
        file.seek(0)
        try:
            with zipfile.ZipFile(file) as archive:
                return {
                    name.removesuffix(".npy"): _array(archive.read(name))
                    for name in archive.namelist()
                }
        # zipfile and its decoders, led astray by a bit, raise what comes: NotImplementedError,
        # RuntimeError (for a password), zlib.error, struct.error and others.
        except Exception as error:
            raise ValueError(f"{path}: the file is cut or damaged ({error})") from error


def _array(content: bytes) -> np.ndarray:
    """Return the array of a .npy file of which zipfile checked every bit."""
    return np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)


def _read_header(path: Path, arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    try:
        header = json.loads(arrays.pop("header").tobytes())
        version = header["format"]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not a model file of rbig-numba") from error
    if version not in FORMATS:
        raise ValueError(
            f"{path} has format {version}, this rbig-numba reads formats up to {FORMAT}: "
            "use the version that wrote it, or a newer one"
        )
    return header


def _arrays_of(prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}


def _with_sizes(kind: str, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays; those of a joint mixture from before format 4 as of one scale."""
    if kind == JointMixture.kind and "log_sizes" not in arrays:
        log_weights = arrays["log_weights"][:, None]
        return {**arrays, "log_weights": log_weights, "log_sizes": np.zeros_like(log_weights)}
    return arrays


def _checksum(header: dict[str, Any], arrays: dict[str, np.ndarray]) -> str:
    content = {key: value for key, value in header.items() if key != "checksum"}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
