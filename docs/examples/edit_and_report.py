"""Page through meters, change one safely, make a group once, report. METERGATE_KEY has to be one that may write."""

import os
import uuid
from collections.abc import Iterator
from typing import Any

import httpx

key = os.environ["METERGATE_KEY"]
api = httpx.Client(base_url=os.environ["METERGATE_URL"], headers={"Authorization": f"Bearer {key}"}, timeout=60)


def pages(path: str | None) -> Iterator[Any]:
    while path:
        page = api.get(path).raise_for_status().json()
        yield from page["items"]
        path = page["next"]


def rename(meter: str, name: str) -> Any:
    """Change only what was read: when somebody else was quicker (412), read again."""
    path = f"/api/v1/meters/{meter}"
    while True:
        tag = api.get(path).raise_for_status().headers["etag"]
        answer = api.patch(path, json={"name": name}, headers={"If-Match": tag})
        if answer.status_code != 412:
            return answer.raise_for_status().json()


meters = list(pages("/api/v1/meters?limit=3"))
print(len(meters), "meters; renamed:", rename(meters[0]["key"], "Main intake")["name"])
once = {"Idempotency-Key": str(uuid.uuid4())}  # kept with the order: sent again after a lost answer, it is done once
made = [api.post("/api/v1/groups", json={"name": "Pilot"}, headers=once).raise_for_status() for _ in range(2)]
print("group", made[0].json()["id"], "made once:", made[0].json() == made[1].json())
report = api.get(f"/api/v1/meters/{meters[0]['key']}/consumption", params={"months": 2}).raise_for_status().json()
for post in report["months"][0]["posts"]:
    print(report["months"][0]["month"], post["label"], post["exact"], report["months"][0]["unit"])
