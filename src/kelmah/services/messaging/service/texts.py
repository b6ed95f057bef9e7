"""The words of every notification, in every language: one table, for the app and for mail."""

from html import escape
from typing import NamedTuple

from kelmah.contracts.common import MINOR_UNIT_EXPONENTS, Money
from kelmah.contracts.messaging import NotificationKind as Kind

DEFAULT_LOCALE = "en"
_MANY = ".many"


class Text(NamedTuple):
    """Title and body; `{…}` are the notification's parameters and its count."""

    title: str
    body: str


#: Kind → language → text. A kind that can be collapsed has a second text, for more than one.
TEXTS: dict[str, dict[str, Text]] = {
    Kind.APPLICATION_RECEIVED: {
        "en": Text("New application", "A worker applied to your job."),
        "fr": Text("Nouvelle candidature", "Un artisan a postulé à votre offre."),
    },
    Kind.APPLICATION_ACCEPTED: {
        "en": Text("Application accepted", "Your application was accepted. Read the contract and sign it."),
        "fr": Text("Candidature acceptée", "Votre candidature a été acceptée. Lisez le contrat et signez-le."),
    },
    Kind.APPLICATION_REJECTED: {
        "en": Text("Application not chosen", "The hirer decided on somebody else this time."),
        "fr": Text("Candidature non retenue", "Le client a choisi quelqu'un d'autre cette fois-ci."),
    },
    Kind.CONTRACT_SIGNED: {
        "en": Text("Contract signed by the other side", "The other side signed the contract. It waits for you."),
        "fr": Text("Contrat signé par l'autre partie", "L'autre partie a signé le contrat. Il attend votre signature."),
    },
    Kind.CONTRACT_ACTIVE: {
        "en": Text("Contract in force", "Both sides signed. The contract is in force."),
        "fr": Text("Contrat en vigueur", "Les deux parties ont signé. Le contrat est en vigueur."),
    },
    Kind.MILESTONE_SUBMITTED: {
        "en": Text("Work handed in", "The worker handed in a milestone. Look at it and approve it or ask for changes."),
        "fr": Text("Travail remis", "L'artisan a remis une étape. Approuvez-la ou demandez des retouches."),
    },
    Kind.CHANGES_REQUESTED: {
        "en": Text("Changes requested", "The hirer asks for changes to the work that you handed in."),
        "fr": Text("Retouches demandées", "Le client demande des retouches au travail que vous avez remis."),
    },
    Kind.MILESTONE_APPROVED: {
        "en": Text("Work approved", "Your work was approved. {amount} will be released to you."),
        "fr": Text("Travail approuvé", "Votre travail a été approuvé. {amount} vous seront versés."),
    },
    Kind.ESCROW_FUNDED: {
        "en": Text("Money is held for you", "{amount} is held in escrow. You can start to work."),
        "fr": Text("Fonds sous séquestre", "{amount} sont sous séquestre. Vous pouvez commencer le travail."),
    },
    Kind.ESCROW_RELEASED: {
        "en": Text("Payment released", "{amount} was released from escrow."),
        "fr": Text("Paiement libéré", "{amount} ont été libérés du séquestre."),
    },
    Kind.ESCROW_REFUNDED: {
        "en": Text("Escrow refunded", "{amount} went back from escrow to the hirer."),
        "fr": Text("Séquestre remboursé", "{amount} ont été rendus au client."),
    },
    Kind.DISPUTE_RAISED: {
        "en": Text("Dispute raised", "The other side raised a dispute. The money stays in escrow until it is settled."),
        "fr": Text("Litige ouvert", "L'autre partie a ouvert un litige. Les fonds restent sous séquestre."),
    },
    Kind.DEPOSIT_PROCESSED: {
        "en": Text("Deposit received", "{amount} was added to your wallet."),
        "fr": Text("Dépôt reçu", "{amount} ont été ajoutés à votre portefeuille."),
    },
    Kind.WITHDRAWAL_PROCESSED: {
        "en": Text("Withdrawal sent", "{amount} was sent from your wallet."),
        "fr": Text("Retrait envoyé", "{amount} ont été envoyés depuis votre portefeuille."),
    },
    Kind.MESSAGE_RECEIVED: {
        "en": Text("New message", "You have a new message."),
        "fr": Text("Nouveau message", "Vous avez un nouveau message."),
    },
    Kind.MESSAGE_RECEIVED + _MANY: {
        "en": Text("New messages", "You have {count} new messages in a conversation."),
        "fr": Text("Nouveaux messages", "Vous avez {count} nouveaux messages dans une conversation."),
    },
    Kind.REVIEW_REVEALED: {
        "en": Text("You were reviewed", "A review of you is public now."),
        "fr": Text("Vous avez reçu un avis", "Un avis sur vous est maintenant public."),
    },
}  # fmt: skip

_FOOTER = {
    "en": "You get this mail because you have an account at Kelmah: {url}",
    "fr": "Vous recevez ce message car vous avez un compte chez Kelmah : {url}",
}


def locale_of(wanted: str | None) -> str:
    """The language that we have for a locale or an Accept-Language header: its first known one, else English."""
    for part in (wanted or "").split(",")[:10]:
        language = part.split(";")[0].strip().lower().replace("_", "-").split("-")[0]
        if language in _FOOTER:
            return language
    return DEFAULT_LOCALE


def text_for(kind: Kind, *, params: dict[str, str], count: int, locale: str) -> Text:
    """The words of one notification. `params["amount"]` is what `amount_param` made."""
    name = kind + _MANY if count > 1 and kind + _MANY in TEXTS else kind
    text = TEXTS[name][locale]
    values = {"count": str(count)}
    if "amount" in params:
        values["amount"] = _amount(params["amount"], locale)
    return Text(text.title.format(**values), text.body.format(**values))


def mail_for(text: Text, *, url: str, locale: str) -> tuple[str, str]:
    """The plain text and the HTML of the mail that says the same."""
    footer = _FOOTER[locale].format(url=url)
    plain = f"{text.title}\n\n{text.body}\n\n-- \n{footer}\n"
    html = (
        f'<!doctype html><html lang="{locale}"><meta charset="utf-8"><title>{escape(text.title)}</title>'
        f"<h1>{escape(text.title)}</h1><p>{escape(text.body)}</p><hr><p><small>{escape(footer)}</small></p></html>"
    )
    return plain, html


def amount_param(money: Money) -> str:
    """Money as a notification keeps it: minor units and currency, to be spelled in the reader's language."""
    return f"{money.amount} {money.currency}"


def _amount(param: str, locale: str) -> str:
    minor, currency = param.split(" ")
    exponent = MINOR_UNIT_EXPONENTS.get(currency, 2)
    whole, part = divmod(int(minor), 10**exponent)
    separator, mark = (",", ".") if locale == "en" else ("\u202f", ",")
    digits = f"{whole:,}".replace(",", separator)
    spelled = f"{digits}{mark}{part:0{exponent}}" if exponent else digits
    return f"{currency} {spelled}" if locale == "en" else f"{spelled}\u00a0{currency}"
