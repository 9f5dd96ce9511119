# SPDX-License-Identifier: Apache-2.0
"""The figures of the present run: name -> {ns, ns_median, unit, and gb_per_s where it applies}."""

from typing import Any

RESULTS: dict[str, dict[str, Any]] = {}
