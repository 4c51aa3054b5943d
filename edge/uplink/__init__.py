"""The uplink: one connection to the broker, rows up until the aggregator has confirmed them, commands down."""

from edge.uplink._link import LinkState
from edge.uplink._probe import probe
from edge.uplink._uplink import Counters, Uplink
from edge.uplink.settings import UplinkSettings

__all__ = ["Counters", "LinkState", "Uplink", "UplinkSettings", "probe"]
