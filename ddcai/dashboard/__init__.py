"""A page over the audit's rows, for a browser: it reads the index, and computes nothing itself."""

from ddcai.dashboard.following import Following
from ddcai.dashboard.server import Dashboard, Server, make_app

__all__ = ["Dashboard", "Following", "Server", "make_app"]
