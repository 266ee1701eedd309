"""Kubernetes manifests, Helm values, compose files: well-formed, at one with each other and the program."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nats
import pytest
import yaml

from memphis_desktop import cli
from memphis_desktop.cluster.diagnosis import Diagnosis
from memphis_desktop.cluster.lab.layout import quiet_nodes
from memphis_desktop.cluster.profiles import ConnectionProfile, CredentialKind, Credentials
from memphis_desktop.server_process import ServerProcess, nats_server_command, program_command
from memphis_desktop.stations.gateways import REFRESH_SECRET_VARIABLE, SECRET_VARIABLE
from memphis_desktop.stations.users import ROOT_PASSWORD_VARIABLE, TOKEN_VARIABLE
from tests.conftest import Starter
from tests.packaging.kubernetes_tools import Validator

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "packaging" / "kubernetes"
COMPOSE = ROOT / "packaging" / "compose"
COMPOSE_FILES = sorted(COMPOSE.glob("*/compose.yaml"))
PASSWORDS = {
    "SYSTEM_PASSWORD": "s-one",
    "STATIONS_PASSWORD": "s-two",
    "APP_PASSWORD": "s-three",
    "ROOT_PASSWORD": "Root-4-password",
    "CONNECTION_TOKEN": "token-five",
    "REST_TOKENS": "six" * 10,
    "REST_REFRESH_TOKENS": "seven" * 10,
}


def documents(path: Path) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(path.read_text(encoding="utf-8")) if document]


def of_kind(kind: str) -> dict[str, Any]:
    [found] = [one for one in documents(KUBERNETES / "stations.yaml") if one["kind"] == kind]
    return found


def container() -> dict[str, Any]:
    [found] = of_kind("Deployment")["spec"]["template"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def references(value: Any, key: str) -> Iterator[dict[str, str]]:
    """Every reference of a kind (``secretKeyRef``) below a value."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == key:
                yield inner
            else:
                yield from references(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner, key)


def options_known(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Assert that a command line of a manifest has only options that the program has."""
    assert command[0] in cli.COMMANDS
    assert cli.run([command[0], "--help"]) == 0
    known = set(re.findall(r"--?[a-z][a-z_-]*", capsys.readouterr().out))
    given = {word.partition("=")[0] for word in command[1:] if word.startswith("-")}
    assert given <= known, f"{command[0]} has no {', '.join(sorted(given - known))}"


# Kubernetes -----------------------------------------------------------------------------------


def test_every_reference_is_to_something_there_is() -> None:
    """Config map, keys of the Secret as the Helm values and the guide name them, volumes, labels."""
    deployment, config = of_kind("Deployment"), of_kind("ConfigMap")
    for reference in references(deployment, "configMapKeyRef"):
        assert reference["name"] == config["metadata"]["name"]
        assert reference["key"] in config["data"]
    values = documents(KUBERNETES / "nats-values.yaml")[0]
    secrets = {(r["name"], r["key"]) for r in references([deployment, values], "secretKeyRef")}
    keys = ("root", "connection-token", "rest-tokens", "rest-refresh-tokens")
    logins = {("memphis-logins", key) for key in keys}
    assert secrets == {("nats-passwords", key) for key in ("system", "stations", "app")} | logins
    guide = (ROOT / "docs" / "clusters.md").read_text(encoding="utf-8")
    for name, key in secrets:
        assert f"create secret generic {name}" in guide
        assert f"--from-literal={key}=" in guide
    pod = deployment["spec"]["template"]
    labels = pod["metadata"]["labels"]
    for selector in (deployment["spec"]["selector"], of_kind("PodDisruptionBudget")["spec"]["selector"]):
        assert selector["matchLabels"].items() <= labels.items()
    mounted = {mount["name"] for mount in container()["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod["spec"]["volumes"]}


SETTINGS = {ROOT_PASSWORD_VARIABLE, TOKEN_VARIABLE, SECRET_VARIABLE, REFRESH_SECRET_VARIABLE}


def test_the_variables_are_those_that_the_service_reads() -> None:
    """By Memphis's names; what else is set is only used in command lines."""
    given = {one["name"] for one in container()["env"]}
    assert given - {"NATS_SERVERS", "NATS_USER", "NATS_PASSWORD"} == SETTINGS
    compose = documents(COMPOSE / "cluster" / "compose.yaml")[0]
    assert set(compose["services"]["stations-1"]["environment"]) - {"STATIONS_PASSWORD"} == SETTINGS


def test_two_copies_that_are_not_root_and_are_probed() -> None:
    """One may always be taken down; a probe's variables are filled in by a shell, as nothing else does it."""
    assert of_kind("Deployment")["spec"]["replicas"] == 2
    assert of_kind("PodDisruptionBudget")["spec"]["minAvailable"] == 1
    ports = {port["name"]: port["containerPort"] for port in container()["ports"]}
    assert ports == {"memphis": 6666, "rest": 4444}
    for port in of_kind("Service")["spec"]["ports"]:
        assert ports[port["targetPort"]] == port["port"]
    assert container()["livenessProbe"]["tcpSocket"]["port"] in ports
    pod = of_kind("Deployment")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert container()["securityContext"]["readOnlyRootFilesystem"]
    for probe in ("startupProbe", "readinessProbe"):
        command = container()[probe]["exec"]["command"]
        assert "$" not in " ".join(command) or command[:2] == ["sh", "-c"]


def test_the_values_are_three_servers_with_12_gib_apart_from_each_other() -> None:
    """What the official chart is asked for."""
    values = documents(KUBERNETES / "nats-values.yaml")[0]
    assert values["config"]["cluster"] == {"enabled": True, "replicas": 3, "merge": {"name": "memphis"}}
    store = values["config"]["jetstream"]["fileStore"]
    assert store["pvc"]["size"] == "12Gi"
    assert int(store["maxSize"].removesuffix("Gi")) < 12
    rule = values["podTemplate"]["merge"]["spec"]["affinity"]["podAntiAffinity"]
    assert (
        rule["requiredDuringSchedulingIgnoredDuringExecution"][0]["topologyKey"] == "kubernetes.io/hostname"
    )
    accounts = values["config"]["merge"]["accounts"]
    assert values["config"]["merge"]["system_account"] in accounts
    users = {user["user"] for account in accounts.values() for user in account["users"]}
    assert of_kind("ConfigMap")["data"]["user"] in users
    replicas = values["config"]["cluster"]["replicas"]
    servers = of_kind("ConfigMap")["data"]["servers"].split(",")
    assert servers == [f"nats://nats-{number}.nats-headless:4222" for number in range(replicas)]


def test_the_manifests_use_options_that_the_program_has(capsys: pytest.CaptureFixture[str]) -> None:
    """So that a renamed option is noticed here and not in a cluster."""
    options_known(container()["args"], capsys)
    shell = container()["readinessProbe"]["exec"]["command"][2]
    options_known(shell.removeprefix("exec memphis-desktop ").split(), capsys)


@pytest.mark.slow
def test_the_manifests_fit_the_schema_of_kubernetes(validator: Validator) -> None:
    """With the schemas of the API itself, in an environment of their own."""
    validator.check(KUBERNETES / "stations.yaml")


# Compose --------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", COMPOSE_FILES, ids=lambda path: path.parent.name)
def test_the_compose_files_fit_the_specification(path: Path) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", COMPOSE_FILES, ids=lambda path: path.parent.name)
def test_compose_services_are_at_one(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Volumes, mounted files, dependencies and command lines are there; variables are in the example."""
    compose = documents(path)[0]
    services = compose["services"]
    for name, service in services.items():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert (
                (path.parent / source).is_file() if source.startswith(".") else source in compose["volumes"]
            )
        assert set(service.get("depends_on", {})) <= set(services)
        assert "limits" in service["deploy"]["resources"], name
        for port in service.get("ports", ()):
            assert port.startswith("127.0.0.1:"), "open to others by the user's choice only"
        if "build" in service:
            build = service["build"]
            assert (path.parent / build["context"] / build["dockerfile"]).resolve().is_file()
            options_known([re.sub(r"\$\{.*\}", "x", word) for word in service["command"]], capsys)
            test = service["healthcheck"]["test"]
            if test[1] == "memphis-desktop":
                options_known(test[2:], capsys)
    used = set(re.findall(r"\$\{(\w+)", path.read_text(encoding="utf-8")))
    example = (path.parent / "env.example").read_text(encoding="utf-8")
    assert used == set(re.findall(r"^(\w+)=", example, re.MULTILINE))
    assert used <= set(PASSWORDS)


def test_the_single_broker_takes_its_configuration(start_broker: Starter, tmp_path: Path) -> None:
    """The file as it is, but for places: our broker starts with it, clients and Memphis SDKs get in."""
    text = (COMPOSE / "single" / "broker.conf").read_text(encoding="utf-8")
    config = _placed(text, tmp_path)
    server = start_broker(
        config=config, environment=PASSWORDS, jetstream=False, arguments=["--memphis_port", "-1"]
    )
    _check(server.url, "app", want="memphis")


def test_the_three_servers_take_their_configuration(tmp_path: Path) -> None:
    """The file as it is, but for places: three nats-servers become one cluster, and the service joins it."""
    text = (COMPOSE / "cluster" / "nats.conf").read_text(encoding="utf-8")
    nodes = quiet_nodes()
    for number, node in enumerate(nodes, 1):
        text = text.replace(f"nats-{number}:6222", f"127.0.0.1:{node.route_port}")
    servers = []
    try:
        for number, node in enumerate(nodes, 1):
            folder = tmp_path / node.name
            config = _placed(text, folder).replace("0.0.0.0:6222", f"127.0.0.1:{node.route_port}")
            environment = {**PASSWORDS, "SERVER_NAME": f"nats-{number}"}
            server = ServerProcess(
                nats_server_command(), folder, config=config, environment=environment, jetstream=False
            )
            servers.append(server)
            server.start()
        url = ",".join(server.url for server in servers)
        told = _check(url, "app")
        assert "cluster memphis" in told["greeting"]["detail"]
        compose = documents(COMPOSE / "cluster" / "compose.yaml")[0]
        command = [_filled(word) for word in compose["services"]["stations-1"]["command"]]
        command[command.index("--connect") + 1] = url
        command = [word.replace("0.0.0.0", "127.0.0.1").replace("=4444", "=-1") for word in command]
        command += ["--port", "-1", "--ports_file_dir", str(tmp_path)]
        with (
            (tmp_path / "stations.log").open("wb") as log,
            subprocess.Popen(
                program_command(*command), env={**os.environ, **PASSWORDS}, stderr=log
            ) as stations,
        ):
            try:
                _check(url, "app", want="memphis")
                asyncio.run(_use_the_front_door(_door(tmp_path)))
            finally:
                stations.terminate()
    finally:
        for server in servers:
            server.stop()


async def _use_the_front_door(url: str) -> None:
    """Log in as Memphis's SDKs do, with the connection token of the example."""
    client = await nats.connect(url, token=f"root::{PASSWORDS['CONNECTION_TOKEN']}")
    await client.flush()
    await client.close()


def _door(folder: Path) -> str:
    """Where the front door listens, by its ports file."""
    deadline = time.monotonic() + 60
    while not (files := list(folder.glob("*.ports"))):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    [url] = json.loads(files[0].read_text(encoding="utf-8"))["memphis"]
    assert isinstance(url, str)
    return url


def _filled(word: str) -> str:
    """A word of a compose file with its variables filled in."""
    return re.sub(r"\$\{(\w+)[^}]*\}", lambda match: PASSWORDS[match[1]], word)


def _placed(config: str, folder: Path) -> str:
    """A configuration with its folder in the test's own and its ports left to the starter."""
    folder.mkdir(parents=True, exist_ok=True)
    text = re.sub(r"store_dir: \S+", f"store_dir: {json.dumps(str(folder / 'store'))}", config)
    return re.sub(r"^(listen|http): .*$", "", text, flags=re.MULTILINE)


def _check(url: str, user: str, *, want: str = "jetstream") -> dict[str, dict[str, Any]]:
    """The steps of the connection test with a user of the examples, once one of them passes."""
    password = PASSWORDS[f"{user.upper()}_PASSWORD"]
    profile = ConnectionProfile(
        "test",
        urls=tuple(url.split(",")),
        credentials=Credentials(CredentialKind.PASSWORD, user=user, password=password),
    )
    deadline = time.monotonic() + 90
    while True:
        steps = asyncio.run(Diagnosis(profile).run())
        told = {step.key: {"state": step.state, "detail": step.detail} for step in steps}
        if told[want]["state"] == "passed":
            return told
        assert time.monotonic() < deadline, told
