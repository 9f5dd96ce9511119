# SPDX-License-Identifier: Apache-2.0
"""The C kernels, declared for Cython: a .pxd file for one header of src/ or a few, in folders as there. Nothing here
exists for Python: an __init__.pxd makes a folder a package for `cimport`, wherever the compiler runs.

The files declare what the Cython modules use, and nothing else. What it means is said in the headers.
"""
