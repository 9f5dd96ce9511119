#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draw the README's picture: python docs/pictures/overview.py > docs/pictures/overview.svg"""

from html import escape

INK, PALE, LINE = "#1f2937", "#6b7280", "#94a3b8"
HOST, BOX, ENGINE, STORE = "#f1f5f9", "#ffffff", "#dbeafe", "#fef3c7"
BOLD, HEAD, NOTE, SMALL = (15, 600, INK), (14, 600, INK), (12.5, 400, PALE), (12, 400, PALE)
STYLE = "font-family:system-ui,Segoe UI,Helvetica,Arial,sans-serif"


def box(x: int, y: int, width: int, height: int, fill: str, *lines: str) -> str:
    """Return a rectangle with a line in bold, and smaller ones below it."""
    parts = [f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="8" fill="{fill}" stroke="{LINE}"/>']
    top = y + height / 2 - 9 * (len(lines) - 1) + 5
    for number, line in enumerate(lines):
        parts.append(text(x + width / 2, top + 18 * number, line, BOLD if number == 0 else NOTE))
    return "\n".join(parts)


def text(x: float, y: float, line: str, font: tuple[float, int, str], anchor: str = "middle") -> str:
    """Return one line of text."""
    size, weight, colour = font
    look = f'font-size="{size}" font-weight="{weight}" fill="{colour}" text-anchor="{anchor}"'
    return f'<text x="{x:g}" y="{y:g}" {look}>{escape(line)}</text>'


def arrow(x1: int, y1: int, x2: int, y2: int, *, dashed: bool = False, colour: str = INK) -> str:
    """Return a line with a head at both ends."""
    dash = ' stroke-dasharray="5 4"' if dashed else ""
    place = f'x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"'
    return f'<line {place} stroke="{colour}" stroke-width="1.6"{dash} marker-start="url(#h)" marker-end="url(#h)"/>'


def host(x: int, name: str, address: str, containers: tuple[str, str]) -> str:
    """Return a host with two containers."""
    parts = [f'<rect x="{x}" y="16" width="370" height="262" rx="12" fill="{HOST}" stroke="{LINE}"/>']
    parts.append(text(x + 16, 40, f"{name}: {address}", HEAD, "start"))
    for number, container in enumerate(containers):
        left = x + 20 + 170 * number
        parts.append(box(left, 56, 160, 54, BOX, "container", f"eth0  {container}"))
        parts.append(arrow(left + 80, 114, left + 80, 144))
        parts.append(text(left + 88, 134, "TAP", SMALL, "start"))
    parts.append(box(x + 20, 148, 330, 62, ENGINE, "engine", "encap · decap · FDB · forwarders · counters"))
    parts.append(box(x + 20, 224, 330, 40, BOX, "fastpath daemon"))
    return "\n".join(parts)


def picture() -> str:
    """Return the whole drawing."""
    head = 'viewBox="0 0 900 396" role="img" aria-label="Two hosts with containers in one subnet"'
    marker = '<marker id="h" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {head} style="{STYLE}">',
            f'<defs>{marker} orient="auto-start-reverse"><path d="M0 0 8 4 0 8z" fill="{INK}"/></marker></defs>',
            '<rect width="900" height="396" fill="#ffffff"/>',
            host(16, "host 1", "192.0.2.1", ("10.9.0.2", "10.9.0.3")),
            host(514, "host 2", "192.0.2.2", ("10.9.0.4", "10.9.0.5")),
            arrow(372, 179, 528, 179),
            text(450, 169, "VXLAN over UDP", (13, 600, INK)),
            text(450, 198, "RFC 7348, in trains", SMALL),
            box(330, 320, 240, 60, STORE, "store", "etcd, or a file on one machine"),
            arrow(201, 268, 366, 318, dashed=True),
            arrow(699, 268, 534, 318, dashed=True),
            text(250, 312, "networks, addresses,", SMALL, "end"),
            text(250, 328, "peers", SMALL, "end"),
            text(646, 312, "frames do not wait", SMALL, "start"),
            text(646, 328, "for the store", SMALL, "start"),
            "</svg>",
        ]
    )


if __name__ == "__main__":
    print(picture())
