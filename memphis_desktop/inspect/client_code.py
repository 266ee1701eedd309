"""Programs that publish to a stream or consume from it, with the true address; secrets are placeholders."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass

PASSWORD, TOKEN = "YOUR_PASSWORD", "YOUR_TOKEN"


@dataclass(frozen=True, slots=True)
class CodeTarget:
    """What a program connects to.

    Attributes:
        url: Of the server; several with commas between.
        stream: The stream.
        subject: Where to publish; empty when nothing can be published there (a mirror).
        group: The durable consumer to take part in.
        make_group: Whether the program makes it first.
        user, token: Whether these log in; the secret itself is a placeholder.
        creds, nkey: Files that log in.
    """

    url: str
    stream: str
    subject: str
    group: str = "my-group"
    make_group: bool = True
    user: str = ""
    token: bool = False
    creds: str = ""
    nkey: str = ""


def subject_of(config: Mapping[str, object]) -> str:
    """Return a subject that a stream's configuration takes, wildcards replaced; empty when there is none."""
    subjects = config.get("subjects")
    first = str(subjects[0]) if isinstance(subjects, list) and subjects else ""
    tokens = ["new" if token in ("*", ">") else token for token in first.split(".")]
    return ".".join(tokens)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _python_login(target: CodeTarget) -> str:
    if target.user:
        return f", user={_text(target.user)}, password={_text(PASSWORD)}"
    if target.token:
        return f", token={_text(TOKEN)}"
    if target.creds:
        return f", user_credentials={_text(target.creds)}"
    return f", nkeys_seed={_text(target.nkey)}" if target.nkey else ""


def _python(target: CodeTarget, publish: bool) -> str:
    servers = ", ".join(_text(url.strip()) for url in target.url.split(","))
    head = (
        "# pip install nats-py\n"
        "import asyncio\n\n"
        "import nats\n\n\n"
        "async def main():\n"
        f"    client = await nats.connect([{servers}]{_python_login(target)})\n"
        "    jetstream = client.jetstream()\n"
    )
    if publish:
        body = (
            f"    stored = await jetstream.publish({_text(target.subject)}, b'{{\"id\": 1}}')\n"
            "    print(stored.stream, stored.seq)\n"
        )
    elif target.make_group:
        body = (
            f"    group = await jetstream.pull_subscribe("
            f'"", durable={_text(target.group)}, stream={_text(target.stream)})\n'
        )
    else:
        body = (
            f"    group = await jetstream.pull_subscribe_bind("
            f"{_text(target.group)}, stream={_text(target.stream)})\n"
        )
    if not publish:
        body += (
            "    for message in await group.fetch(10, timeout=5):\n"
            "        print(message.subject, message.data)\n"
            "        await message.ack()\n"
        )
    return f"{head}{body}    await client.drain()\n\n\nasyncio.run(main())\n"


def _javascript_login(target: CodeTarget) -> tuple[str, str]:
    """What is imported for the login, and the option of it."""
    if target.user:
        return "", f", user: {_text(target.user)}, pass: {_text(PASSWORD)}"
    if target.token:
        return "", f", token: {_text(TOKEN)}"
    if target.creds:
        return (
            "credsAuthenticator",
            f", authenticator: credsAuthenticator(readFileSync({_text(target.creds)}))",
        )
    if target.nkey:
        seed = f"new Uint8Array(readFileSync({_text(target.nkey)}))"
        return "nkeyAuthenticator", f", authenticator: nkeyAuthenticator({seed})"
    return "", ""


def _javascript(target: CodeTarget, publish: bool) -> str:
    servers = ", ".join(_text(url.strip()) for url in target.url.split(","))
    imported, login = _javascript_login(target)
    names = ", ".join(["connect", *([imported] if imported else [])])
    file = 'import { readFileSync } from "node:fs";\n' if imported else ""
    extra = "AckPolicy, " if not publish and target.make_group else ""
    maker = "jetstream" if publish else "jetstream, jetstreamManager" if target.make_group else "jetstream"
    head = (
        "// npm install @nats-io/transport-node @nats-io/jetstream      (save as program.mjs)\n"
        f"{file}"
        f'import {{ {names} }} from "@nats-io/transport-node";\n'
        f'import {{ {extra}{maker} }} from "@nats-io/jetstream";\n\n'
        f"const client = await connect({{ servers: [{servers}]{login} }});\n"
    )
    if publish:
        body = (
            f"const stored = await jetstream(client).publish({_text(target.subject)}, "
            "JSON.stringify({ id: 1 }));\n"
            "console.log(stored.stream, stored.seq);\n"
        )
    else:
        body = ""
        if target.make_group:
            body = (
                "const manager = await jetstreamManager(client);\n"
                f"await manager.consumers.add({_text(target.stream)}, {{\n"
                f"  durable_name: {_text(target.group)}, ack_policy: AckPolicy.Explicit,\n"
                "});\n"
            )
        body += (
            f"const group = await jetstream(client).consumers.get("
            f"{_text(target.stream)}, {_text(target.group)});\n"
            "for await (const message of await group.fetch({ max_messages: 10, expires: 5000 })) {\n"
            "  console.log(message.subject, message.string());\n"
            "  message.ack();\n"
            "}\n"
        )
    return f"{head}{body}await client.drain();\n"


def _go_login(target: CodeTarget) -> tuple[str, str]:
    """Lines before the connection, and its option."""
    if target.user:
        return "", f", nats.UserInfo({_text(target.user)}, {_text(PASSWORD)})"
    if target.token:
        return "", f", nats.Token({_text(TOKEN)})"
    if target.creds:
        return "", f", nats.UserCredentials({_text(target.creds)})"
    if target.nkey:
        line = f"\tlogin, err := nats.NkeyOptionFromSeed({_text(target.nkey)})\n\tcheck(err)\n"
        return line, ", login"
    return "", ""


def _go(target: CodeTarget, publish: bool) -> str:
    before, login = _go_login(target)
    head = (
        "// go get github.com/nats-io/nats.go\n"
        "package main\n\n"
        'import (\n\t"context"\n\t"fmt"\n\t"log"\n\n'
        '\t"github.com/nats-io/nats.go"\n\t"github.com/nats-io/nats.go/jetstream"\n)\n\n'
        "func check(err error) {\n\tif err != nil {\n\t\tlog.Fatal(err)\n\t}\n}\n\n"
        "func main() {\n\tctx := context.Background()\n"
        f"{before}"
        f"\tnc, err := nats.Connect({_text(target.url)}{login})\n\tcheck(err)\n"
        "\tdefer nc.Drain()\n\tjs, err := jetstream.New(nc)\n\tcheck(err)\n"
    )
    if publish:
        body = (
            f'\tstored, err := js.Publish(ctx, {_text(target.subject)}, []byte(`{{"id": 1}}`))\n'
            "\tcheck(err)\n\tfmt.Println(stored.Stream, stored.Sequence)\n"
        )
    else:
        if target.make_group:
            body = (
                f"\tgroup, err := js.CreateOrUpdateConsumer(ctx, {_text(target.stream)}, "
                "jetstream.ConsumerConfig{\n"
                f"\t\tDurable: {_text(target.group)}, AckPolicy: jetstream.AckExplicitPolicy,\n\t}})\n"
            )
        else:
            body = f"\tgroup, err := js.Consumer(ctx, {_text(target.stream)}, {_text(target.group)})\n"
        body += (
            "\tcheck(err)\n\tbatch, err := group.Fetch(10)\n\tcheck(err)\n"
            "\tfor message := range batch.Messages() {\n"
            "\t\tfmt.Println(message.Subject(), string(message.Data()))\n"
            "\t\tcheck(message.Ack())\n\t}\n\tcheck(batch.Error())\n"
        )
    return f"{head}{body}}}\n"


def _command(target: CodeTarget, publish: bool) -> str:
    login: list[str] = []
    if target.user:
        login = ["--user", target.user, "--password", PASSWORD]
    elif target.token:
        login = ["--user", TOKEN]
    elif target.creds:
        login = ["--creds", target.creds]
    elif target.nkey:
        login = ["--nkey", target.nkey]
    nats = ["nats", "--server", target.url, *login]
    if publish:
        return shlex.join([*nats, "pub", target.subject, '{"id": 1}']) + "\n"
    lines = []
    if target.make_group:
        add = ["consumer", "add", target.stream, target.group, "--pull", "--ack", "explicit", "--defaults"]
        lines.append(shlex.join([*nats, *add]))
    lines.append(
        shlex.join([*nats, "consumer", "next", target.stream, target.group, "--count", "10", "--ack"])
    )
    return "\n".join(lines) + "\n"


LANGUAGES: Mapping[str, Callable[[CodeTarget, bool], str]] = {
    "Python": _python,
    "JavaScript": _javascript,
    "Go": _go,
    "nats": _command,
}


def program(language: str, target: CodeTarget, *, publish: bool) -> str:
    """Return a program in one of `LANGUAGES`."""
    return LANGUAGES[language](target, publish)
