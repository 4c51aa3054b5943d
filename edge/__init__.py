"""The gateway: everything that must go on when the uplink is down."""
