"""Stands in for ``provisioning/pki/authority.py`` where that is not in the tree: the same question, the same answer."""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.pki import openssl


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("command", choices=["sign"])
    parser.add_argument("request", choices=["-"])
    parser.add_argument("--name", required=True)
    parser.add_argument("--use", choices=["client"], required=True)
    parser.add_argument("--days", required=True)
    given = parser.parse_args()
    kept = given.dir / f"{given.name}.signed"
    request = sys.stdin.buffer.read()
    if not kept.exists():  # a key that was signed gets the same certificate again
        extensions = given.dir / f"{given.name}.ext"
        extensions.write_text(f"subjectAltName=DNS:{given.name}\nextendedKeyUsage=clientAuth\n")
        signed = openssl(
            "x509", "-req", "-CA", str(given.dir / "ca.pem"), "-CAkey", str(given.dir / "ca.key"), "-CAcreateserial",
            "-days", given.days, "-extfile", str(extensions), data=request,
        )  # fmt: skip
        kept.write_bytes(signed)
    sys.stdout.write(json.dumps({"pem": kept.read_text()}) + "\n")


if __name__ == "__main__":
    main()
