"""Programs in Python, JavaScript, Ruby and Elixir, and lines for the ``nats`` command."""

from __future__ import annotations

import shlex
from urllib.parse import urlsplit

from memphis_desktop.inspect.client_code import quoting
from memphis_desktop.inspect.client_code.quoting import common as text
from memphis_desktop.inspect.client_code.target import CONSUME, KEY_VALUE, PUBLISH, CodeTarget

_BODY = '{"id": 1}'


# Python ---------------------------------------------------------------------------------------


def _python_login(target: CodeTarget) -> str:
    if target.user:
        return f", user={text(target.user)}, password={text(target.password)}"
    if target.token:
        return f", token={text(target.token_text)}"
    if target.creds:
        return f", user_credentials={text(target.creds)}"
    return f", nkeys_seed={text(target.nkey)}" if target.nkey else ""


def python(target: CodeTarget, what: str) -> str:
    """With nats-py."""
    servers = ", ".join(text(url) for url in target.urls)
    lines = [
        "# pip install nats-py",
        "import asyncio",
        "",
        "import nats",
        "",
        "",
        "async def main():",
        f"    client = await nats.connect([{servers}]{_python_login(target)})",
        "    jetstream = client.jetstream()",
    ]
    if what == PUBLISH:
        lines += [
            f"    stored = await jetstream.publish({text(target.subject)}, b'{_BODY}')",
            "    print(stored.stream, stored.seq)",
        ]
    elif what == KEY_VALUE:
        lines += [
            f"    bucket = await jetstream.key_value({text(target.bucket)})",
            '    revision = await bucket.put("greeting", b"hello")',
            '    entry = await bucket.get("greeting")',
            "    print(revision, entry.value.decode())",
        ]
    else:
        bind = (
            f'pull_subscribe("", durable={text(target.group)}, stream={text(target.stream)})'
            if target.make_group
            else f"pull_subscribe_bind({text(target.group)}, stream={text(target.stream)})"
        )
        lines += [
            f"    group = await jetstream.{bind}",
            "    for message in await group.fetch(10, timeout=5):",
            "        print(message.subject, message.data)",
            "        await message.ack()",
        ]
    return "\n".join([*lines, "    await client.drain()", "", "", "asyncio.run(main())", ""])


# JavaScript -----------------------------------------------------------------------------------


def _javascript_login(target: CodeTarget) -> tuple[str, str]:
    """What is imported for the login, and the option of it."""
    if target.user:
        return "", f", user: {text(target.user)}, pass: {text(target.password)}"
    if target.token:
        return "", f", token: {text(target.token_text)}"
    if target.creds:
        return (
            "credsAuthenticator",
            f", authenticator: credsAuthenticator(readFileSync({text(target.creds)}))",
        )
    if target.nkey:
        seed = f"new Uint8Array(readFileSync({text(target.nkey)}))"
        return "nkeyAuthenticator", f", authenticator: nkeyAuthenticator({seed})"
    return "", ""


def javascript(target: CodeTarget, what: str) -> str:
    """With nats.js for Node; TypeScript takes the same."""
    servers = ", ".join(text(url) for url in target.urls)
    imported, login = _javascript_login(target)
    names = ", ".join(["connect", *([imported] if imported else [])])
    package, using, body = _javascript_body(target, what)
    lines = [
        f"// npm install @nats-io/transport-node {package}      (save as program.mjs)",
        *(['import { readFileSync } from "node:fs";'] if imported else []),
        f'import {{ {names} }} from "@nats-io/transport-node";',
        f'import {{ {using} }} from "{package}";',
        "",
        f"const client = await connect({{ servers: [{servers}]{login} }});",
        *body,
        "await client.drain();",
        "",
    ]
    return "\n".join(lines)


def _javascript_body(target: CodeTarget, what: str) -> tuple[str, str, list[str]]:
    """The package, what is imported from it, and the lines that use it."""
    if what == PUBLISH:
        return (
            "@nats-io/jetstream",
            "jetstream",
            [
                f"const stored = await jetstream(client).publish({text(target.subject)}, "
                "JSON.stringify({ id: 1 }));",
                "console.log(stored.stream, stored.seq);",
            ],
        )
    if what == KEY_VALUE:
        return (
            "@nats-io/kv",
            "Kvm",
            [
                f"const bucket = await new Kvm(client).open({text(target.bucket)});",
                'const revision = await bucket.put("greeting", "hello");',
                'const entry = await bucket.get("greeting");',
                "console.log(revision, entry.string());",
            ],
        )
    making, using = [], "jetstream"
    if target.make_group:
        using = "AckPolicy, jetstream, jetstreamManager"
        making = [
            "const manager = await jetstreamManager(client);",
            f"await manager.consumers.add({text(target.stream)}, {{",
            f"  durable_name: {text(target.group)}, ack_policy: AckPolicy.Explicit,",
            "});",
        ]
    found = f"{text(target.stream)}, {text(target.group)}"
    return (
        "@nats-io/jetstream",
        using,
        [
            *making,
            f"const group = await jetstream(client).consumers.get({found});",
            "for await (const message of await group.fetch({ max_messages: 10, expires: 5000 })) {",
            "  console.log(message.subject, message.string());",
            "  message.ack();",
            "}",
        ],
    )


# Ruby -----------------------------------------------------------------------------------------


def _ruby_login(target: CodeTarget) -> str:
    quote = quoting.ruby
    if target.user:
        return f", user: {quote(target.user)}, pass: {quote(target.password)}"
    if target.token:
        return f", auth_token: {quote(target.token_text)}"
    if target.creds:
        return f", user_credentials: {quote(target.creds)}"
    return f", nkeys_seed: {quote(target.nkey)}" if target.nkey else ""


def ruby(target: CodeTarget, what: str) -> str:
    """With nats-pure."""
    quote = quoting.ruby
    servers = ", ".join(quote(url) for url in target.urls)
    gems = "nats-pure nkeys" if target.creds or target.nkey else "nats-pure"
    lines = [
        f"# gem install {gems}",
        "require 'nats/client'",
        "",
        f"client = NATS.connect(servers: [{servers}]{_ruby_login(target)})",
        "jetstream = client.jetstream",
    ]
    if what == PUBLISH:
        lines += [
            f"stored = jetstream.publish({quote(target.subject)}, '{_BODY}')",
            'puts "#{stored.stream} #{stored.seq}"',
        ]
    elif what == KEY_VALUE:
        lines += [
            f"bucket = jetstream.key_value({quote(target.bucket)})",
            "revision = bucket.put('greeting', 'hello')",
            "puts \"#{revision} #{bucket.get('greeting').value}\"",
        ]
    else:
        if target.make_group:
            config = f"durable_name: {quote(target.group)}, ack_policy: 'explicit'"
            lines.append(f"jetstream.add_consumer({quote(target.stream)}, {config})")
        bind = f"'', {quote(target.group)}, stream: {quote(target.stream)}"
        lines += [
            f"group = jetstream.pull_subscribe({bind})",
            "group.fetch(10, timeout: 5).each do |message|",
            '  puts "#{message.subject} #{message.data}"',
            "  message.ack",
            "end",
        ]
    return "\n".join([*lines, "client.close", ""])


# Elixir ---------------------------------------------------------------------------------------


def _elixir_login(target: CodeTarget) -> tuple[list[str], str]:
    """Lines before the connection, and its options."""
    quote = quoting.elixir
    if target.user:
        known = f"username: {quote(target.user)}, password: {quote(target.password)}"
        return [], f", {known}, auth_required: true"
    if target.token:
        return [], f", token: {quote(target.token_text)}, auth_required: true"
    if target.creds:
        reading = f"File.read!({quote(target.creds)})"
        found = f"[[_, jwt], [_, seed]] = Regex.scan(~r/-----BEGIN [^-]+-----\\s+(\\S+)/, {reading})"
        return [found], ", jwt: jwt, nkey_seed: seed, auth_required: true"
    if target.nkey:
        return (
            [f"seed = String.trim(File.read!({quote(target.nkey)}))"],
            ", nkey_seed: seed, auth_required: true",
        )
    return [], ""


def elixir(target: CodeTarget, what: str) -> str:
    """With Gnat, which takes one server."""
    quote = quoting.elixir
    parts = urlsplit(target.urls[0])
    host, port = parts.hostname or "127.0.0.1", parts.port or 4222
    secure = ", tls: true" if parts.scheme == "tls" else ""
    before, login = _elixir_login(target)
    lines = [
        "# elixir program.exs",
        'Mix.install([{:gnat, "~> 1.9"}])',
        "",
        *before,
        f"{{:ok, _}} = Gnat.start_link(%{{host: {quote(host)}, port: {port}{secure}{login}}}, name: :gnat)",
    ]
    if what == PUBLISH:
        lines += [
            f"{{:ok, stored}} = Gnat.request(:gnat, {quote(target.subject)}, ~s({_BODY}))",
            "IO.puts(stored.body)",
        ]
    elif what == KEY_VALUE:
        bucket = quote(target.bucket)
        lines += [
            "alias Gnat.Jetstream.API.KV",
            f':ok = KV.put_value(:gnat, {bucket}, "greeting", "hello")',
            f'IO.puts(KV.get_value(:gnat, {bucket}, "greeting"))',
        ]
    else:
        lines += _elixir_consumer(target)
    return "\n".join([*lines, ""])


def _elixir_consumer(target: CodeTarget) -> list[str]:
    quote = quoting.elixir
    stream, group = quote(target.stream), quote(target.group)
    making = []
    if target.make_group:
        known = f"stream_name: {stream}, durable_name: {group}"
        making = [
            "alias Gnat.Jetstream.API.Consumer",
            f"{{:ok, _}} = Consumer.create(:gnat, %Consumer{{{known}}})",
        ]
    return [
        *making,
        "",
        "defmodule Group do",
        "  use Gnat.Jetstream.PullConsumer",
        "",
        "  @impl true",
        "  def init(_) do",
        f"    {{:ok, nil, connection_name: :gnat, stream_name: {stream}, consumer_name: {group}}}",
        "  end",
        "",
        "  @impl true",
        "  def handle_message(message, state) do",
        '    IO.puts("#{message.topic} #{message.body}")',
        "    {:ack, state}",
        "  end",
        "end",
        "",
        "{:ok, _} = Gnat.Jetstream.PullConsumer.start_link(Group, nil)",
        "Process.sleep(5_000)",
    ]


# The nats command -----------------------------------------------------------------------------


def command(target: CodeTarget, what: str) -> str:
    """Lines for a shell, with the ``nats`` command."""
    login: list[str] = []
    if target.user:
        login = ["--user", target.user, "--password", target.password]
    elif target.token:
        login = ["--user", target.token_text]
    elif target.creds:
        login = ["--creds", target.creds]
    elif target.nkey:
        login = ["--nkey", target.nkey]
    nats = ["nats", "--server", target.url, *login]
    lines = []
    if what == PUBLISH:
        lines.append([*nats, "pub", "--jetstream", target.subject, _BODY])
    elif what == KEY_VALUE:
        lines.append([*nats, "kv", "put", target.bucket, "greeting", "hello"])
        lines.append([*nats, "kv", "get", target.bucket, "greeting", "--raw"])
    else:
        assert what == CONSUME
        if target.make_group:
            made = ["consumer", "add", target.stream, target.group]
            lines.append([*nats, *made, "--pull", "--ack", "explicit", "--defaults"])
        taken = ["consumer", "next", target.stream, target.group, "--count", "10", "--ack"]
        lines.append([*nats, *taken])
    return "".join(f"{shlex.join(line)}\n" for line in lines)
