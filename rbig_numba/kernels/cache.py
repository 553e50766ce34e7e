"""Where compiled kernels come from: the user's cache, then the set that a wheel ships.

Nothing of Numba's own cache is used but its format of a compiled function: its index files are
rewritten without a lock, truncated ones raise in the user's call, several settings that change code
are missing in its key, and where no folder can be written it finds nothing that is there to read.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import pickle
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import llvmlite
import numba
from llvmlite import binding
from numba.core import config
from numba.core.caching import NullCache
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps
from numba.misc.appdirs import AppDirs

logger = logging.getLogger("rbig_numba")

SHIPPED = Path(__file__).parent / "compiled"
_V3 = [
    *("avx", "avx2", "bmi", "bmi2", "cx16", "f16c", "fma", "lzcnt", "movbe", "popcnt", "sahf"),
    *("sse3", "ssse3", "sse4.1", "sse4.2", "xsave"),
]
_V4 = [*_V3, "avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"]
# What sets are compiled for, by `platform.machine()`, the best first: the name of a processor for
# LLVM, and the features that a machine must have. Generic x86-64 takes 1.6 to 3 times as long as
# native code. With AVX-512, v3 takes 1.1 times as long forward and 1.7 times back, v4 as long;
# without, v3 takes as long but for rotations, 1.06 times.
_X86 = [("x86-64-v4", _V4), ("x86-64-v3", _V3)]
BASELINES: dict[str, list[tuple[str, list[str]]]] = {
    "x86_64": _X86,
    "AMD64": _X86,
    "arm64": [("apple-m1", [])],
    "aarch64": [("generic", [])],
}
# Numba's settings that change code, and that its own key lacks.
_SETTINGS = [
    *("BOUNDSCHECK", "DEBUG_NRT", "DEBUGINFO_DEFAULT", "EXTEND_VARIABLE_LIFETIMES", "NRT_STATS"),
    *("LLVM_REFPRUNE_FLAGS", "LLVM_REFPRUNE_PASS", "LOOP_VECTORIZE", "OPT", "SLP_VECTORIZE"),
    "USING_SVML",
]
# Folders left in the user's cache, those of older sources and other versions of Numba included.
_KEPT = 8
ADVICE = "set NUMBA_CACHE_DIR to one that can"


class KernelCache(NullCache):
    """What a dispatcher asks before it compiles, and tells when it has.

    Any failure to load is a miss: it costs seconds, and never the user's call.

    Attributes
    ----------
    name : str
        Module and name of the kernel.
    asked : bool
        Whether this process has asked for it.
    """

    # False in processes that compile ahead.
    reads_shipped: ClassVar[bool] = True
    announces: ClassVar[bool] = True

    def __init__(self, name: str) -> None:
        self.name = name
        self.asked = False

    @property
    def cache_path(self) -> str | None:
        """The folder written to, None without one."""
        folder = user_folder()
        return None if folder is None else str(folder)

    def load_overload(self, sig: Any, target_context: Any) -> CompileResult | None:
        """Return the compiled function of a signature, None if it must be compiled."""
        target_context.refresh()
        self.asked = True
        for path in self._paths(sig):
            with suppress(Exception):
                return CompileResult._rebuild(target_context, *pickle.loads(_read(path)))
        if self.announces:
            _announce()
        return None

    def save_overload(self, sig: Any, data: CompileResult) -> None:
        """Write a compiled function to the user's cache, if there is a folder for it."""
        folder = user_folder()
        if folder is not None and not data.library.has_dynamic_globals:
            with suppress(OSError):
                _write(folder / self._file(sig, _native()), dumps(data._reduce()))

    def holds(self, sig: Any, *, native: bool) -> bool:
        """Whether a signature need not be compiled; native: for this very processor."""
        for path in self._paths(sig, native=native):
            with suppress(Exception):
                return bool(_read(path))
        return False

    def _paths(self, sig: Any, *, native: bool = False) -> Iterator[Path]:
        folder = user_folder()
        if folder is not None:
            yield folder / self._file(sig, _native())
        if self.reads_shipped and not native and (baseline := _baseline()) is not None:
            yield SHIPPED / self._file(sig, baseline)

    def _file(self, sig: Any, processor: tuple[str, ...]) -> str:
        settings = [str(getattr(config, name, None)) for name in _SETTINGS]
        key = repr((_digest(), settings, processor, self.name, str(sig)))
        return f"{self.name}.{hashlib.sha256(key.encode()).hexdigest()[:32]}"


def user_folder() -> Path | None:
    """Return the folder of the user's cache, None if there is no home: outside the package.

    What is beside a package when it is uninstalled stays, and the folder still imports.
    """
    root = Path(config.CACHE_DIR or AppDirs(appname="numba", appauthor=False).user_cache_dir)
    if not config.CACHE_DIR and not root.is_absolute():
        return None
    return root / "rbig_numba" / _digest()[:16]


@functools.cache
def _digest() -> str:
    """Return what stands for all kernels together, and for what compiles them.

    Machine code of a caller must not outlive one of its callees, edited in another file.
    """
    versions = numba.__version__, llvmlite.__version__, sys.implementation.cache_tag
    digest = hashlib.sha256(repr(versions).encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


@functools.cache
def _native() -> tuple[str, ...]:
    from numba.core.registry import cpu_target

    return tuple(map(str, cpu_target.target_context.codegen().magic_tuple()))


@functools.cache
def _baseline() -> tuple[str, ...] | None:
    """Return the processor of the shipped set, None if this machine can't run it, or mustn't."""
    asked_for_another = config.CPU_NAME is not None or config.CPU_FEATURES is not None
    if asked_for_another or not config.ENABLE_AVX or not SHIPPED.is_dir():
        return None
    features = binding.get_host_cpu_features()
    for name, needed in BASELINES.get(platform.machine(), []):
        if all(map(features.get, needed)):
            return _native()[0], name, ""
    return None


def _read(path: Path) -> bytes:
    """Return what `_write` wrote; what was cut or garbled must not reach unpickling."""
    content = path.read_bytes()
    if hashlib.sha256(content[32:]).digest() != content[:32]:
        raise ValueError(f"{path} is damaged")
    return content[32:]


def _write(path: Path, content: bytes) -> None:
    """Write a file at once: other processes see all of it or nothing."""
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True)
        others = sorted(path.parent.parent.iterdir(), key=lambda other: -other.stat().st_mtime)
        for old in others[_KEPT:]:
            shutil.rmtree(old, ignore_errors=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as fresh:
        fresh.write(hashlib.sha256(content).digest() + content)
    Path(fresh.name).replace(path)


def is_writable() -> bool:
    """Whether what is compiled can be kept."""
    folder = user_folder()
    while folder is not None and not folder.exists():
        folder = folder.parent
    return folder is not None and folder.is_dir() and os.access(folder, os.W_OK)


@functools.cache
def _announce() -> None:
    """Say once a process why it waits, and wait half as long."""
    from rbig_numba.kernels.ahead import assist

    once = "once, and 'rbig-numba warm' does it ahead"
    if not is_writable():
        once = f"in each process, as no folder for them can be written: {ADVICE}"
    logger.warning("compiling kernels for this machine, up to a minute, %s", once)
    assist()
