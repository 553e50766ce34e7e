"""Compile the kernels that a wheel ships. HATCH_BUILD_NO_HOOKS=true builds one without."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompiledKernels(BuildHookInterface):
    """Adds what this Python and Numba make of all entries, for some baselines of the platform."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile into a folder of its own, unless the package is run from its checkout."""
        if version == "editable":
            return
        sys.path.insert(0, self.root)
        from rbig_numba.kernels import ahead, cache

        if platform.machine() not in cache.BASELINES:
            self.app.display_warning(f"no kernels are shipped for {platform.machine()}")
            return
        self.folder = tempfile.TemporaryDirectory()
        environment = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
        environment |= {"NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": self.folder.name}
        for name, _ in cache.BASELINES[platform.machine()]:
            entries = range(len(ahead.ENTRIES))
            environment["NUMBA_CPU_NAME"] = name
            ahead.compile_entries(entries, os.cpu_count() or 1, environment)
        for path in Path(self.folder.name).rglob("*.*"):
            if ".inner." not in path.name:
                build_data["force_include"][str(path)] = f"rbig_numba/kernels/compiled/{path.name}"
        build_data["pure_python"], build_data["infer_tag"] = False, True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the folder."""
        if hasattr(self, "folder"):
            self.folder.cleanup()
