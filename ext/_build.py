"""Build hook: compiles the kernels, or does nothing when ``METERGATE_PURE=1`` is in the environment.

An editable install builds next to the sources; a wheel takes the compiled modules from ``build/lib``. The ``.py`` of a
kernel always ships too: it is what type checkers read and what runs where no compiled module fits.
"""

import os
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

KERNELS = (
    "ext.bcd",
    "ext.billing",
    "ext.checksums",
    "ext.days",
    "ext.nibbles",
    "ext.profile",
    "ext.reactive",
    "ext.reconcile",
    "ext.series",
    "ext.voltage",
)

#: One module holds the buffer code that every kernel would otherwise repeat.
UTILITY = "ext._cyutility"

#: Safe ones: an index is checked, a division by zero raises, -7 // 2 is -4. Changed only where a benchmark objects.
DIRECTIVES = {
    "language_level": 3,
    "annotation_typing": False,
    "boundscheck": True,
    "wraparound": False,
    "initializedcheck": True,
    "cdivision": False,
    "embedsignature": False,
}

PURE_SWITCH = "METERGATE_PURE"


class KernelBuildHook(BuildHookInterface[Any]):
    """Compile :data:`KERNELS` with Cython into the wheel or, editable, into the tree."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        switch = os.environ.get(PURE_SWITCH, "")
        if switch not in ("", "0", "1"):
            raise ValueError(
                f"{PURE_SWITCH}={switch!r} is neither 1 (no kernels are compiled) nor 0 nor unset (they are)"
            )
        if switch == "1":
            if version == "editable":
                for built in (Path(self.root) / "ext").glob("*.so"):
                    built.unlink()  # else it would still win over the source
            return
        compiled = _compile(Path(self.root), in_place=version == "editable")
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        if version != "editable":
            build_data["force_include"].update(compiled)


def _source(stem: str) -> str:
    """Return what is compiled: the ``.pyx`` where only Cython's own syntax will do, else the Python source."""
    return f"{stem}.pyx" if Path(f"{stem}.pyx").exists() else f"{stem}.py"


def _compile(root: Path, in_place: bool) -> dict[str, str]:
    """Compile and return {compiled file: its place in the wheel}."""
    from Cython.Build import cythonize
    from setuptools import Distribution, Extension  # type: ignore[import-untyped]
    from setuptools.command.build_ext import build_ext  # type: ignore[import-untyped]

    before = Path.cwd()
    os.chdir(root)  # both tools work with paths relative to the tree
    try:
        sources = {name: _source(name.replace(".", "/")) for name in KERNELS}
        sources[UTILITY] = UTILITY.replace(".", "/") + ".c"
        extensions = [Extension(name, [source], extra_compile_args=["-g0", "-O3"]) for name, source in sources.items()]
        modules = cythonize(  # type: ignore[no-untyped-call]
            extensions,
            build_dir="build/cython",
            compiler_directives=DIRECTIVES,
            shared_utility_qualified_name=UTILITY,
            quiet=True,
        )
        command = build_ext(Distribution({"name": "metergate", "ext_modules": modules}))
        command.inplace = in_place
        command.build_lib = "build/lib"
        command.build_temp = "build/temp"
        command.parallel = os.cpu_count()
        command.ensure_finalized()
        command.run()
        places = {module.name: command.get_ext_filename(module.name) for module in modules}
    finally:
        os.chdir(before)
    return {str(root / "build" / "lib" / place): place for place in places.values()}
