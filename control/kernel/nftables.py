# SPDX-License-Identifier: Apache-2.0
"""Our nftables table, which is replaced as a whole, so that there is nothing to compare; and the chain that Docker
keeps for others, in which we avoid a drop of Docker's."""

import ipaddress
import subprocess

from fastpath.errors import RefusedError

TABLE = "ip fastpath"
PATIENCE_S = 10  # for either program: the caller is the one thread that changes the kernel
_DOCKERS = "DOCKER-USER"  # Docker's chain before its drops

# An accept here does not undo a drop in another table (docs/overlay.md: hosts that forward nothing by default).
_RULES = """\
add table {table}
delete table {table}
table {table} {{
    chain forward {{
        type filter hook forward priority filter; policy accept;
        iifname "{bridge}" oifname "{bridge}" drop comment "containers meet in their networks, not here"
        oifname "{bridge}" ct state established,related accept
        oifname "{bridge}" ct status dnat accept
        oifname "{bridge}" drop comment "nobody outside begins"
    }}
    chain postrouting {{
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr {network} oifname != "{bridge}" masquerade
    }}
}}
"""


def masquerade(bridge: str, network: ipaddress.IPv4Network) -> None:
    """Give outbound packets of containers behind the bridge the host's address. Raise RefusedError."""
    _nft(_RULES.format(table=TABLE, bridge=bridge, network=network))
    if _iptables("-S", _DOCKERS):
        for way in ("-i", "-o"):
            rule = (_DOCKERS, way, bridge, "-j", "ACCEPT")
            if not _iptables("-C", *rule):
                _iptables("-I", *rule)


def remove(bridge: str) -> None:
    """Remove all rules, if there are any."""
    _nft(f"add table {TABLE}\ndelete table {TABLE}\n")
    if _iptables("-S", _DOCKERS):
        for way in ("-i", "-o"):
            _iptables("-D", _DOCKERS, way, bridge, "-j", "ACCEPT")


def _iptables(*words: str) -> bool:
    """Call iptables, and return whether it succeeded. Docker needs iptables, too, and only iptables itself knows which
    of its two backends is in use."""
    try:
        command = ["iptables", "-w", *words]
        return subprocess.run(command, capture_output=True, check=False, timeout=PATIENCE_S).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _nft(commands: str) -> None:
    try:
        done = subprocess.run(
            ["nft", "-f", "-"], input=commands, capture_output=True, text=True, check=False, timeout=PATIENCE_S
        )
    except subprocess.TimeoutExpired as error:
        raise RefusedError(f"nft did not take the rules for outbound traffic within {PATIENCE_S} s") from error
    except FileNotFoundError as error:
        raise RefusedError("the program nft is missing: install nftables, or switch the gateway off") from error
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise RefusedError(f"nft refused the rules for outbound traffic: {reason[0]}")
