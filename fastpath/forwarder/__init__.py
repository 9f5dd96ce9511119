# SPDX-License-Identifier: Apache-2.0
"""What decides where frames go."""
