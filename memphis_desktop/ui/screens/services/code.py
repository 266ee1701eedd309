"""Programs that are a service, to copy: for who has none yet."""

from __future__ import annotations

from PySide6.QtWidgets import QWidget

from memphis_desktop.cluster.profiles import without_secret
from memphis_desktop.language import tr
from memphis_desktop.ui.components.code_block import CodeBlock
from memphis_desktop.ui.components.dialogs import Dialog
from memphis_desktop.ui.components.labels import PlainLabel
from memphis_desktop.ui.components.segments import Segments
from memphis_desktop.ui.screen import ScreenContext

NAME = "greeter"

_PYTHON = """\
# pip install nats-py
import asyncio
import nats
import nats.micro
from nats.micro.request import Request


async def hello(request: Request) -> None:
    await request.respond(b"hello " + request.data)


async def main() -> None:
    client = await nats.connect("{url}")
    service = await nats.micro.add_service(
        client, name="{name}", version="1.0.0", description="Says hello"
    )
    await service.add_endpoint(name="hello", subject="{name}.hello", handler=hello)
    await asyncio.Event().wait()


asyncio.run(main())
"""

_GO = """\
// go get github.com/nats-io/nats.go
package main

import (
	"log"
	"runtime"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

func main() {{
	client, err := nats.Connect("{url}")
	if err != nil {{
		log.Fatal(err)
	}}
	_, err = micro.AddService(client, micro.Config{{
		Name: "{name}", Version: "1.0.0", Description: "Says hello",
		Endpoint: &micro.EndpointConfig{{
			Subject: "{name}.hello",
			Handler: micro.HandlerFunc(func(request micro.Request) {{
				request.Respond(append([]byte("hello "), request.Data()...))
			}}),
		}},
	}})
	if err != nil {{
		log.Fatal(err)
	}}
	runtime.Goexit()
}}
"""

_JAVASCRIPT = """\
// npm install @nats-io/transport-node @nats-io/services
import {{ connect }} from "@nats-io/transport-node";
import {{ Svcm }} from "@nats-io/services";

const client = await connect({{ servers: "{url}" }});
const service = await new Svcm(client).add({{
  name: "{name}",
  version: "1.0.0",
  description: "Says hello",
}});
service.addEndpoint("hello", {{
  subject: "{name}.hello",
  handler: (error, request) => request.respond(`hello ${{request.string()}}`),
}});
"""

PROGRAMS = {"Python": _PYTHON, "Go": _GO, "JavaScript": _JAVASCRIPT}  # untranslated: names of languages


def program(language: str, url: str) -> str:
    """The program of a language, for a server."""
    return PROGRAMS[language].format(url=url, name=NAME)


class ServiceCodeDialog(Dialog):
    """A small service in a language that is chosen."""

    def __init__(self, parent: QWidget, context: ScreenContext) -> None:
        super().__init__(parent, tr("A service of your own"), tr("Close"), width=720)
        self._url = without_secret(context.session.profile.urls[0])
        self.languages = Segments([(name, name) for name in PROGRAMS])
        self.languages.set_choice("Python")  # untranslated: a name
        self.languages.chosen.connect(lambda _: self._show())
        self.code = CodeBlock(lines=0)
        self.code.setMinimumHeight(380)
        text = tr("Run it, and it appears here. Several at once share the requests.")
        self.body.addWidget(PlainLabel(text, "muted", wrap=True))
        self.body.addWidget(self.languages)
        self.body.addWidget(self.code, 1)
        note = tr("Where the server wants a login, add it where the program connects.")
        self.body.addWidget(PlainLabel(note, "caption", wrap=True))
        self.cancel_button.hide()
        self._show()

    def _show(self) -> None:
        self.code.set_text(program(self.languages.choice(), self._url))
