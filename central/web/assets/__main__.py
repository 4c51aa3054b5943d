"""Fetch and copy the web libraries: ``python -m central.web.assets``."""

import sys

from central.web.assets import AssetsError, build


def main() -> int:
    try:
        changed = build()
    except AssetsError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write("web libraries fetched\n" if changed else "web libraries are current\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
