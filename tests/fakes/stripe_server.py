"""A deterministic Stripe on HTTP, for the real SDK: cards, 3-D Secure, refunds, transfers, disputes and notices."""

import re
from collections.abc import Mapping

import stripe
from aiohttp import web

from tests.fakes.provider_server import Notice, ProviderServer, Refusal, Row

#: What the test tokens and card numbers do when they are charged.
BEHAVIOURS = {
    "pm_card_visa": "pays",
    "pm_card_mastercard": "pays",
    "pm_card_chargeDeclined": "declines",
    "pm_card_chargeCustomerFail": "declines",
    "pm_card_threeDSecureRequired": "asks",
    "pm_card_createDispute": "disputes",
    "pm_usBankAccount": "is no card",
    "4242424242424242": "pays",
    "4000000000000002": "declines",
    "4000002500003155": "asks",
    "4000000000000259": "disputes",
}
_PART = re.compile(r"\[([^\]]*)\]")


class StripeServer(ProviderServer):
    """Any key that starts with `sk_` is let in. Notices are signed with `webhook_secret`."""

    key_header = "Idempotency-Key"

    def __init__(self, webhook_secret: str, world: str = "") -> None:
        super().__init__(world)
        #: What it keeps of each charge.
        self.fee = 0
        self._secret = webhook_secret
        v1 = "/v1"
        self.on("POST", f"{v1}/customers", lambda body, _: self._make("cus_", "customer", **body))
        self.on("POST", f"{v1}/payment_methods", self._make_method)
        self.on("POST", f"{v1}/payment_methods/{{id}}/attach", self._attach)
        self.on("POST", f"{v1}/payment_methods/{{id}}/detach", self._detach)
        self.on("POST", f"{v1}/payment_intents", self._make_intent)
        self.on("GET", f"{v1}/payment_intents/{{id}}", lambda _, path: self._get(path["id"]))
        self.on("POST", f"{v1}/payment_intents/{{id}}/confirm", self._confirm)
        self.on("POST", f"{v1}/payment_intents/{{id}}/cancel", self._cancel)
        self.on("POST", f"{v1}/payment_intents/{{id}}/_authenticate", self._authenticate)
        self.on("POST", f"{v1}/refunds", self._refund)
        self.on("GET", f"{v1}/refunds", lambda body, _: self._list("refund", body))
        self.on("GET", f"{v1}/refunds/{{id}}", lambda _, path: self._get(path["id"]))
        self.on("GET", f"{v1}/accounts/{{id}}", self._account)
        self.on("POST", f"{v1}/transfers", self._transfer)
        self.on("GET", f"{v1}/transfers", lambda body, _: self._list("transfer", body))
        self.on("GET", f"{v1}/transfers/{{id}}", lambda _, path: self._get(path["id"]))
        self.on("GET", f"{v1}/disputes/{{id}}", lambda _, path: self._get(path["id"]))
        self.on("GET", f"{v1}/balance_transactions", lambda body, _: self._list("balance_transaction", body))

    def sign(self, body: bytes) -> Notice:
        header = stripe.WebhookSignature.generate_signature_header(body.decode(), self._secret, timestamp=self.now())
        return Notice(body, {"Stripe-Signature": str(header)})

    async def read(self, request: web.Request) -> Row:
        pairs = await request.post() if request.method == "POST" else request.query
        row: Row = {}
        for name, value in pairs.items():
            head, _, tail = name.partition("[")
            place, last = row, head
            for part in _PART.findall(f"[{tail}" if tail else ""):
                place = place.setdefault(last, {})
                last = part
            place[last] = value
        return row

    def authorize(self, request: web.Request) -> None:
        if not request.headers.get("Authorization", "").startswith("Bearer sk_"):
            raise _refusal(401, "invalid_request_error", "api_key_invalid")

    def clash(self) -> Refusal:
        return _refusal(400, "idempotency_error", None)

    # --- What happens outside our requests ---

    def pass_action(self, ref: str) -> None:
        """The payer finishes 3-D Secure."""
        self._take(self._get(ref))

    def dispute(self, ref: str, amount: int | None = None) -> str:
        """The payer's bank takes a payment back for the time being. The dispute's id."""
        intent = self._get(ref)
        dispute = self._make(
            "dp_",
            "dispute",
            payment_intent=ref,
            charge=intent["latest_charge"],
            amount=amount or intent["amount"],
            currency=intent["currency"],
            status="needs_response",
            reason="fraudulent",
        )
        self._book("adjustment", -dispute["amount"], dispute["currency"], dispute["id"])
        self._tell("charge.dispute.created", dispute)
        return str(dispute["id"])

    def close_dispute(self, dispute_id: str, *, won: bool) -> None:
        """The bank rules."""
        dispute = self._get(dispute_id)
        dispute["status"] = "won" if won else "lost"
        if won:
            self._book("adjustment", dispute["amount"], dispute["currency"], dispute_id)
        self._tell("charge.dispute.closed", dispute)

    def reverse_transfer(self, ref: str) -> None:
        """Money that was sent comes back."""
        transfer = self._get(ref)
        transfer |= {"reversed": True, "amount_reversed": transfer["amount"]}
        self._book("transfer_refund", transfer["amount"], transfer["currency"], ref)
        self._tell("transfer.reversed", transfer)

    def pay_out(self, amount: int, currency: str = "ghs") -> str:
        """It sends what it holds for us to our bank. The payout's id, which the bank's statement names."""
        payout = self._make("po_", "payout", amount=amount, currency=currency, status="paid")
        self._book("payout", -amount, currency, payout["id"])
        return str(payout["id"])

    # --- Operations ---

    def _make_method(self, body: Row, _: Mapping[str, str]) -> Row:
        number = body["card"]["number"]
        return self._make("pm_", "payment_method", card=_card(number[-4:]), behaviour=BEHAVIOURS[number])

    def _method(self, token: str) -> Row:
        if token in BEHAVIOURS and token not in self.objects:
            # As Stripe does, a test token stands for a new method each time.
            card = None if BEHAVIOURS[token] == "is no card" else _card("4242")
            return {"id": token, "card": card, "behaviour": BEHAVIOURS[token]}
        return self._get(token)

    def _attach(self, body: Row, path: Mapping[str, str]) -> Row:
        method = self._method(path["id"])
        if path["id"] in BEHAVIOURS:
            method = self._make("pm_", "payment_method", card=method["card"], behaviour=method["behaviour"])
        method["customer"] = body["customer"]
        return method

    def _detach(self, _: Row, path: Mapping[str, str]) -> Row:
        method = self._get(path["id"])
        method["customer"] = None
        return method

    def _make_intent(self, body: Row, _: Mapping[str, str]) -> Row:
        amount = int(body["amount"])
        if amount < 1 or amount > 99_999_999:
            raise _refusal(400, "invalid_request_error", "amount_too_large")
        method = self._method(body["payment_method"])
        if method.get("customer") not in (None, body.get("customer")):
            raise _refusal(400, "invalid_request_error", "payment_method_customer_mismatch")
        intent = self._make(
            "pi_",
            "payment_intent",
            amount=amount,
            amount_received=0,
            currency=body["currency"],
            payment_method=method["id"],
            behaviour=method["behaviour"],
            customer=body.get("customer"),
            metadata=body.get("metadata", {}),
            status="requires_confirmation",
            last_payment_error=None,
            latest_charge=None,
        )
        intent["client_secret"] = f"{intent['id']}_secret_1"
        return intent

    def _confirm(self, _: Row, path: Mapping[str, str]) -> Row:
        intent = self._get(path["id"])
        if intent["status"] != "requires_confirmation":
            raise _refusal(400, "invalid_request_error", "payment_intent_unexpected_state")
        if intent["behaviour"] == "asks":
            intent["status"] = "requires_action"
            self._tell("payment_intent.requires_action", intent)
        elif intent["behaviour"] == "declines":
            intent["status"] = "requires_payment_method"
            intent["last_payment_error"] = {"code": "card_declined", "type": "card_error"}
            self._tell("payment_intent.payment_failed", intent)
            raise _refusal(402, "card_error", "card_declined")
        else:
            self._take(intent)
            if intent["behaviour"] == "disputes":
                self.dispute(intent["id"])
        return intent

    def _cancel(self, _: Row, path: Mapping[str, str]) -> Row:
        intent = self._get(path["id"])
        if intent["status"] in ("succeeded", "canceled", "processing"):
            raise _refusal(400, "invalid_request_error", "payment_intent_unexpected_state")
        intent["status"] = "canceled"
        self._tell("payment_intent.canceled", intent)
        return intent

    def _authenticate(self, body: Row, path: Mapping[str, str]) -> Row:
        intent = self._get(path["id"])
        if body.get("client_secret") != intent["client_secret"] or intent["status"] != "requires_action":
            raise _refusal(400, "invalid_request_error", "payment_intent_unexpected_state")
        if body.get("success") == "true":
            self._take(intent)
        else:
            intent["status"] = "requires_payment_method"
            intent["last_payment_error"] = {"code": "payment_intent_authentication_failure", "type": "card_error"}
            self._tell("payment_intent.payment_failed", intent)
        return intent

    def _refund(self, body: Row, _: Mapping[str, str]) -> Row:
        intent = self._get(body["payment_intent"])
        amount = int(body.get("amount") or intent["amount_received"])
        given_back = sum(
            one["amount"]
            for one in self.objects.values()
            if one["object"] == "refund" and one["payment_intent"] == intent["id"]
        )
        if given_back + amount > intent["amount_received"]:
            raise _refusal(400, "invalid_request_error", "charge_already_refunded")
        refund = self._make(
            "re_",
            "refund",
            payment_intent=intent["id"],
            charge=intent["latest_charge"],
            amount=amount,
            currency=intent["currency"],
            metadata=body.get("metadata", {}),
            status="succeeded",
        )
        self._book("refund", -amount, intent["currency"], refund["id"])
        self._tell("refund.created", refund)
        return refund

    def _account(self, _: Row, path: Mapping[str, str]) -> Row:
        if path["id"] == "acct_missing":
            raise _refusal(403, "invalid_request_error", "account_invalid")
        return {"id": path["id"], "object": "account", "payouts_enabled": path["id"] != "acct_new"}

    def _transfer(self, body: Row, _: Mapping[str, str]) -> Row:
        if not body["destination"].startswith("acct_") or body["destination"] == "acct_missing":
            raise _refusal(400, "invalid_request_error", "resource_missing")
        if body["destination"] == "acct_frozen":
            raise _refusal(400, "invalid_request_error", "transfers_not_allowed")
        transfer = self._make(
            "tr_",
            "transfer",
            amount=int(body["amount"]),
            amount_reversed=0,
            reversed=False,
            currency=body["currency"],
            destination=body["destination"],
            transfer_group=body.get("transfer_group"),
            metadata=body.get("metadata", {}),
        )
        self._book("transfer", -transfer["amount"], transfer["currency"], transfer["id"])
        self._tell("transfer.created", transfer)
        return transfer

    # --- Pieces ---

    def _take(self, intent: Row) -> None:
        charge = self._make("ch_", "charge", payment_intent=intent["id"], amount=intent["amount"])
        intent |= {
            "status": "succeeded",
            "amount_received": intent["amount"],
            "latest_charge": charge["id"],
            "last_payment_error": None,
        }
        self._book("charge", intent["amount"], intent["currency"], charge["id"], self.fee)
        self._tell("payment_intent.succeeded", intent)

    def _book(self, kind: str, amount: int, currency: str, source: str, fee: int = 0) -> None:
        """Stripe's own book of our money there."""
        self._make("txn_", "balance_transaction", type=kind, amount=amount, currency=currency, source=source, fee=fee)

    def _make(self, prefix: str, kind: str, **fields: object) -> Row:
        row: Row = {"id": self.new_id(prefix), "object": kind, "created": self.now(), **fields}
        self.objects[row["id"]] = row
        return row

    def _get(self, ref: str) -> Row:
        if ref not in self.objects:
            raise _refusal(404, "invalid_request_error", "resource_missing")
        return self.objects[ref]

    def _list(self, kind: str, body: Row) -> Row:
        paging = ("limit", "starting_after", "created", "expand")
        wanted = {name: value for name, value in body.items() if name not in paging}
        rows = [one for one in self.objects.values() if one["object"] == kind and wanted.items() <= one.items()]
        if created := body.get("created"):
            rows = [one for one in rows if int(created["gte"]) <= one["created"] < int(created["lt"])]
        if "expand" in body:
            rows = [one | {"source": self.objects.get(one["source"], one["source"])} for one in rows]
        rows.reverse()
        if "starting_after" in body:
            rows = rows[[one["id"] for one in rows].index(body["starting_after"]) + 1 :]
        limit = int(body.get("limit", 10))
        return {"object": "list", "url": f"/v1/{kind}s", "data": rows[:limit], "has_more": len(rows) > limit}

    def _tell(self, kind: str, thing: Row) -> None:
        self.outbox.append(
            {
                "id": self.new_id("evt_"),
                "object": "event",
                "type": kind,
                "created": self.now(),
                "data": {"object": dict(thing)},
            }
        )


def _card(last4: str) -> Row:
    return {"brand": "visa", "last4": last4, "exp_month": 12, "exp_year": 2030}


def _refusal(status: int, kind: str, code: str | None) -> Refusal:
    return Refusal(status, {"error": {"type": kind, "code": code, "message": f"{kind}: {code}"}})
