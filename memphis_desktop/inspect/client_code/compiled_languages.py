"""Programs in Go, Rust and C."""

from __future__ import annotations

from memphis_desktop.inspect.client_code import quoting
from memphis_desktop.inspect.client_code.quoting import common as text
from memphis_desktop.inspect.client_code.target import KEY_VALUE, PUBLISH, CodeTarget

_BODY = '{"id": 1}'


# Go -------------------------------------------------------------------------------------------


def _go_login(target: CodeTarget) -> tuple[str, str]:
    """Lines before the connection, and its option."""
    if target.user:
        return "", f", nats.UserInfo({text(target.user)}, {text(target.password)})"
    if target.token:
        return "", f", nats.Token({text(target.token_text)})"
    if target.creds:
        return "", f", nats.UserCredentials({text(target.creds)})"
    if target.nkey:
        line = f"\tlogin, err := nats.NkeyOptionFromSeed({text(target.nkey)})\n\tcheck(err)\n"
        return line, ", login"
    return "", ""


def go(target: CodeTarget, what: str) -> str:
    """With nats.go."""
    before, login = _go_login(target)
    head = (
        "// go mod init example && go get github.com/nats-io/nats.go && go run .\n"
        "package main\n\n"
        'import (\n\t"context"\n\t"fmt"\n\t"log"\n\n'
        '\t"github.com/nats-io/nats.go"\n\t"github.com/nats-io/nats.go/jetstream"\n)\n\n'
        "func check(err error) {\n\tif err != nil {\n\t\tlog.Fatal(err)\n\t}\n}\n\n"
        "func main() {\n\tctx := context.Background()\n"
        f"{before}"
        f"\tnc, err := nats.Connect({text(target.url)}{login})\n\tcheck(err)\n"
        "\tdefer nc.Drain()\n\tjs, err := jetstream.New(nc)\n\tcheck(err)\n"
    )
    if what == PUBLISH:
        body = (
            f"\tstored, err := js.Publish(ctx, {text(target.subject)}, []byte(`{_BODY}`))\n"
            "\tcheck(err)\n\tfmt.Println(stored.Stream, stored.Sequence)\n"
        )
    elif what == KEY_VALUE:
        body = (
            f"\tbucket, err := js.KeyValue(ctx, {text(target.bucket)})\n\tcheck(err)\n"
            '\trevision, err := bucket.PutString(ctx, "greeting", "hello")\n\tcheck(err)\n'
            '\tentry, err := bucket.Get(ctx, "greeting")\n\tcheck(err)\n'
            "\tfmt.Println(revision, string(entry.Value()))\n"
        )
    else:
        body = _go_consumer(target)
    return f"{head}{body}}}\n"


def _go_consumer(target: CodeTarget) -> str:
    if target.make_group:
        group = (
            f"\tgroup, err := js.CreateOrUpdateConsumer(ctx, {text(target.stream)}, "
            "jetstream.ConsumerConfig{\n"
            f"\t\tDurable: {text(target.group)}, AckPolicy: jetstream.AckExplicitPolicy,\n\t}})\n"
        )
    else:
        group = f"\tgroup, err := js.Consumer(ctx, {text(target.stream)}, {text(target.group)})\n"
    return (
        f"{group}\tcheck(err)\n\tbatch, err := group.Fetch(10)\n\tcheck(err)\n"
        "\tfor message := range batch.Messages() {\n"
        "\t\tfmt.Println(message.Subject(), string(message.Data()))\n"
        "\t\tcheck(message.Ack())\n\t}\n\tcheck(batch.Error())\n"
    )


# Rust -----------------------------------------------------------------------------------------


def _rust_login(target: CodeTarget) -> list[str]:
    """The lines that make the options of the connection."""
    quote = quoting.rust
    if target.user:
        known = f"{quote(target.user)}.into(), {quote(target.password)}.into()"
        return [f"    let options = async_nats::ConnectOptions::with_user_and_password({known});"]
    if target.token:
        return [
            f"    let options = async_nats::ConnectOptions::with_token({quote(target.token_text)}.into());"
        ]
    if target.creds:
        path = quote(target.creds)
        return [f"    let options = async_nats::ConnectOptions::with_credentials_file({path}).await?;"]
    if target.nkey:
        return [
            f"    let seed = std::fs::read_to_string({quote(target.nkey)})?.trim().to_string();",
            "    let options = async_nats::ConnectOptions::with_nkey(seed);",
        ]
    return ["    let options = async_nats::ConnectOptions::new();"]


def rust(target: CodeTarget, what: str) -> str:
    """With async-nats."""
    quote = quoting.rust
    urls = ", ".join(f"{quote(url)}.parse::<async_nats::ServerAddr>()?" for url in target.urls)
    servers = f"vec![{urls}]" if len(target.urls) > 1 else quote(target.urls[0])
    consumes = what not in (PUBLISH, KEY_VALUE)
    uses = ["use async_nats::jetstream;"]
    if consumes:
        uses += ["use futures::StreamExt;"]
    lines = [
        "// cargo add async-nats futures tokio --features tokio/full",
        *uses,
        "",
        "#[tokio::main]",
        "async fn main() -> Result<(), async_nats::Error> {",
        *_rust_login(target),
        f"    let client = options.connect({servers}).await?;",
        "    let js = jetstream::new(client);",
    ]
    if what == PUBLISH:
        lines += [
            f"    let stored = js.publish({quote(target.subject)}, {quote(_BODY)}.into()).await?.await?;",
            '    println!("{} {}", stored.stream, stored.sequence);',
        ]
    elif what == KEY_VALUE:
        lines += [
            f"    let bucket = js.get_key_value({quote(target.bucket)}).await?;",
            '    let revision = bucket.put("greeting", "hello".into()).await?;',
            '    let value = bucket.get("greeting").await?.unwrap_or_default();',
            '    println!("{} {}", revision, String::from_utf8_lossy(&value));',
        ]
    else:
        lines += _rust_consumer(target)
    return "\n".join([*lines, "    Ok(())", "}", ""])


def _rust_consumer(target: CodeTarget) -> list[str]:
    quote = quoting.rust
    stream, group = quote(target.stream), quote(target.group)
    kind = "jetstream::consumer::PullConsumer"
    if target.make_group:
        found = [
            f"    let group: {kind} = stream",
            "        .get_or_create_consumer(",
            f"            {group},",
            "            jetstream::consumer::pull::Config {",
            f"                durable_name: Some({group}.into()),",
            "                ..Default::default()",
            "            },",
            "        )",
            "        .await?;",
        ]
    else:
        found = [f"    let group: {kind} = stream.get_consumer({group}).await?;"]
    return [
        f"    let stream = js.get_stream({stream}).await?;",
        *found,
        "    let wait = std::time::Duration::from_secs(5);",
        "    let mut batch = group.fetch().max_messages(10).expires(wait).messages().await?;",
        "    while let Some(message) = batch.next().await {",
        "        let message = message?;",
        '        println!("{} {}", message.subject, String::from_utf8_lossy(&message.payload));',
        "        message.ack().await?;",
        "    }",
    ]


# C --------------------------------------------------------------------------------------------


def _c_login(target: CodeTarget) -> list[str]:
    quote = quoting.c
    if target.user:
        known = f"{quote(target.user)}, {quote(target.password)}"
        return [f"    check(natsOptions_SetUserInfo(options, {known}));"]
    if target.token:
        return [f"    check(natsOptions_SetToken(options, {quote(target.token_text)}));"]
    if target.creds:
        path = quote(target.creds)
        return [f"    check(natsOptions_SetUserCredentialsFromFiles(options, {path}, NULL));"]
    if target.nkey:
        return [
            "    // The public key of the seed: nk -inkey FILE -pubout",
            f'    check(natsOptions_SetNKeyFromSeed(options, "YOUR_PUBLIC_KEY", {quote(target.nkey)}));',
        ]
    return []


def c(target: CodeTarget, what: str) -> str:
    """With nats.c."""
    quote = quoting.c
    servers = ", ".join(quote(url) for url in target.urls)
    body = {PUBLISH: _c_publish, KEY_VALUE: _c_bucket}.get(what, _c_consumer)(target)
    lines = [
        "// cc program.c -lnats -o program      (Debian: libnats-dev)",
        "#include <nats/nats.h>",
        "#include <stdio.h>",
        "#include <stdlib.h>",
        "#include <string.h>",
        "",
        "static void check(natsStatus status) {",
        "    if (status != NATS_OK) {",
        '        fprintf(stderr, "%s %s\\n", natsStatus_GetText(status), nats_GetLastError(NULL));',
        "        exit(1);",
        "    }",
        "}",
        "",
        "int main(void) {",
        f"    const char *servers[] = {{{servers}}};",
        "    natsOptions *options = NULL;",
        "    natsConnection *client = NULL;",
        "    jsCtx *js = NULL;",
        "    check(natsOptions_Create(&options));",
        f"    check(natsOptions_SetServers(options, servers, {len(target.urls)}));",
        *_c_login(target),
        "    check(natsConnection_Connect(&client, options));",
        "    check(natsConnection_JetStream(&js, client, NULL));",
        "",
        *body,
        "",
        "    jsCtx_Destroy(js);",
        "    natsConnection_Destroy(client);",
        "    natsOptions_Destroy(options);",
        "    return 0;",
        "}",
        "",
    ]
    return "\n".join(lines)


def _c_publish(target: CodeTarget) -> list[str]:
    quote = quoting.c
    return [
        "    jsPubAck *stored = NULL;",
        f"    const char *body = {quote(_BODY)};",
        f"    check(js_Publish(&stored, js, {quote(target.subject)}, body, (int)strlen(body), NULL, NULL));",
        '    printf("%s %llu\\n", stored->Stream, (unsigned long long)stored->Sequence);',
        "    jsPubAck_Destroy(stored);",
    ]


def _c_bucket(target: CodeTarget) -> list[str]:
    return [
        "    kvStore *bucket = NULL;",
        "    kvEntry *entry = NULL;",
        "    uint64_t revision = 0;",
        f"    check(js_KeyValue(&bucket, js, {quoting.c(target.bucket)}));",
        '    check(kvStore_PutString(&revision, bucket, "greeting", "hello"));',
        '    check(kvStore_Get(&entry, bucket, "greeting"));',
        '    printf("%llu %s\\n", (unsigned long long)revision, kvEntry_ValueString(entry));',
        "    kvEntry_Destroy(entry);",
        "    kvStore_Destroy(bucket);",
    ]


def _c_consumer(target: CodeTarget) -> list[str]:
    stream, group = quoting.c(target.stream), quoting.c(target.group)
    making = []
    if target.make_group:
        making = [
            "    jsConsumerConfig config;",
            "    check(jsConsumerConfig_Init(&config));",
            f"    config.Durable = {group};",
            "    config.AckPolicy = js_AckExplicit;",
            f"    check(js_AddConsumer(NULL, js, {stream}, &config, NULL, NULL));",
        ]
    return [
        *making,
        "    jsSubOptions bind;",
        "    natsSubscription *messages = NULL;",
        "    natsMsgList batch;",
        "    check(jsSubOptions_Init(&bind));",
        f"    bind.Stream = {stream};",
        f"    bind.Consumer = {group};",
        f"    check(js_PullSubscribe(&messages, js, NULL, {group}, NULL, &bind, NULL));",
        "    check(natsSubscription_Fetch(&batch, messages, 10, 5000, NULL));",
        "    for (int i = 0; i < batch.Count; i++) {",
        "        natsMsg *message = batch.Msgs[i];",
        '        printf("%s %.*s\\n", natsMsg_GetSubject(message), natsMsg_GetDataLength(message),',
        "               natsMsg_GetData(message));",
        "        check(natsMsg_Ack(message, NULL));",
        "    }",
        "    natsMsgList_Destroy(&batch);",
        "    check(natsConnection_Flush(client));",
        "    natsSubscription_Destroy(messages);",
    ]
