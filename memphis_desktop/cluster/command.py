"""``memphis-desktop cluster``: the local cluster from the command line."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

from memphis_desktop.cluster.lab import ClusterView, LocalCluster, NodeView
from memphis_desktop.cluster.lab.local import NotRunning
from memphis_desktop.cluster.lab.supervisor import PAUSED, RUNNING

NODE_ORDERS = ("stop", "kill", "pause", "resume", "isolate", "rejoin", "start")


def up(*, first_port: int | None, temporary: bool, as_json: bool) -> int:
    """Start it in the background and show it once it has a meta leader; raises `Failure`."""
    cluster = LocalCluster()
    if not as_json and sys.stderr.isatty():
        print("starting three servers …", file=sys.stderr, flush=True)
    view = cluster.start(owned=False, temporary=temporary, first_port=first_port)
    _show(view, as_json)
    return 0


def down(*, as_json: bool) -> int:
    """End it; that there is none is no failure. Raises `Failure`."""
    stopped = LocalCluster().stop()
    if as_json:
        print(json.dumps({"stopped": stopped}))
    else:
        print("the local cluster has ended" if stopped else "no local cluster is running")
    return 0


def status(*, as_json: bool) -> int:
    """Show it; raises `NotRunning`, or with `as_json` says so in JSON too."""
    cluster = LocalCluster()
    try:
        view = cluster.view()
    except NotRunning:
        cluster.clean_up()
        if as_json:
            print(json.dumps({"running": False}))
        raise
    _show(view, as_json)
    return 0


def order(what: str, node: str) -> int:
    """Stop, kill, pause, resume, isolate, let rejoin or start one server; raises `Failure`."""
    cluster = LocalCluster()
    {
        "stop": cluster.stop_node,
        "kill": cluster.kill_node,
        "pause": cluster.pause_node,
        "resume": cluster.resume_node,
        "isolate": cluster.isolate_node,
        "rejoin": cluster.rejoin_node,
        "start": cluster.start_node,
    }[what](node)
    return 0


def _show(view: ClusterView, as_json: bool) -> None:
    if as_json:
        print(json.dumps(to_json(view), indent=2))
        return
    for node in view.nodes:
        words = [_words(node), "meta leader"] if node.leads_meta else [_words(node)]
        print(f"{node.name}  {node.url}  {', '.join(words)}")
    if not view.quorum:
        print("no quorum: too few servers reach each other, so nothing replicated can be written")
    print(f"\nclients         {','.join(view.urls)}")
    print(f"system account  nkey seed in {view.seed_file}")
    print(f"data and logs   {view.folder}{' (goes when the cluster ends)' if view.temporary else ''}")
    print(f"nats            nats --server {view.urls[0]} stream ls")
    print(f"                nats --server {view.urls[0]} --nkey {view.seed_file} server report jetstream")


def _words(node: NodeView) -> str:
    if node.condition == RUNNING:
        version = f"running {node.version}".rstrip() + ", isolated" * node.isolated
        return version if node.healthy else f"{version}, but {node.problem or 'it is just starting'}"
    if node.condition == PAUSED:
        return f"paused, process {node.pid}"
    return node.condition if node.exit_code in (None, 0) else f"{node.condition}, exit code {node.exit_code}"


def to_json(view: ClusterView) -> dict[str, Any]:
    """The view as JSON values, for scripts."""
    return {
        "running": True,
        "urls": list(view.urls),
        "meta_leader": view.meta_leader,
        "quorum": view.quorum,
        "ready": view.ready,
        "system_nkey": view.seed_file,
        **asdict(view),
    }
