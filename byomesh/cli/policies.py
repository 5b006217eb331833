"""The policy of the local cloud: a file that is followed, or an object of the local Cloud Storage that is written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from byomesh.cli.output import Format, Output, err, fail, out, print_json, told
from byomesh.local.client import Client
from byomesh.local.home import Home
from shared.errors import Permanent
from shared.policy import read_file
from shared.policy_source import is_object


def for_functions(policy: str) -> str:
    """What BYOMESH_POLICY is to be for the functions of a local cloud.

    Raises:
        BadPolicy: the file's policy can't be used.
        Permanent: it names neither a file nor an object.
    """
    if is_object(policy):
        from shared.cloud_storage import ObjectName  # noqa: PLC0415 - Google's client is slow to load

        return str(ObjectName.parse(policy))
    read_file(Path(policy))
    return str(Path(policy).absolute())


def write(
    file: Annotated[Path, typer.Argument(help="The new policy.", metavar="FILE")],
    force: Annotated[bool, typer.Option("--force", help="Write it even if it can't be used.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Write the policy's object of a local cloud that is up with --policy gs://BUCKET/OBJECT.

    As `gcloud storage cp FILE gs://BUCKET/OBJECT` does for a deployment. The functions follow within a second.
    """
    with told():
        if not force:
            read_file(file)
        environment = Client.connect(Home.default()).call("GET", "/environment")["environment"]
        with err.status("writing"):
            named, generation = _write(file.read_text(encoding="utf-8", errors="surrogateescape"), environment)
    if output is Format.JSON:
        print_json({"object": named, "generation": generation})
    else:
        out.print(f"{named} is generation {generation} now")


def _write(text: str, environment: dict[str, str]) -> tuple[str, int]:
    from google.oauth2 import service_account  # noqa: PLC0415 - Google's client is slow to load

    from shared.cloud_storage import CloudStorage, ObjectName  # noqa: PLC0415 - likewise
    from shared.config import read_settings  # noqa: PLC0415 - likewise

    config = read_settings(environment)
    if not is_object(config.policy):
        fail("this local cloud's policy is no object; start it with: byomesh local up --policy gs://BUCKET/OBJECT")
    credentials = service_account.Credentials.from_service_account_file(  # type: ignore[no-untyped-call]
        environment["GOOGLE_APPLICATION_CREDENTIALS"], scopes=["https://www.googleapis.com/auth/cloud-platform"]
    )
    door, name = CloudStorage(config, credentials), ObjectName.parse(config.policy)
    found = door.read(name, limit=0)
    generation = door.replace(name, text, 0 if found is None else found.generation)
    if generation is None:
        raise Permanent("ObjectChanged", f"{name} was written by somebody else meanwhile", remedy="run it again")
    return str(name), generation
