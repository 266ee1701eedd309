"""Sample stations, kept busy by real clients in a process of their own.

The clients speak to the broker over the wire like anybody's program, so the window's event loop stays free.
"""

from memphis_desktop.demo.process import SampleTraffic

__all__ = ["SampleTraffic"]
