"""smppgw: an SMPP client gateway that sends a commune's SMS, alerts first, and can prove it."""

__version__ = "0.1.0"
