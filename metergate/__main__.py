"""``python -m metergate``."""

from metergate.cli import main

if __name__ == "__main__":
    main()
