"""A deterministic PayPal on HTTP, for the real SDK: orders, captures, refunds, payouts, disputes and signed notices."""

import base64
import zlib
from collections.abc import Mapping
from datetime import timedelta

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from kelmah.kit import clock
from tests.fakes.provider_server import Notice, ProviderServer, Refusal, Row

CLIENT_ID, CLIENT_SECRET = "client", "the client's secret"
WEBHOOK_ID = "WH-1"
PAYOUTS = "/v1/payments/payouts"
#: Payers that money cannot be sent to, or at whom it arrives later.
BLOCKED, SLOW = "BLOCKED000000", "SLOW000000000"


class PayPalServer(ProviderServer):
    """One client is let in, with tokens that `expire_tokens` takes back. Notices are signed with `key`."""

    key_header = "PayPal-Request-Id"

    def __init__(self, world: str = "") -> None:
        super().__init__(world)
        self.key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
        self.tokens: set[str] = set()
        self.booked: list[Row] = []
        #: What it keeps of each capture.
        self.fee: str | None = None
        #: Whether it refuses its own tokens.
        self.forgetful = False
        self.on("POST", "/v1/oauth2/token", self._token)
        self.on("POST", "/v2/checkout/orders", self._order)
        self.on("GET", "/v2/checkout/orders/{id}", lambda _, path: self._get(path["id"]))
        self.on("POST", "/v2/checkout/orders/{id}/capture", self._capture)
        self.on("GET", "/v2/payments/captures/{id}", lambda _, path: self._get(path["id"]))
        self.on("POST", "/v2/payments/captures/{id}/refund", self._refund)
        self.on("GET", "/v2/payments/refunds/{id}", lambda _, path: self._get(path["id"]))
        self.on("POST", PAYOUTS, self._payout)
        self.on("GET", "/v1/payments/payouts/{id}", lambda _, path: self._get(path["id"]))
        self.on("GET", "/v1/customer/disputes/{id}", lambda _, path: self._get(path["id"]))
        self.on("GET", "/v1/reporting/transactions", self._report)
        self._app.router.add_get("/v1/notifications/certs/{name}", self._certificate)

    def sign(self, body: bytes, *, webhook_id: str = WEBHOOK_ID, age_s: int = 0) -> Notice:
        at = (clock.now() - timedelta(seconds=age_s)).strftime("%Y-%m-%dT%H:%M:%SZ")
        transmission = self.new_id("tr-")
        message = f"{transmission}|{at}|{webhook_id}|{zlib.crc32(body)}".encode()
        signature = base64.b64encode(self.key.sign(message, padding.PKCS1v15(), hashes.SHA256())).decode()
        return Notice(
            body,
            {
                "PayPal-Transmission-Id": transmission,
                "PayPal-Transmission-Time": at,
                "PayPal-Transmission-Sig": signature,
                "PayPal-Cert-Url": f"{self.url}/v1/notifications/certs/one",
                "PayPal-Auth-Algo": "SHA256withRSA",
            },
        )

    async def read(self, request: web.Request) -> Row:
        if request.method == "GET":
            return dict(request.query)
        if request.content_type == "application/json":
            row: Row = await request.json()
            return row
        return dict(await request.post())

    def authorize(self, request: web.Request) -> None:
        kind, _, given = request.headers.get("Authorization", "").partition(" ")
        if request.path == "/v1/oauth2/token":
            known = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
            if (kind, given) != ("Basic", known):
                raise _refusal(401, "invalid_client")
        elif kind != "Bearer" or self.forgetful or given not in self.tokens:
            raise _refusal(401, "INVALID_TOKEN")

    def clash(self) -> Refusal:
        return _refusal(422, "DUPLICATE_REQUEST_ID")

    # --- What happens outside our requests ---

    def expire_tokens(self) -> None:
        self.tokens.clear()

    def approve(self, order_id: str) -> None:
        """The payer agrees."""
        order = self._get(order_id)
        order["status"] = "APPROVED"
        order["links"] = []
        self._tell("CHECKOUT.ORDER.APPROVED", order)

    def turn_payout(self, batch_id: str, status: str) -> None:
        """What becomes of a payout later."""
        batch = self._get(batch_id)
        batch["items"][0]["transaction_status"] = status
        self._tell(f"PAYMENT.PAYOUTS-ITEM.{status}", {"payout_batch_id": batch_id})

    def dispute(self, capture_id: str) -> str:
        """The payer wants the money back. The dispute's name."""
        dispute_id = self.new_id("PP-D-")
        self.objects[dispute_id] = {
            "dispute_id": dispute_id,
            "status": "OPEN",
            "dispute_amount": self._get(capture_id)["amount"],
            "disputed_transactions": [{"seller_transaction_id": capture_id}],
        }
        self._tell("CUSTOMER.DISPUTE.CREATED", self.objects[dispute_id])
        return dispute_id

    def rule(self, dispute_id: str, *, won: bool) -> None:
        """PayPal decides."""
        outcome = "RESOLVED_SELLER_FAVOUR" if won else "RESOLVED_BUYER_FAVOUR"
        self._get(dispute_id).update(status="RESOLVED", dispute_outcome={"outcome_code": outcome})
        self._tell("CUSTOMER.DISPUTE.RESOLVED", self._get(dispute_id))

    # --- Operations ---

    def _token(self, _: Row, __: Mapping[str, str]) -> Row:
        token = self.new_id("token-")
        self.tokens.add(token)
        return {"access_token": token, "token_type": "Bearer", "expires_in": 32_400}

    def _order(self, body: Row, _: Mapping[str, str]) -> Row:
        order_id = self.new_id("ORDER")
        link = {"rel": "payer-action", "href": f"{self.url}/checkoutnow?token={order_id}"}
        order: Row = {
            "id": order_id,
            "status": "PAYER_ACTION_REQUIRED",
            "purchase_units": body["purchase_units"],
            "links": [link],
        }
        self.objects[order_id] = order
        return order

    def _capture(self, _: Row, path: Mapping[str, str]) -> Row:
        order = self._get(path["id"])
        if order["status"] != "APPROVED":
            already = order["status"] == "COMPLETED"
            raise _refusal(422, "ORDER_ALREADY_CAPTURED" if already else "ORDER_NOT_APPROVED")
        if order.get("declines"):
            raise _refusal(422, "INSTRUMENT_DECLINED")
        unit = order["purchase_units"][0]
        capture_id = self.new_id("CAP")
        capture: Row = {
            "id": capture_id,
            "status": "COMPLETED",
            "amount": unit["amount"],
            "custom_id": unit["custom_id"],
            "supplementary_data": {"related_ids": {"order_id": order["id"]}},
        }
        self.objects[capture_id] = capture
        order["status"] = "COMPLETED"
        unit["payments"] = {"captures": [capture], "refunds": []}
        self._book("T0006", unit["amount"], "", unit["custom_id"], self.fee)
        self._tell("PAYMENT.CAPTURE.COMPLETED", capture)
        return order

    def _refund(self, body: Row, path: Mapping[str, str]) -> Row:
        capture = self._get(path["id"])
        unit = self._get(capture["supplementary_data"]["related_ids"]["order_id"])["purchase_units"][0]
        given = sum(_cents(one["amount"]) for one in unit["payments"]["refunds"])
        if given + _cents(body["amount"]) > _cents(capture["amount"]):
            raise _refusal(422, "REFUND_AMOUNT_EXCEEDED")
        refund: Row = {
            "id": self.new_id("REF"),
            "status": "COMPLETED",
            "amount": body["amount"],
            "custom_id": body["custom_id"],
        }
        self.objects[refund["id"]] = refund
        unit["payments"]["refunds"].append(refund)
        self._book("T1107", body["amount"], "-", body["custom_id"])
        self._tell("PAYMENT.CAPTURE.REFUNDED", refund)
        return refund

    def _payout(self, body: Row, _: Mapping[str, str]) -> Row:
        name = body["sender_batch_header"]["sender_batch_id"]
        for one in self.objects.values():
            if one.get("batch_header", {}).get("sender_batch_header", {}).get("sender_batch_id") == name:
                href = f"{self.url}/v1/payments/payouts/{one['batch_header']['payout_batch_id']}"
                link = {"rel": "self", "href": href}
                detail = {"field": "SENDER_BATCH_ID", "issue": "Batch already exists", "link": [link]}
                raise Refusal(400, {"name": "USER_BUSINESS_ERROR", "details": [detail]})
        (item,) = body["items"]
        if item["receiver"] == BLOCKED:
            raise _refusal(422, "RECEIVER_BLOCKED")
        batch_id = self.new_id("BATCH")
        header = {"payout_batch_id": batch_id, "batch_status": "PENDING"} | {
            "sender_batch_header": body["sender_batch_header"]
        }
        status = "UNCLAIMED" if item["receiver"] == SLOW else "SUCCESS"
        self.objects[batch_id] = {
            "batch_header": header,
            "items": [{"payout_item": item, "transaction_status": status}],
        }
        self._book("T0001", item["amount"], "-", item["sender_item_id"])
        return {"batch_header": header}

    def _report(self, query: Row, _: Mapping[str, str]) -> Row:
        size, page = int(query["page_size"]), int(query["page"])
        rows = [one for one in self.booked if query["start_date"] <= one["transaction_initiation_date"][:19] + "Z"]
        rows = [one for one in rows if one["transaction_initiation_date"][:19] + "Z" < query["end_date"]]
        chosen = [{"transaction_info": one} for one in rows[(page - 1) * size : page * size]]
        return {"transaction_details": chosen, "page": page, "total_pages": -(-len(rows) // size)}

    def _book(self, code: str, amount: Mapping[str, str], sign: str, ours: str, fee: str | None = None) -> None:
        """Its own book of our money there."""
        currency = amount.get("currency_code") or amount["currency"]
        row: Row = {
            "transaction_id": self.new_id("TX"),
            "transaction_event_code": code,
            "transaction_initiation_date": clock.now().strftime("%Y-%m-%dT%H:%M:%S+0000"),
            "transaction_amount": {"currency_code": currency, "value": sign + amount["value"]},
            "custom_field": ours,
        }
        if fee is not None:
            row["fee_amount"] = {"currency_code": currency, "value": f"-{fee}"}
        self.booked.append(row)

    async def _certificate(self, request: web.Request) -> web.Response:
        if request.match_info["name"] == "broken":
            return web.Response(body=b"no certificate")
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "messageverificationcerts.paypal.com")])
        now = clock.now()
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(days=400))
            .not_valid_after(now + timedelta(days=400))
            .sign(self.key, hashes.SHA256())
        )
        return web.Response(body=made.public_bytes(serialization.Encoding.PEM))

    def _get(self, ref: str) -> Row:
        if ref not in self.objects:
            raise _refusal(404, "RESOURCE_NOT_FOUND")
        return self.objects[ref]

    def _tell(self, kind: str, thing: Row) -> None:
        self.outbox.append({"id": self.new_id("WH-EVENT-"), "event_type": kind, "resource": dict(thing)})


def _cents(value: Mapping[str, str]) -> int:
    return int(value["value"].replace(".", ""))


def _refusal(status: int, name: str) -> Refusal:
    return Refusal(status, {"name": name, "details": [{"issue": name}]})
