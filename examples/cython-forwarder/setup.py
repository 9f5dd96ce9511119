# SPDX-License-Identifier: Apache-2.0
"""The compiled part of the build; everything else is in pyproject.toml."""

import os

from Cython.Build import cythonize
from setuptools import Extension, setup

try:
    import fastpath
except ImportError:
    raise SystemExit("fastpath is not installed here. Where it is: pip install --no-build-isolation .") from None

bridge = Extension(
    "example_forwarder.bridge",
    ["example_forwarder/bridge.pyx"],
    include_dirs=[fastpath.get_include()],
    extra_compile_args=["-O3"],
)
# Cython finds the .pxd files of an installed package by itself, those of a checkout (`./run setup`) only here.
above = os.path.dirname(os.path.dirname(fastpath.__file__))

setup(ext_modules=cythonize([bridge], include_path=[above], build_dir="build"))
