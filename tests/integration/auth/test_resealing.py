"""A new field key: everything is encrypted with it, and the old one can be taken away."""

import os

from kelmah.kit.crypto import KeyRing
from kelmah.kit.resealing import reseal
from kelmah.services.auth.service import Signer
from kelmah.services.auth.service.resealing import SEALED
from tests.fixtures.service import Service
from tests.integration.auth.conftest import new_member
from tests.integration.auth.test_mfa import switch_on

OLD = bytes(32)


async def test_everything_is_encrypted_anew_and_the_old_key_is_needed_no_more(auth: Service) -> None:
    member = await new_member(auth)
    await switch_on(auth, member)
    new = os.urandom(32)
    before = auth.context
    both, only_new, back = KeyRing([new, OLD]), KeyRing([new]), KeyRing([OLD, new])

    async def changed(ring: KeyRing) -> int:
        return sum([step.changed async for step in reseal(before.mongo, ring, SEALED)])

    try:
        auth.replace(ring=both, signer=Signer(both))
        assert await changed(both) >= 4
        assert await changed(both) == 0

        auth.replace(ring=only_new, signer=Signer(only_new))
        asked = await member.post("login", {"email": member.email, "password": member.password})
        assert asked.data["mfaRequired"] is True
        view = (await auth.call("GET", "/api/v1/auth/me", by=member.principal)).data
        assert (view["email"], view["firstName"]) == (member.email, "Esi")
        listed = (await auth.call("GET", "/api/v1/auth/sessions", by=member.principal)).data["items"]
        assert listed[0]["address"] == member.headers["x-forwarded-for"]
        assert (await member.register()).data["id"] != member.principal.user_id
        [index, *_] = auth.context.email_indexes(member.email)
        assert await auth.context.mongo.collection("accounts").count_documents({"email_index": index}) == 1
    finally:
        auth.replace(ring=back, signer=Signer(back))
        await changed(back)
        auth.replace(ring=before.ring, signer=before.signer)
