"""The part of the build that pyproject.toml cannot say: the shim, the launchers, the wheel's tag."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile

from setuptools import setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py
from setuptools.dist import Distribution


def packages(package: str, folder: str) -> list[str]:
    """The package and those within; found here because setuptools would walk the whole checkout, with all
    that stands in an example's root file system."""
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__"]
        if any(name.endswith(".py") for name in files):
            words = os.path.relpath(place, folder).split(os.sep)
            found.append(".".join([package, *(word for word in words if word != ".")]))
    return found


class BuildWithShim(build_py):
    """Compiles the C program into the package; `pip install -e` gets it in the checkout."""

    def run(self) -> None:
        super().run()
        folder = "rcrun/shim"
        if not self.editable_mode:
            folder = os.path.join(self.build_lib, folder)
            os.makedirs(folder, exist_ok=True)
        subprocess.run(["rcrun/shim/build", os.path.join(folder, "rcrun-shim")], check=True)


class ScriptsWithLauncher(Distribution().get_command_class("build_scripts")):
    """rcrun-oci is the shim under another name (rcrun/shim/launcher.c); the one of a checkout is a shell script."""

    def run(self) -> None:
        super().run()
        os.makedirs(self.build_dir, exist_ok=True)
        subprocess.run(["rcrun/shim/build", os.path.join(self.build_dir, "rcrun-oci")], check=True)


class PlatformWheel(bdist_wheel):
    """A program for one machine but for every Python: py3-none-linux_x86_64."""

    def get_tag(self) -> tuple[str, str, str]:
        self.root_is_pure = False
        _, _, platform = super().get_tag()
        self.root_is_pure = True  # lib, not lib64: the launchers look in one place
        return "py3", "none", platform


# A build folder in the checkout would bring removed modules back into the wheel.
build_dir = tempfile.mkdtemp(prefix="rcrun-build-")
atexit.register(shutil.rmtree, build_dir, ignore_errors=True)

setup(
    packages=packages("rcrun", "rcrun") + packages("rcrun_cli", "rcrun-cli/rcrun_cli"),
    package_dir={"rcrun": "rcrun", "rcrun_cli": "rcrun-cli/rcrun_cli"},
    package_data={"rcrun": ["py.typed", "formats/schema/*.json"], "rcrun_cli": ["py.typed"]},
    include_package_data=False,
    # Not entry points: pip would generate scripts that cost 8 ms more, and installs these as they are.
    scripts=["rcrun-cli/bin/rcrun"],
    cmdclass={
        "bdist_wheel": PlatformWheel,
        "build_py": BuildWithShim,
        "build_scripts": ScriptsWithLauncher,
    },
    options={"build": {"build_base": build_dir}},
)
