"""The words of every notification, in every language: one table, for the app and for mail."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from kelmah.contracts.common import MINOR_UNIT_EXPONENTS, Money
from kelmah.contracts.messaging import NotificationKind as Kind
from kelmah.contracts.user import NotificationKind as Topic
from kelmah.kit.text import language_of

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
    Kind.APPLICATION_SHORTLISTED: {
        "en": Text("Application shortlisted", "The hirer put your application on the short list."),
        "fr": Text("Candidature présélectionnée", "Le client a retenu votre candidature dans sa présélection."),
    },
    Kind.APPLICATION_WITHDRAWN: {
        "en": Text("Application withdrawn", "A worker took an application to your job back."),
        "fr": Text("Candidature retirée", "Un artisan a retiré sa candidature à votre offre."),
    },
    Kind.COUNTER_OFFER_MADE: {
        "en": Text("Counter-offer", "The hirer offers you other terms. Take them or leave them."),
        "fr": Text("Contre-proposition", "Le client vous propose d'autres conditions. Acceptez-les ou refusez-les."),
    },
    Kind.COUNTER_OFFER_TAKEN: {
        "en": Text("Counter-offer taken", "The worker took your terms. You can accept the application now."),
        "fr": Text("Contre-proposition acceptée", "L'artisan accepte vos conditions. Acceptez sa candidature."),
    },
    Kind.COUNTER_OFFER_LEFT: {
        "en": Text("Counter-offer declined", "The worker did not take your terms. The application stands as it was."),
        "fr": Text("Contre-proposition refusée", "L'artisan refuse vos conditions. Sa candidature reste inchangée."),
    },
    Kind.JOB_INVITATION: {
        "en": Text("You are invited", "A hirer asks you to apply to a job."),
        "fr": Text("Vous êtes invité", "Un client vous invite à postuler à une offre."),
    },
    Kind.INVITATION_DECLINED: {
        "en": Text("Invitation declined", "A worker that you invited does not want the job."),
        "fr": Text("Invitation refusée", "Un artisan que vous avez invité a décliné l'offre."),
    },
    Kind.JOB_ALERT: {
        "en": Text("A job for you", "A new job may be something for you."),
        "fr": Text("Une offre pour vous", "Une nouvelle offre pourrait vous convenir."),
    },
    Kind.JOB_EXPIRED: {
        "en": Text("Time for applications is over", "Accept one of the applications or publish the job again."),
        "fr": Text("Fin des candidatures", "Choisissez une candidature ou republiez votre offre."),
    },
    Kind.CONTRACT_TERMS_CHANGED: {
        "en": Text("Contract terms changed", "The other side changed the terms. Read them and sign again."),
        "fr": Text("Contrat modifié", "L'autre partie a modifié le contrat. Relisez-le et signez-le à nouveau."),
    },
    Kind.CONTRACT_OFFERED: {
        "en": Text("A contract is offered to you", "A hirer offers you work. Read the contract, accept or decline."),
        "fr": Text("Un contrat vous est proposé", "Un client vous propose un travail. Acceptez ou refusez."),
    },
    Kind.CONTRACT_OFFER_TAKEN: {
        "en": Text("Offer accepted", "The worker accepted your offer. Both sides sign now."),
        "fr": Text("Offre acceptée", "L'artisan a accepté votre offre. Les deux parties signent maintenant."),
    },
    Kind.CONTRACT_OFFER_DECLINED: {
        "en": Text("Offer declined", "The worker declined your offer. You can publish the job for all."),
        "fr": Text("Offre refusée", "L'artisan a refusé votre offre. Vous pouvez la publier pour tous."),
    },
    Kind.CONTRACT_OFFER_EXPIRED: {
        "en": Text("Offer expired", "A direct offer was not answered in time. Its job can be published for all."),
        "fr": Text("Proposition expirée", "Une proposition directe est restée sans réponse dans les délais."),
    },
    Kind.MILESTONE_DUE: {
        "en": Text("A milestone is due", "A milestone of your contract is to be handed in within a day."),
        "fr": Text("Une étape arrive à échéance", "Une étape de votre contrat est à remettre d'ici un jour."),
    },
    Kind.MILESTONE_LATE: {
        "en": Text("A milestone is late", "The time of a milestone is over, and it is not handed in."),
        "fr": Text("Une étape est en retard", "L'échéance d'une étape est passée et rien n'est remis."),
    },
    Kind.CERTIFICATE_EXPIRING: {
        "en": Text("A certificate ends soon", "Renew it in time, so that your profile keeps it."),
        "fr": Text("Un certificat expire bientôt", "Renouvelez-le à temps pour le garder sur votre profil."),
    },
    Kind.CERTIFICATE_VERIFIED: {
        "en": Text("Certificate verified", "Your certificate was checked. Your profile shows it as verified."),
        "fr": Text("Certificat vérifié", "Votre certificat a été contrôlé et figure comme vérifié sur votre profil."),
    },
    Kind.CERTIFICATE_REJECTED: {
        "en": Text("Certificate not verified", "Your certificate could not be verified. See why in your profile."),
        "fr": Text("Certificat non vérifié", "Votre certificat n'a pas pu être vérifié. Voyez-en la raison."),
    },
    Kind.BOOKING_REFUSED: {
        "en": Text("Other dates needed", "The worker is not free at the agreed time. Agree another time, or cancel."),
        "fr": Text("Autres dates nécessaires", "L'artisan n'est pas libre. Convenez d'autres dates ou annulez."),
    },
    Kind.CONTRACT_CANCELLED: {
        "en": Text("Contract cancelled", "The other side cancelled the contract."),
        "fr": Text("Contrat annulé", "L'autre partie a annulé le contrat."),
    },
    Kind.CONTRACT_COMPLETED: {
        "en": Text("Contract completed", "The contract is completed. You can review each other now."),
        "fr": Text("Contrat terminé", "Le contrat est terminé. Vous pouvez maintenant laisser un avis."),
    },
    Kind.AMENDMENT_PROPOSED: {
        "en": Text("Change proposed", "The other side proposes to change the contract. Sign or decline."),
        "fr": Text("Avenant proposé", "L'autre partie propose de modifier le contrat. Signez ou refusez."),
    },
    Kind.AMENDMENT_SIGNED: {
        "en": Text("Change signed", "The other side signed the change. It is part of the contract now."),
        "fr": Text("Avenant signé", "L'autre partie a signé l'avenant. Il fait désormais partie du contrat."),
    },
    Kind.AMENDMENT_DROPPED: {
        "en": Text("Change dropped", "The other side dropped the change. The contract stands as it was."),
        "fr": Text("Avenant abandonné", "L'autre partie a renoncé à l'avenant. Le contrat reste inchangé."),
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
    Kind.DISPUTE_ANSWERED: {
        "en": Text("Dispute answered", "The other side answered. You can offer a settlement, or accept one."),
        "fr": Text("Réponse au litige", "L'autre partie a répondu. Proposez un partage, ou acceptez-en un."),
    },
    Kind.DISPUTE_EVIDENCE_ADDED: {
        "en": Text("New evidence", "The other side added a file to the dispute."),
        "fr": Text("Nouvelle pièce", "L'autre partie a ajouté un fichier au litige."),
    },
    Kind.DISPUTE_OFFER_MADE: {
        "en": Text("Settlement offered", "The other side offers how to share the escrow. See what you would get."),
        "fr": Text("Accord proposé", "L'autre partie propose un partage des fonds. Voyez ce que vous recevriez."),
    },
    Kind.DISPUTE_ESCALATED: {
        "en": Text("Dispute with support", "You did not agree in time. Support decides now."),
        "fr": Text("Litige transmis au support", "Sans accord dans le délai, le support tranche."),
    },
    Kind.DISPUTE_RULED: {
        "en": Text("Decision on the dispute", "There is a decision. It stands unless one of you appeals in time."),
        "fr": Text("Décision sur le litige", "Une décision est prise. Elle prend effet sauf appel dans le délai."),
    },
    Kind.DISPUTE_APPEALED: {
        "en": Text("Decision appealed", "The other side appealed. Somebody else at support decides."),
        "fr": Text("Appel formé", "L'autre partie a fait appel. Une autre personne du support tranche."),
    },
    Kind.DEPOSIT_PROCESSED: {
        "en": Text("Deposit received", "{amount} was added to your wallet."),
        "fr": Text("Dépôt reçu", "{amount} ont été ajoutés à votre portefeuille."),
    },
    Kind.WITHDRAWAL_PROCESSED: {
        "en": Text("Withdrawal sent", "{amount} was sent from your wallet."),
        "fr": Text("Retrait envoyé", "{amount} ont été envoyés depuis votre portefeuille."),
    },
    Kind.WITHDRAWAL_FAILED: {
        "en": Text("Withdrawal did not go through", "{amount} came back to your wallet. See why, and try again."),
        "fr": Text("Retrait non abouti", "{amount} sont revenus dans votre portefeuille. Voyez pourquoi et réessayez."),
    },
    Kind.CHARGEBACK_OPENED: {
        "en": Text("Your bank took a payment back", "Your bank asks for {amount} back. It is held until it decides."),
        "fr": Text("Paiement contesté", "Votre banque réclame {amount}. La somme est bloquée jusqu'à sa décision."),
    },
    Kind.CHARGEBACK_WON: {
        "en": Text("Your payment stands", "Your bank decided: {amount} stay with Kelmah and are yours to use again."),
        "fr": Text("Paiement confirmé", "Votre banque a tranché : {amount} sont de nouveau disponibles sur Kelmah."),
    },
    Kind.CHARGEBACK_LOST: {
        "en": Text("Your payment was taken back", "Your bank decided: {amount} went back to your card."),
        "fr": Text("Paiement annulé", "Votre banque a tranché : {amount} sont retournés sur votre carte."),
    },
    Kind.MESSAGE_RECEIVED: {
        "en": Text("New message", "You have a new message."),
        "fr": Text("Nouveau message", "Vous avez un nouveau message."),
    },
    Kind.MESSAGE_RECEIVED + _MANY: {
        "en": Text("New messages", "You have {count} new messages in a conversation."),
        "fr": Text("Nouveaux messages", "Vous avez {count} nouveaux messages dans une conversation."),
    },
    Kind.DISPUTE_RESOLVED: {
        "en": Text("Dispute settled", "The dispute is over. See how the money was split."),
        "fr": Text("Litige réglé", "Le litige est clos. Voyez comment les fonds sont répartis."),
    },
    Kind.DISPUTE_WITHDRAWN: {
        "en": Text("Dispute withdrawn", "The dispute was withdrawn. The money is in escrow as before."),
        "fr": Text("Litige retiré", "Le litige a été retiré. Les fonds sont sous séquestre comme avant."),
    },
    Kind.PASSWORD_CHANGED: {
        "en": Text("Password changed", "Your password was changed. If that was not you, reset it now."),
        "fr": Text("Mot de passe modifié", "Votre mot de passe a été modifié. Si ce n'est pas vous, réinitialisez-le."),
    },
    Kind.DATA_EXPORT_READY: {
        "en": Text("Your data is ready", "The archive that you asked for can be fetched for some days."),
        "fr": Text("Vos données sont prêtes", "L'archive que vous avez demandée est disponible quelques jours."),
    },
    Kind.REVIEW_REVEALED: {
        "en": Text("You were reviewed", "A review of you is public now."),
        "fr": Text("Vous avez reçu un avis", "Un avis sur vous est maintenant public."),
    },
    Kind.REVIEW_HELD: {
        "en": Text("Your review is being checked", "A moderator reads your review before it becomes public."),
        "fr": Text("Votre avis est vérifié", "Un modérateur lit votre avis avant sa publication."),
    },
    Kind.REVIEW_DECIDED: {
        "en": Text("A moderator decided on a review", "See the decision and why. You can appeal within 30 days."),
        "fr": Text("Un modérateur s'est prononcé sur un avis", "Voyez la décision et sa raison. Recours : 30 jours."),
    },
}  # fmt: skip

_WHY_ROLES: dict[str, dict[str, str]] = {
    Topic.APPLICATIONS: {
        "en": "it is about a job of yours or one that you applied to",
        "fr": "il s'agit de votre offre ou de votre candidature",
    },
    Topic.INVITATIONS: {
        "en": "a hirer invited you, or you invited a worker",
        "fr": "un client vous a invité, ou vous avez invité un artisan",
    },
    Topic.RECOMMENDATIONS: {
        "en": "the job is urgent and near you, or fits a search that you saved",
        "fr": "l'offre est urgente et proche de vous, ou correspond à une recherche enregistrée",
    },
    Topic.CONTRACTS: {"en": "you are a side of the contract", "fr": "vous êtes partie au contrat"},
    Topic.MILESTONES: {"en": "you are a side of the contract", "fr": "vous êtes partie au contrat"},
    Topic.PAYMENTS: {"en": "the money is yours or of your contract", "fr": "il s'agit de votre argent ou contrat"},
    Topic.DISPUTES: {"en": "you are a side of the dispute", "fr": "vous êtes partie au litige"},
    Topic.MESSAGES: {
        "en": "somebody wrote to you and it is unread",
        "fr": "quelqu'un vous a écrit et le message n'est pas lu",
    },
    Topic.REVIEWS: {"en": "the review is by you or about you", "fr": "l'avis est de vous ou vous concerne"},
    Topic.CERTIFICATES: {"en": "it is about your certificate", "fr": "il s'agit de votre certificat"},
    Topic.SECURITY: {"en": "it is about your account's security", "fr": "il s'agit de la sécurité de votre compte"},
}
_FOOTER = {"en": "You get this because {why}. Kelmah: {url}", "fr": "Vous recevez ceci car {why}. Kelmah : {url}"}
_OUT = {"en": "No more mails of this kind: {out}", "fr": "Ne plus recevoir de tels messages : {out}"}
_DIGEST = {
    "en": Text("Your day at Kelmah: {total} news", "and {rest} more"),
    "fr": Text("Votre journée chez Kelmah : {total} nouvelles", "et {rest} de plus"),
}
_DIGEST_WHY = {"en": "you chose a daily digest", "fr": "vous avez choisi un résumé quotidien"}


_PAGE = {
    "en": ("Mails of Kelmah", "Send me no more mails of this kind", "You get no more mails of this kind."),
    "fr": ("Messages de Kelmah", "Ne plus recevoir de tels messages", "Vous ne recevrez plus de tels messages."),
}


def text_for(kind: Kind, *, params: dict[str, str], count: int, locale: str) -> Text:
    """The words of one notification. `params["amount"]` is what `amount_param` made."""
    name = kind + _MANY if count > 1 and kind + _MANY in TEXTS else kind
    text = TEXTS[name][locale]
    values = {"count": str(count)}
    if "amount" in params:
        values["amount"] = _amount(params["amount"], locale)
    return Text(text.title.format(**values), text.body.format(**values))


def why(topic: Topic, locale: str) -> str:
    """Why somebody is told of things of a topic."""
    return _WHY_ROLES[topic][locale]


def mail_for(text: Text, *, why: str, url: str, out: str | None, locale: str) -> tuple[str, str]:
    """The plain text and the HTML of the mail that says the same. `out` ends such mails."""
    return _mail(text.title, [text.body], why=why, url=url, out=out, locale=locale)


def digest_for(lines: Sequence[Text], *, total: int, url: str, out: str, locale: str) -> tuple[str, tuple[str, str]]:
    """The subject, and the mail that says several things at once."""
    subject, more = _DIGEST[locale]
    said = [f"{line.title}: {line.body}" for line in lines]
    if total > len(lines):
        said.append(more.format(rest=total - len(lines)))
    title = subject.format(total=total)
    return title, _mail(title, said, why=_DIGEST_WHY[locale], url=url, out=out, locale=locale)


def _mail(
    title: str, paragraphs: Sequence[str], *, why: str, url: str, out: str | None, locale: str
) -> tuple[str, str]:
    footer = [_FOOTER[locale].format(why=why, url=url)]
    if out is not None:
        footer.append(_OUT[locale].format(out=out))
    body, foot = "\n\n".join(paragraphs), "\n".join(footer)
    plain = f"{title}\n\n{body}\n\n-- \n{foot}\n"
    html = (
        f'<!doctype html><html lang="{locale}"><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<h1>{escape(title)}</h1>{''.join(f'<p>{escape(one)}</p>' for one in paragraphs)}"
        f"<hr>{''.join(f'<p><small>{escape(one)}</small></p>' for one in footer)}</html>"
    )
    return plain, html


def page_for(*, token: str, is_done: bool, languages: str | None) -> str:
    """The page behind the link in a mail: a button, since programs that look at mails follow links too."""
    locale = language_of(languages)
    title, button, done = _PAGE[locale]
    action = f"?token={escape(token, quote=True)}"
    body = (
        f"<p>{escape(done)}</p>"
        if is_done
        else (f'<form method="post" action="{action}"><button>{escape(button)}</button></form>')
    )
    return (
        f'<!doctype html><html lang="{locale}"><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width"><title>{escape(title)}</title><h1>{escape(title)}</h1>{body}</html>'
    )


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
