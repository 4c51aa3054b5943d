"""Energy of last month by meter and post, as CSV: METERGATE_URL and METERGATE_KEY say where and who.

Needs nothing but Python: python monthly_energy.py > energy.csv
"""

import csv
import json
import os
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urljoin
from urllib.request import Request, urlopen

BASE = os.environ["METERGATE_URL"]
HEADERS = {"Authorization": "Bearer " + os.environ["METERGATE_KEY"]}


def get(path: str) -> Any:
    with urlopen(Request(urljoin(BASE, path), headers=HEADERS), timeout=60) as answer:
        return json.load(answer)


def pages(path: str | None) -> Iterator[Any]:
    while path:
        page = get(path)
        yield from page["items"]
        path = page["next"]


table = csv.writer(sys.stdout)
table.writerow(["meter", "customer", "month", "post", "energy", "unit", "complete"])
for meter in pages("/api/v1/meters?limit=200"):
    customer = (meter["customer"] or {}).get("name", "")
    found = get(f"/api/v1/meters/{quote(meter['key'])}/consumption?months=2")["months"][0]
    for post in found["posts"]:
        row = [found["month"], post["label"], post["exact"], found["unit"], found["complete"]]
        table.writerow([meter["key"], customer, *row])
