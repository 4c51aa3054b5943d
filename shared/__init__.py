"""The contract between gateway and aggregator: wire structs, ids, quantities, time, calendars, quality."""
