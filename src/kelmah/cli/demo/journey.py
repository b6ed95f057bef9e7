"""The main journey, step by step: each result is checked before the next step starts."""

import asyncio
import base64
import secrets
from typing import Any, NamedTuple

import aiohttp

from kelmah.cli.demo.client import Api, CheckFailed, Mailbox, Steps, check, eventually

PRICE = 45_000
FEE = PRICE // 10
DEPOSIT = 60_000
PLACE = {"city": "Accra", "region": "Greater Accra", "coordinates": [-0.187, 5.6037]}
#: The smallest PNG: one transparent pixel.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


class Actor(NamedTuple):
    """Somebody of the story."""

    id: str
    name: str
    email: str
    api: Api


class Deal(NamedTuple):
    """What the two agreed on."""

    job_id: str
    contract_id: str
    milestone_id: str


async def run(steps: Steps, api: Api, mailbox: Mailbox) -> None:
    """Walk the whole journey.

    Raises:
        CheckFailed: a result is wrong.
    """
    with steps.step("every service is healthy"):
        async with api.session.get(f"{api.url}/health") as answer:
            check(answer.status == 200, f"/health answered {answer.status}: {await answer.text()}")
    hirer, worker = await join(steps, api, mailbox)
    await deal(steps, api, hirer, worker)
    await read_the_story(steps, hirer, worker)


async def join(steps: Steps, api: Api, mailbox: Mailbox) -> tuple[Actor, Actor]:
    """A hirer and a worker come to the platform. This part needs workers, since it needs mail.

    Raises:
        CheckFailed: a result is wrong.
    """
    hirer = await _join(steps, api, mailbox, "hirer", "Abena", "Owusu")
    worker = await _join(steps, api, mailbox, "worker", "Kofi", "Mensah")
    return hirer, worker


async def deal(steps: Steps, api: Api, hirer: Actor, worker: Actor) -> None:
    """From the worker's profile to both reviews; no step waits for workers.

    Raises:
        CheckFailed: a result is wrong.
    """
    await _present(steps, worker)
    await _deposit(steps, hirer)
    job_id = await _offer(steps, hirer)
    await _find(steps, api, worker, job_id)
    agreed = await _agree(steps, hirer, worker, job_id)
    await _fund(steps, hirer, worker, agreed)
    await _talk(steps, hirer, worker)
    await _do_the_work(steps, hirer, worker, agreed)
    await _check_money(steps, hirer, worker)
    await _review(steps, hirer, worker, agreed)


async def _join(steps: Steps, api: Api, mailbox: Mailbox, role: str, first: str, last: str) -> Actor:
    address = f"{first.lower()}.{secrets.token_hex(5)}@example.com"
    password = secrets.token_urlsafe(18)
    account = {"email": address, "password": password, "firstName": first, "lastName": last, "role": role}
    with steps.step(f"register the {role}"):
        made = await api.post("/auth/register", account)
    with steps.step(f"the {role}'s e-mail registered again makes nothing, and does not say that it is known"):
        again = await api.post("/auth/register", account)
        check(again.keys() == made.keys() and again["id"] != made["id"], f"a second answer is {again}")
    with steps.step(f"the {role} verifies the e-mail with the mailed token"):
        await api.post("/auth/verify-email", {"token": await mailbox.token_for(address)})
    with steps.step(f"the {role} logs in"):
        session = await api.post("/auth/login", {"email": address, "password": password})
        check(session["tokenType"] == "Bearer", f"tokenType is {session['tokenType']}")
        check(session["user"]["role"] == role, f"role is {session['user']['role']}")
        check(session["user"]["id"] == made["id"], "another account was made")
    with steps.step(f"the {role}'s session is refreshed with a new token"):
        fresh = await api.post("/auth/refresh", {"refreshToken": session["refreshToken"]})
        check(fresh["refreshToken"] != session["refreshToken"], "the refresh token did not rotate")
    person = api.signed_in(fresh["accessToken"])
    with steps.step(f"the {role} is who the token says"):
        me = await person.get("/auth/me")
        check(me["email"] == address, f"/auth/me says {me['email']}")
    steps.story.append((f"{first} {last}, {role}", me["id"]))
    return Actor(me["id"], first, address, person)


async def _present(steps: Steps, worker: Actor) -> None:
    with steps.step("the worker fills the profile"):
        profile = await worker.api.call("GET", "/users/me")
        update = {
            "headline": "Electrician, 12 years",
            "bio": "House wiring, solar and repairs.",
            "location": PLACE,
            "hourlyRate": {"amount": 5_000, "currency": "GHS"},
        }
        worker_api, headers = worker.api, {"If-Match": profile.headers["etag"]}
        async with worker_api.session.patch(
            f"{worker_api.url}/api/v1/users/me", json=update, headers={**worker_api.headers, **headers}
        ) as answer:
            data = await answer.json()
            check(answer.status == 200, f"PATCH /users/me answered {answer.status}: {data}")
            check(data["location"]["city"] == "Accra", "the place was not kept")
    with steps.step("the worker names skills"):
        reply = await worker.api.call("PUT", "/users/me/skills", {"skills": ["electrician"]})
        check("electrician" in str(reply.data), f"the skills are {reply.data}")
    with steps.step("the hirer's search finds the worker"):

        async def look() -> bool | None:
            found = await worker.api.get("/workers?skill=electrician&near=-0.187,5.6037&radiusKm=5&limit=100")
            return worker.id in str(found) or None

        await eventually("the worker in the search", look)


async def _deposit(steps: Steps, hirer: Actor) -> None:
    with steps.step("the hirer deposits by card"):
        body = {"amount": {"amount": DEPOSIT, "currency": "GHS"}, "paymentMethod": "pm_card_visa"}
        deposit = await hirer.api.post("/payments/wallet/deposits", body)
        check(deposit["status"] == "succeeded", f"the deposit is {deposit['status']}")
    with steps.step("the wallet holds the deposit"):
        check(await _available(hirer) == DEPOSIT, f"available is {await _available(hirer)}")


async def _available(actor: Actor) -> int:
    wallet = await actor.api.get("/payments/wallet")
    return sum(one["available"]["amount"] for one in wallet["balances"] if one["currency"] == "GHS")


async def _offer(steps: Steps, hirer: Actor) -> str:
    with steps.step("the hirer writes a job"):
        job = await hirer.api.post(
            "/jobs",
            {
                "title": "Rewire a three-room house",
                "description": "Old wiring out, new wiring and sockets in, tested and labelled.",
                "category": "electrical",
                "skills": ["electrician"],
                "budget": {"amount": 50_000, "currency": "GHS"},
                "location": PLACE,
            },
        )
        check(job["status"] == "draft", f"the job is {job['status']}")
    with steps.step("the hirer publishes it"):
        published = await hirer.api.post(f"/jobs/{job['id']}/publish")
        check(published["status"] == "open", f"the job is {published['status']}")
    steps.story.append(("job", f"{job['title']}, 500.00 GHS"))
    return str(job["id"])


async def _find(steps: Steps, api: Api, worker: Actor, job_id: str) -> None:
    with steps.step("anybody finds the job by search"):
        found = await api.get("/jobs?q=rewire&near=-0.187,5.6037&radiusKm=10&limit=100")
        check(job_id in [job["id"] for job in found["items"]], "the job is not among the found")
    with steps.step("the job is recommended to the worker"):
        found = await worker.api.get("/jobs/recommendations?limit=100")
        check(job_id in str(found), "the job is not among the recommended")


async def _agree(steps: Steps, hirer: Actor, worker: Actor, job_id: str) -> Deal:
    offer = {
        "proposedRate": {"amount": PRICE, "currency": "GHS"},
        "coverLetter": "I can start on Monday and bring my own tools.",
    }
    with steps.step("the worker applies"):
        application = await worker.api.call("POST", f"/jobs/{job_id}/applications", offer, expect=201)
    with steps.step("a second application is refused"):
        await worker.api.call("POST", f"/jobs/{job_id}/applications", offer, expect=409)
    with steps.step("the hirer accepts, which makes a contract"):
        accepted = await hirer.api.post(f"/applications/{application.data['id']}/accept")
        contract_id = str(accepted.get("contractId") or accepted["id"])
        contract = await hirer.api.get(f"/contracts/{contract_id}")
        check(contract["value"]["amount"] == PRICE, f"the contract's value is {contract['value']}")
    with steps.step("work cannot start before both have signed"):
        milestone_id = str(contract["milestones"][0]["id"])
        body = {"contractId": contract_id, "milestoneId": milestone_id}
        await hirer.api.call("POST", "/payments/escrows", body, expect=409)
    with steps.step("both sign"):
        await worker.api.post(f"/contracts/{contract_id}/sign")
        signed = await hirer.api.post(f"/contracts/{contract_id}/sign")
        check(signed["status"] == "active", f"the contract is {signed['status']}")
    with steps.step("a second signature is refused"):
        await hirer.api.call("POST", f"/contracts/{contract_id}/sign", expect=409)
    steps.story.append(("contract, signed by both", f"{contract_id}, 450.00 GHS"))
    return Deal(job_id, contract_id, milestone_id)


async def _fund(steps: Steps, hirer: Actor, worker: Actor, deal: Deal) -> None:
    body = {"contractId": deal.contract_id, "milestoneId": deal.milestone_id}
    key = secrets.token_urlsafe(16)
    with steps.step("the worker cannot fund it"):
        reply = await worker.api.call("POST", "/payments/escrows", body, expect=403)
        check(reply.data["type"].startswith("urn:kelmah:error:"), "the refusal is no problem document")
    with steps.step("the hirer funds the milestone's escrow"):
        first = await hirer.api.call("POST", "/payments/escrows", body, key=key, expect=201)
        check(first.data["status"] == "funded", f"the escrow is {first.data['status']}")
    with steps.step("the same request again moves no money"):
        again = await hirer.api.call("POST", "/payments/escrows", body, key=key, expect=201)
        check(again.data == first.data, "the answer differs")
        check(again.headers.get("idempotent-replayed") == "true", "the answer is not marked as replayed")
        check(await _available(hirer) == DEPOSIT - PRICE, f"available is {await _available(hirer)}")
    steps.story.append(("escrow", "450.00 GHS held for the milestone"))


async def _talk(steps: Steps, hirer: Actor, worker: Actor) -> None:
    with steps.step("they open a conversation"):
        conversation = await hirer.api.post("/conversations", {"kind": "direct", "participantIds": [worker.id]})
        path = f"/conversations/{conversation['id']}"
    with steps.step("a message arrives over the WebSocket"):
        async with await _socket(worker) as hears, await _socket(hirer) as says:
            text = f"When can you start? {secrets.token_hex(4)}"
            frame = {"type": "send", "conversationId": conversation["id"], "clientId": secrets.token_hex(8)}
            await says.send_json({**frame, "text": text})
            heard = await _frame(hears, "message")
            check(heard["message"]["text"] == text, f"heard {heard}")
            check(
                (await _frame(says, "ack"))["message"]["id"] == heard["message"]["id"], "the ack is of another message"
            )
    with steps.step("a message that is sent twice is stored once"):
        note = {"clientId": secrets.token_hex(8), "text": "On Monday at seven."}
        sent = await worker.api.post(f"{path}/messages", note)
        check((await worker.api.post(f"{path}/messages", note))["id"] == sent["id"], "it was stored twice")
    with steps.step("they share a file"):
        await _share_a_file(hirer, worker, path)
    with steps.step("reading clears the unread count"):
        seen = await hirer.api.get(f"{path}/messages")
        upto = max(message["sequence"] for message in seen["items"])
        read = await hirer.api.post(f"{path}/read", {"upTo": upto})
        check(read["unreadCount"] == 0, f"unread is {read['unreadCount']}")
    steps.story.append(("conversation", "2 messages and a photo"))


async def _socket(actor: Actor) -> aiohttp.client._WSRequestContextManager:
    ticket = (await actor.api.post("/ws-tickets"))["ticket"]
    address = f"{actor.api.url.replace('http', 'ws', 1)}/api/v1/ws?ticket={ticket}"
    return actor.api.session.ws_connect(address, origin=actor.api.url, timeout=aiohttp.ClientWSTimeout(ws_close=5))


async def _frame(socket: aiohttp.ClientWebSocketResponse[Any], kind: str) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while True:
            frame = await socket.receive_json()
            if frame["type"] == "error":
                raise CheckFailed(f"the socket says {frame}")
            if frame["type"] == kind:
                return dict(frame)


async def _share_a_file(hirer: Actor, worker: Actor, path: str) -> None:
    api = worker.api
    headers = {**api.headers, "Content-Type": "application/octet-stream", "X-Filename": "meter.png"}
    async with api.session.post(f"{api.url}/api/v1{path}/attachments", data=PNG, headers=headers) as answer:
        attachment = await answer.json()
        check(answer.status == 201, f"the upload answered {answer.status}: {attachment}")
    note = {"clientId": secrets.token_hex(8), "text": "The meter.", "attachmentIds": [attachment["id"]]}
    await api.post(f"{path}/messages", note)
    address = f"{api.url}/api/v1/attachments/{attachment['id']}"
    async with api.session.get(address, headers=hirer.api.headers) as answer:
        check(answer.status == 200, f"the download answered {answer.status}")
        # Not byte for byte: pictures are encoded anew, so that nothing but their pixels is passed on.
        found = (answer.headers["Content-Type"], (await answer.read())[:8])
        check(found == ("image/png", PNG[:8]), f"the file came back as {found}")
    async with api.session.get(address) as answer:
        check(answer.status == 401, f"a stranger's download answered {answer.status}")


async def _do_the_work(steps: Steps, hirer: Actor, worker: Actor, deal: Deal) -> None:
    path = f"/contracts/{deal.contract_id}/milestones/{deal.milestone_id}"
    with steps.step("the worker submits the work"):

        async def submit() -> Any:
            reply = await worker.api.session.post(
                f"{worker.api.url}/api/v1{path}/submit",
                json={"note": "All rooms done and tested."},
                headers=worker.api.headers,
            )
            return None if reply.status == 409 else await _good(reply)

        await eventually("the funded milestone", submit)
    with steps.step("the worker cannot approve it"):
        await worker.api.call("POST", f"{path}/approve", expect=403)
    with steps.step("the hirer approves"):
        await hirer.api.post(f"{path}/approve")
    with steps.step("the escrow is released"):

        async def released() -> Any:
            escrows = await hirer.api.get("/payments/escrows")
            mine = [one for one in escrows["items"] if one["milestoneId"] == deal.milestone_id]
            return mine[0] if mine and mine[0]["status"] == "released" else None

        await eventually("the release", released)
    with steps.step("the contract is completed"):

        async def completed() -> Any:
            contract = await worker.api.get(f"/contracts/{deal.contract_id}")
            return contract if contract["status"] == "completed" else None

        contract = await eventually("the completed contract", completed)
        check(contract["milestones"][0]["status"] == "released", f"the milestone is {contract['milestones'][0]}")


async def _good(reply: aiohttp.ClientResponse) -> Any:
    data = await reply.json()
    check(reply.status < 300, f"{reply.url.path} answered {reply.status}: {data}")
    return data


async def _check_money(steps: Steps, hirer: Actor, worker: Actor) -> None:
    with steps.step("the worker's wallet holds the price less 10 %"):
        check(await _available(worker) == PRICE - FEE, f"available is {await _available(worker)}")
    with steps.step("the hirer's wallet holds the rest"):
        check(await _available(hirer) == DEPOSIT - PRICE, f"available is {await _available(hirer)}")
    steps.story.append(("released", f"{(PRICE - FEE) / 100:.2f} GHS to {worker.name}, {FEE / 100:.2f} GHS fee"))


async def _review(steps: Steps, hirer: Actor, worker: Actor, deal: Deal) -> None:
    body = {"contractId": deal.contract_id, "rating": 5, "text": "Tidy, on time and friendly."}
    with steps.step("the worker's review is sealed until the hirer's is in"):
        first = await worker.api.post("/reviews", {**body, "rating": 4})
        check(first["status"] == "sealed", f"the review is {first['status']}")
        await hirer.api.call("GET", f"/reviews/{first['id']}", expect=404)
    with steps.step("with the hirer's both appear together"):
        second = await hirer.api.post("/reviews", {**body, "wouldWorkAgain": True})
        check(second["status"] == "revealed", f"the review is {second['status']}")
        check((await hirer.api.get(f"/reviews/{first['id']}"))["rating"] == 4, "the worker's is not public")
    with steps.step("a second review is refused"):
        await hirer.api.call("POST", "/reviews", body, expect=409)
    with steps.step("the worker's reputation moved"):
        reputation = await hirer.api.get(f"/users/{worker.id}/reputation")
        check(reputation["reviewCount"] == 1, f"reviews: {reputation['reviewCount']}")
        check(reputation["ratingMilli"] == 4167, f"the rating is {reputation['ratingMilli']}")
    steps.story.append(("reviews", f"5 stars for {worker.name}, 4 for {hirer.name}; reputation 4.17"))


async def read_the_story(steps: Steps, hirer: Actor, worker: Actor) -> None:
    """Both sides' notifications tell what happened.

    Raises:
        CheckFailed: one did not come.
    """
    expected = {
        "worker": {"application_accepted", "contract_active", "escrow_funded", "escrow_released", "review_revealed"},
        "hirer": {"application_received", "contract_signed", "milestone_submitted", "review_revealed"},
    }
    for actor, role in ((worker, "worker"), (hirer, "hirer")):
        with steps.step(f"the {role}'s notifications told the story") as details:

            async def told(actor: Actor = actor, wanted: set[str] = expected[role]) -> set[str] | None:
                page = await actor.api.get("/notifications?limit=100")
                kinds = {one["kind"] for one in page["items"]}
                return kinds if wanted <= kinds else None

            details.append(", ".join(sorted(await eventually(f"{expected[role]} in the notifications", told))))
