"""A profile as CSV and as Arrow IPC stream."""

import csv
import io
from collections.abc import Sequence
from fractions import Fraction
from typing import Final

import pyarrow as pa  # type: ignore[import-untyped]

from central.api.exact import decimal_text
from central.metering.schemas import quality_names
from central.metering.series import Series

CSV_HEAD: Final = ("start", "step_seconds", "value", "unit", "raw", "scale_num", "scale_den", "flags", "quality")


def csv_head() -> bytes:
    """Return the line of column names."""
    return _lines([CSV_HEAD])


def csv_rows(series: Series) -> bytes:
    """Return one line per interval (RFC 4180): its start in UTC, exact value in the unit, empty where missing."""
    scale = Fraction(series.num, series.den)
    texts: dict[int, str] = {}
    rows = []
    starts = series.instants().astype("datetime64[s]").astype(str).tolist()
    for start, raw, flags, held in zip(
        starts, series.values.tolist(), series.flags.tolist(), series.held.tolist(), strict=True
    ):
        text = ""
        if held:
            text = texts.get(raw) or texts.setdefault(raw, decimal_text(raw * scale))
        rows.append(
            (
                f"{start}Z",
                series.step,
                text,
                series.unit,
                raw if held else "",
                series.num,
                series.den,
                flags,
                "|".join(quality_names(flags)),
            )
        )
    return _lines(rows)


def arrow_stream(meter: str, series: Series) -> bytes:
    """Return an IPC stream of one table: start, value, raw, flags; what they mean stands in the schema's metadata."""
    missing = ~series.held
    table = pa.table(
        {
            "start": pa.array(series.instants(), pa.timestamp("s", "UTC")),
            "value": pa.array(series.units(), pa.float64(), mask=missing),
            "raw": pa.array(series.values, pa.int64(), mask=missing),
            "flags": pa.array(series.flags, pa.uint16()),
        }
    ).replace_schema_metadata(
        {
            "meter": meter,
            "channel": str(series.quantity),
            "unit": series.unit,
            "stamp": "interval_start",
            "step_seconds": str(series.step),
            "scale_num": str(series.num),
            "scale_den": str(series.den),
        }
    )
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def _lines(rows: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
