"""Programs in Java and C#."""

from __future__ import annotations

from memphis_desktop.inspect.client_code.quoting import common as text
from memphis_desktop.inspect.client_code.target import KEY_VALUE, PUBLISH, CodeTarget

_BODY = '{"id": 1}'


# Java -----------------------------------------------------------------------------------------


def _java_login(target: CodeTarget) -> str:
    if target.user:
        return f".userInfo({text(target.user)}, {text(target.password)})"
    if target.token:
        return f".token({text(target.token_text)}.toCharArray())"
    if target.creds:
        return f".authHandler(Nats.credentials({text(target.creds)}))"
    if target.nkey:
        seed = f"Files.readString(Path.of({text(target.nkey)})).trim().toCharArray()"
        return f".authHandler(Nats.staticCredentials(null, {seed}))"
    return ""


def java(target: CodeTarget, what: str) -> str:
    """With jnats."""
    servers = ", ".join(text(url) for url in target.urls)
    used = ["io.nats.client.*"]
    if what == PUBLISH:
        used.append("io.nats.client.api.PublishAck")
    elif what == KEY_VALUE:
        used.append("io.nats.client.api.KeyValueEntry")
    elif target.make_group:
        used += ["io.nats.client.api.AckPolicy", "io.nats.client.api.ConsumerConfiguration"]
    if what == PUBLISH:
        used.append("java.nio.charset.StandardCharsets")
    if target.nkey:
        used += ["java.nio.file.Files", "java.nio.file.Path"]
    lines = [
        "// Maven: io.nats:jnats      (save as Program.java)",
        *[f"import {name};" for name in used],
        "",
        "public class Program {",
        "    public static void main(String[] args) throws Exception {",
        f"        Options options = Options.builder().servers(new String[]{{{servers}}})",
        f"            {_java_login(target)}.build();",
        "        try (Connection client = Nats.connect(options)) {",
        *[f"            {line}".rstrip() for line in _java_body(target, what)],
        "        }",
        "    }",
        "}",
        "",
    ]
    return "\n".join(lines)


def _java_body(target: CodeTarget, what: str) -> list[str]:
    if what == PUBLISH:
        return [
            f"byte[] body = {text(_BODY)}.getBytes(StandardCharsets.UTF_8);",
            f"PublishAck stored = client.jetStream().publish({text(target.subject)}, body);",
            'System.out.println(stored.getStream() + " " + stored.getSeqno());',
        ]
    if what == KEY_VALUE:
        return [
            f"KeyValue bucket = client.keyValue({text(target.bucket)});",
            'long revision = bucket.put("greeting", "hello");',
            'KeyValueEntry entry = bucket.get("greeting");',
            'System.out.println(revision + " " + entry.getValueAsString());',
        ]
    stream, group = text(target.stream), text(target.group)
    if target.make_group:
        found = [
            f"ConsumerContext group = client.getStreamContext({stream}).createOrUpdateConsumer(",
            "    ConsumerConfiguration.builder()",
            f"        .durable({group}).ackPolicy(AckPolicy.Explicit).build());",
        ]
    else:
        found = [f"ConsumerContext group = client.getConsumerContext({stream}, {group});"]
    return [
        *found,
        "try (FetchConsumer batch = group.fetch(",
        "        FetchConsumeOptions.builder().maxMessages(10).expiresIn(5000).build())) {",
        "    Message message;",
        "    while ((message = batch.nextMessage()) != null) {",
        '        System.out.println(message.getSubject() + " " + new String(message.getData()));',
        "        message.ack();",
        "    }",
        "}",
    ]


# C# -------------------------------------------------------------------------------------------


def _dotnet_login(target: CodeTarget) -> str:
    if target.user:
        return f"Username = {text(target.user)}, Password = {text(target.password)}"
    if target.token:
        return f"Token = {text(target.token_text)}"
    if target.creds:
        return f"CredsFile = {text(target.creds)}"
    return f"NKeyFile = {text(target.nkey)}" if target.nkey else ""


def dotnet(target: CodeTarget, what: str) -> str:
    """With NATS.Net, in C#."""
    login = _dotnet_login(target)
    auth = [f"    AuthOpts = new NatsAuthOpts {{ {login} }},"] if login else []
    spaces = ["NATS.Client.Core", "NATS.Client.JetStream", "NATS.Client.JetStream.Models", "NATS.Net"]
    if what == KEY_VALUE:
        spaces.insert(3, "NATS.Client.KeyValueStore")
    lines = [
        "// dotnet new console && dotnet add package NATS.Net      (as Program.cs; then: dotnet run)",
        *[f"using {space};" for space in spaces],
        "",
        "await using var client = new NatsClient(new NatsOpts",
        "{",
        f"    Url = {text(target.url)},",
        *auth,
        "});",
        *_dotnet_body(target, what),
        "",
    ]
    return "\n".join(lines)


def _dotnet_body(target: CodeTarget, what: str) -> list[str]:
    if what == KEY_VALUE:
        return [
            f"var bucket = await client.CreateKeyValueStoreContext().GetStoreAsync({text(target.bucket)});",
            'var revision = await bucket.PutAsync("greeting", "hello");',
            'var entry = await bucket.GetEntryAsync<string>("greeting");',
            'Console.WriteLine($"{revision} {entry.Value}");',
        ]
    start = ["var jetstream = client.CreateJetStreamContext();"]
    if what == PUBLISH:
        return [
            *start,
            f"var stored = await jetstream.PublishAsync({text(target.subject)}, {text(_BODY)});",
            "stored.EnsureSuccess();",
            'Console.WriteLine($"{stored.Stream} {stored.Seq}");',
        ]
    stream, group = text(target.stream), text(target.group)
    if target.make_group:
        wanted = f"new ConsumerConfig({group})"
        found = f"var group = await jetstream.CreateOrUpdateConsumerAsync({stream}, {wanted});"
    else:
        found = f"var group = await jetstream.GetConsumerAsync({stream}, {group});"
    return [
        *start,
        found,
        "var batch = new NatsJSFetchOpts { MaxMsgs = 10, Expires = TimeSpan.FromSeconds(5) };",
        "await foreach (var message in group.FetchAsync<string>(batch))",
        "{",
        '    Console.WriteLine($"{message.Subject} {message.Data}");',
        "    await message.AckAsync();",
        "}",
    ]
