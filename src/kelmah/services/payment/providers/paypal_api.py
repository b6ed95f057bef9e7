"""The SDK's client of PayPal with what it lacks: timeouts, kept connections, and an end to asking for tokens."""

import json
import threading
from typing import Any

import paypalrestsdk
import requests
from paypalrestsdk import exceptions

#: Calls that run at once; more wait in line.
MAX_CALLS = 8
Row = dict[str, Any]


class PayPalApi(paypalrestsdk.Api):  # type: ignore[misc]  # the SDK has no types
    """Like the SDK's `Api`, except that every call ends, and a refused token is renewed once."""

    token_hash: Row | None

    def __init__(
        self, *, client_id: str, client_secret: str, mode: str, base_url: str | None, timeout_s: float
    ) -> None:
        options = {"mode": mode, "client_id": client_id, "client_secret": client_secret}
        super().__init__(options if base_url is None else options | {"endpoint": base_url.rstrip("/")})
        self._timeout_s = timeout_s
        self._sessions: list[requests.Session] = []
        self._local = threading.local()

    def close(self) -> None:
        """Close every thread's connections."""
        for session in self._sessions:
            session.close()

    def http_call(self, url: str, method: str, **kwargs: Any) -> Row:
        """One HTTP request; neither it nor its answer is logged, since both carry secrets."""
        response = self._session().request(method, url, timeout=self._timeout_s, allow_redirects=False, **kwargs)
        answer: Row = self.handle_response(response, response.content.decode())
        return answer

    def request(
        self,
        url: str,
        method: str,
        body: Row | None = None,
        headers: Row | None = None,
        refresh_token: str | None = None,
    ) -> Row:
        """One call with a token. The SDK's own asks for new tokens for ever, and hides refusals in its answers."""
        data = None if body is None else json.dumps(body)
        try:
            return self.http_call(url, method, data=data, headers=self.headers() | (headers or {}))
        except exceptions.UnauthorizedAccess:
            if self.token_hash is None:  # it was the token that was refused us
                raise
            self.token_hash = None
            return self.http_call(url, method, data=data, headers=self.headers() | (headers or {}))

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            self._sessions.append(session)
        return session
