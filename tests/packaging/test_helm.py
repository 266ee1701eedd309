"""The Helm values and the kustomization, with the real tools and the official chart."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from memphis_desktop.server_process import nats_server_command
from tests.packaging.kubernetes_tools import CHART_VERSION, Tools, Validator

KUBERNETES = Path(__file__).parents[2] / "packaging" / "kubernetes"
VALUES = KUBERNETES / "nats-values.yaml"

# Which of the chart's keys our values set: looked up in its values.yaml, version 2.14.2. An unknown key is
# silently ignored by Helm. Below those with a star anything goes into the result as it is.
CHART_KEYS = {
    "config.cluster.enabled",
    "config.cluster.merge.*",
    "config.cluster.replicas",
    "config.jetstream.enabled",
    "config.jetstream.fileStore.maxSize",
    "config.jetstream.fileStore.pvc.size",
    "config.jetstream.memoryStore.enabled",
    "config.jetstream.memoryStore.maxSize",
    "config.merge.*",
    "config.monitor.enabled",
    "container.env.*",
    "container.merge.*",
    "natsBox.enabled",
    "podDisruptionBudget.enabled",
    "podDisruptionBudget.merge.*",
    "podTemplate.merge.*",
    "podTemplate.topologySpreadConstraints.*",
}


def keys_of(values: Any, path: str = "") -> Iterator[str]:
    """The keys of values, with a star for what lies below a key that takes anything."""
    for key, value in values.items():
        name = f"{path}.{key}" if path else str(key)
        if f"{name}.*" in CHART_KEYS:
            yield f"{name}.*"
        elif isinstance(value, dict):
            yield from keys_of(value, name)
        else:
            yield name


def test_the_values_set_keys_that_the_chart_has() -> None:
    values = yaml.safe_load(VALUES.read_text(encoding="utf-8"))
    assert set(keys_of(values)) == CHART_KEYS


@pytest.mark.slow
def test_the_keys_are_those_of_the_chart(tools: Tools) -> None:
    """What is recorded above holds for the chart itself."""
    chart = tools.chart()
    about = yaml.safe_load(tools.output("helm", "show", "chart", chart))
    assert about["version"] == CHART_VERSION
    known = yaml.safe_load(tools.output("helm", "show", "values", chart))
    for key in CHART_KEYS:
        part = known
        for step in key.removesuffix(".*").split("."):
            assert step in part, key
            part = part[step]


@pytest.mark.slow
def test_the_chart_makes_of_the_values_what_the_guide_says(
    tools: Tools, validator: Validator, tmp_path: Path
) -> None:
    """Rendered by Helm, of the API's schema, and taken by nats-server."""
    words = ("template", "nats", tools.chart(), "--namespace", "memphis", "--values", VALUES)
    rendered = tmp_path / "nats.yaml"
    rendered.write_text(tools.output("helm", *words), encoding="utf-8")
    validator.check(rendered)
    made = {(one["kind"], one["metadata"]["name"]): one for one in _documents(rendered)}
    assert set(made) == {
        ("PodDisruptionBudget", "nats"),
        ("ConfigMap", "nats-config"),
        ("Service", "nats-headless"),
        ("Service", "nats"),
        ("StatefulSet", "nats"),
    }
    servers = made["StatefulSet", "nats"]["spec"]
    assert servers["replicas"] == 3
    [claim] = servers["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "12Gi"
    pod = servers["template"]
    [rule] = pod["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert rule["labelSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    budget = made["PodDisruptionBudget", "nats"]["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["selector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    _taken_by_the_server(made["ConfigMap", "nats-config"]["data"]["nats.conf"], tmp_path)
    stations = {one["kind"]: one for one in _documents(KUBERNETES / "stations.yaml")}
    routes = json.loads(re.sub(r": (\$\w+|\d+[A-Za-z]+)", r': "\1"', _config(made)))["cluster"]["routes"]
    hosts = {re.sub(r".*//(.*):\d+", r"\1", url) for url in routes}
    assert hosts == set(re.findall(r"//([^:,]+):", stations["ConfigMap"]["data"]["servers"]))


def _config(made: dict[tuple[str, str], Any]) -> str:
    return str(made["ConfigMap", "nats-config"]["data"]["nats.conf"])


def _taken_by_the_server(config: str, folder: Path) -> None:
    """The configuration passes the server's own check; only the variables are filled in."""
    path = folder / "nats.conf"
    path.write_text(config, encoding="utf-8")
    words = set(re.findall(r"\$(\w+)", config))
    assert words == {
        "SERVER_NAME",
        "NATS_SYSTEM_PASSWORD",
        "NATS_STATIONS_PASSWORD",
        "NATS_APP_PASSWORD",
    }
    environment = {**os.environ, **{word: f"s-{word.lower()}" for word in words}}
    command = [*nats_server_command(), "-t", "-c", str(path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_kustomization_is_complete(tools: Tools, validator: Validator, tmp_path: Path) -> None:
    """As `kubectl apply --kustomize` would send it: in its namespace, with the image that is named there."""
    made = tmp_path / "stations.yaml"
    made.write_text(tools.output("kubectl", "kustomize", KUBERNETES), encoding="utf-8")
    validator.check(made)
    documents = _documents(made)
    plain = _documents(KUBERNETES / "stations.yaml")
    assert sorted(one["kind"] for one in documents) == sorted(one["kind"] for one in plain)
    assert {one["metadata"]["namespace"] for one in documents} == {"memphis"}
    [deployment] = [one for one in documents if one["kind"] == "Deployment"]
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "registry.example.org/memphis-desktop:1"


def _documents(path: Path) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all(path.read_text(encoding="utf-8")) if one]
