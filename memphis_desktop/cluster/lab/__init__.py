"""The local cluster: three real ``nats-server`` processes on loopback, to try things on and to lose nodes of.

`layout` says what lies where (ports, configuration, credentials, the state file), `supervisor` is the process
that owns the servers, `local` starts it and gives it orders, `view` asks the servers how they are.
"""

from memphis_desktop.cluster.lab.local import LocalCluster
from memphis_desktop.cluster.lab.view import ClusterView, NodeView

__all__ = ["ClusterView", "LocalCluster", "NodeView"]
