"""A person's archive, from the request to the file, through the gateway and the workers."""

import io
import json
import zipfile
from typing import Any

import aiohttp
from rich.console import Console

from kelmah.cli.demo import journey
from kelmah.cli.demo.client import Api, Mailbox, Steps, eventually
from kelmah.cli.platform import Platform
from kelmah.contracts.exports import PARTS


async def test_a_person_fetches_everything(running_platform: Platform) -> None:
    assert running_platform.mailbox is not None
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as http:
        api = Api(http, running_platform.gateway_url)
        hirer, worker = await journey.join(Steps(Console(quiet=True)), api, Mailbox(running_platform.mailbox))
        asked = await worker.api.call("POST", "/auth/me/exports", expect=202)
        export_id = asked.data["id"]

        async def told() -> dict[str, Any] | None:
            items = (await worker.api.get("/notifications"))["items"]
            return next((one for one in items if one["kind"] == "data_export_ready"), None)

        assert (await eventually("the notification", told))["data"] == {"exportId": export_id}
        await hirer.api.call("POST", f"/auth/me/exports/{export_id}/link", expect=404)
        url = (await worker.api.post(f"/auth/me/exports/{export_id}/link"))["url"]
        assert url.startswith(running_platform.gateway_url)
        async with http.get(url) as answer:
            assert (answer.status, answer.content_type) == (200, "application/zip")
            with zipfile.ZipFile(io.BytesIO(await answer.read())) as found:
                files = {name: json.loads(found.read(name)) for name in found.namelist()}
        async with http.get(url) as answer:
            assert answer.status == 400
    assert set(files) == {f"{name}/{part}.json" for name, parts in PARTS.items() for part in parts} | {"index.json"}
    assert files["auth/account.json"][0]["account"]["email"] == worker.email
    assert files["user/profile.json"][0]["profile"]["userId"] == worker.id
