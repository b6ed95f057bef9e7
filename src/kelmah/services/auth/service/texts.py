"""The words of the mails about accounts, in every language."""

from collections.abc import Mapping
from typing import NamedTuple


class Text(NamedTuple):
    """A subject and paragraphs; `{…}` are filled in by `mails`, and `{link}` is a paragraph of its own."""

    subject: str
    paragraphs: tuple[str, ...]


#: Language → how a mail begins, and hours and minutes.
HELLO = {"en": "Hello,", "fr": "Bonjour,"}
LIVES = {"en": ("{} hours", "{} minutes"), "fr": ("{} heures", "{} minutes")}


def _notice(subject: str, sentence: str) -> Text:
    return Text(subject, (sentence, "{link}"))


_BY_HAND = {"en": "Or type the token in by hand:", "fr": "Ou saisissez le jeton vous-même :"}
_ENDS = {
    "en": "It works once, within {life}. If you did not ask for it, there is nothing to do.",
    "fr": "Il sert une seule fois, pendant {life}. Si vous ne l'avez pas demandé, il n'y a rien à faire.",
}


def _proof(language: str, subject: str, sentence: str) -> Text:
    return Text(subject, (sentence, "{link}", _BY_HAND[language], "Token: {token}", _ENDS[language]))


#: Mail → language → text. No text of the person's goes in but the name that a device gives itself.
TEXTS: Mapping[str, Mapping[str, Text]] = {
    "verify_email": {
        "en": _proof(
            "en",
            "Verify your e-mail address for Kelmah",
            "Open this address to prove that the mailbox is yours:",
        ),
        "fr": _proof(
            "fr",
            "Confirmez votre adresse e-mail pour Kelmah",
            "Ouvrez cette adresse pour prouver que cette boîte aux lettres est la vôtre :",
        ),
    },
    "reset_password": {
        "en": _proof(
            "en",
            "Set a new password for Kelmah",
            "Somebody, hopefully you, asked for a new password. Open this address to set one:",
        ),
        "fr": _proof(
            "fr",
            "Choisissez un nouveau mot de passe pour Kelmah",
            "Quelqu'un, vous sans doute, a demandé un nouveau mot de passe. Ouvrez cette adresse pour le choisir :",
        ),
    },
    "known": {
        "en": _notice(
            "You have an account at Kelmah",
            "Somebody wanted to make an account at Kelmah with this address, and there is one already. If it was you, "
            "log in; if you forgot the password, set a new one here. If it was not you, there is nothing to do:",
        ),
        "fr": _notice(
            "Vous avez un compte chez Kelmah",
            "Quelqu'un a voulu créer un compte chez Kelmah avec cette adresse, qui en a déjà un. Si c'était vous, "
            "connectez-vous ; si vous avez oublié le mot de passe, choisissez-en un nouveau ici. Sinon, il n'y a rien "
            "à faire :",
        ),
    },
    "new_device": {
        "en": Text(
            "A new device signed in to Kelmah",
            (
                "Somebody signed in to your Kelmah account on a device that we had not seen before: {device}{where}, "
                "at {at} UTC. If it was you, there is nothing to do.",
                "If this was not you, open this address. It ends every session, makes the password useless and sends "
                "you a mail to set a new one:",
                "{link}",
                "Token: {token}",
            ),
        ),
        "fr": Text(
            "Un nouvel appareil s'est connecté à Kelmah",
            (
                "Quelqu'un s'est connecté à votre compte Kelmah sur un appareil inconnu de nous : {device}{where}, "
                "le {at} UTC. Si c'était vous, il n'y a rien à faire.",
                "Si ce n'était pas vous, ouvrez cette adresse. Toutes les sessions prendront fin, le mot de passe ne "
                "servira plus à rien et un message vous permettra d'en choisir un nouveau :",
                "{link}",
                "Token: {token}",
            ),
        ),
    },
    "email_change_old": {
        "en": Text(
            "Another e-mail address for your Kelmah account",
            (
                "Somebody, hopefully you, wants another e-mail address for your Kelmah account. Open this address to "
                "agree:",
                "{link}",
                "Token: {token}",
                "If this was not you, open this one. It stops the change, ends every session, makes the password "
                "useless and sends you a mail to set a new one:",
                "{stop}",
            ),
        ),
        "fr": Text(
            "Une autre adresse e-mail pour votre compte Kelmah",
            (
                "Quelqu'un, vous sans doute, veut une autre adresse e-mail pour votre compte Kelmah. Ouvrez cette "
                "adresse pour accepter :",
                "{link}",
                "Token: {token}",
                "Si ce n'était pas vous, ouvrez celle-ci. Le changement s'arrête, toutes les sessions prennent fin, le "
                "mot de passe ne sert plus à rien et un message vous permettra d'en choisir un nouveau :",
                "{stop}",
            ),
        ),
    },
    "email_change_new": {
        "en": Text(
            "Confirm your new e-mail address for Kelmah",
            (
                "Somebody, hopefully you, wants to use this address for an account at Kelmah. Open this address to "
                "agree:",
                "{link}",
                "Token: {token}",
                "The old address must agree as well. If you did not ask for it, there is nothing to do.",
            ),
        ),
        "fr": Text(
            "Confirmez votre nouvelle adresse e-mail pour Kelmah",
            (
                "Quelqu'un, vous sans doute, veut utiliser cette adresse pour un compte chez Kelmah. Ouvrez cette "
                "adresse pour accepter :",
                "{link}",
                "Token: {token}",
                "L'ancienne adresse doit accepter aussi. Si vous ne l'avez pas demandé, il n'y a rien à faire.",
            ),
        ),
    },
    "email_changed": {
        "en": _notice(
            "The e-mail address of your Kelmah account changed",
            "Your Kelmah account has another e-mail address, and other sessions were ended. If this was not you, "
            "write to our support; with the new address a new password can be set here:",
        ),
        "fr": _notice(
            "L'adresse e-mail de votre compte Kelmah a changé",
            "Votre compte Kelmah a une autre adresse e-mail, et les autres sessions ont pris fin. Si ce n'était pas "
            "vous, écrivez à notre support ; avec la nouvelle adresse, un nouveau mot de passe se choisit ici :",
        ),
    },
    "password_changed": {
        "en": _notice(
            "Your Kelmah password was changed",
            "The password of your Kelmah account was changed. If this was not you, set a new one at once:",
        ),
        "fr": _notice(
            "Votre mot de passe Kelmah a changé",
            "Le mot de passe de votre compte Kelmah a changé. Si ce n'était pas vous, choisissez-en un nouveau tout "
            "de suite :",
        ),
    },
    "role_changed": {
        "en": _notice(
            "Your role at Kelmah changed",
            "An administrator changed what your Kelmah account may do, and you were signed out everywhere. If you did "
            "not expect this, write to our support. You can set a new password here:",
        ),
        "fr": _notice(
            "Votre rôle chez Kelmah a changé",
            "Un administrateur a changé ce que peut faire votre compte Kelmah, et vous avez été déconnecté partout. Si "
            "vous ne vous y attendiez pas, écrivez à notre support. Un nouveau mot de passe se choisit ici :",
        ),
    },
    "account_deactivated": {
        "en": _notice(
            "Your Kelmah account is at rest",
            "Your Kelmah account was deactivated and nobody can find it. Log in again to wake it. If this was not you, "
            "set a new password:",
        ),
        "fr": _notice(
            "Votre compte Kelmah est en sommeil",
            "Votre compte Kelmah a été désactivé et personne ne peut le trouver. Connectez-vous pour le réveiller. Si "
            "ce n'était pas vous, choisissez un nouveau mot de passe :",
        ),
    },
    "mfa_enabled": {
        "en": _notice(
            "Your second factor for Kelmah is on",
            "From now on Kelmah asks for a code of your authenticator app when you log in. If this was not you, set a "
            "new password at once:",
        ),
        "fr": _notice(
            "Votre second facteur pour Kelmah est activé",
            "Désormais, Kelmah demande un code de votre application d'authentification à la connexion. Si ce n'était "
            "pas vous, choisissez tout de suite un nouveau mot de passe :",
        ),
    },
    "mfa_disabled": {
        "en": _notice(
            "Your second factor for Kelmah is off",
            "Kelmah does not ask for a code any more when you log in. If this was not you, set a new password at once:",
        ),
        "fr": _notice(
            "Votre second facteur pour Kelmah est désactivé",
            "Kelmah ne demande plus de code à la connexion. Si ce n'était pas vous, choisissez tout de suite un "
            "nouveau mot de passe :",
        ),
    },
    "identity_linked": {
        "en": _notice(
            "You can sign in to Kelmah in another way",
            "An account of another provider was linked to your Kelmah account and can sign in to it. If this was not "
            "you, set a new password at once:",
        ),
        "fr": _notice(
            "Une autre façon de vous connecter à Kelmah",
            "Un compte d'un autre fournisseur a été lié à votre compte Kelmah et permet de s'y connecter. Si ce "
            "n'était pas vous, choisissez tout de suite un nouveau mot de passe :",
        ),
    },
    "identity_unlinked": {
        "en": _notice(
            "A way to sign in to Kelmah was removed",
            "An account of another provider cannot sign in to your Kelmah account any more. If this was not you, set "
            "a new password at once:",
        ),
        "fr": _notice(
            "Une façon de vous connecter à Kelmah a été retirée",
            "Un compte d'un autre fournisseur ne permet plus de se connecter à votre compte Kelmah. Si ce n'était pas "
            "vous, choisissez tout de suite un nouveau mot de passe :",
        ),
    },
    "api_key_created": {
        "en": _notice(
            "A key for your Kelmah account was made",
            "A program can act for you with an API key that was made for your Kelmah account. If this was not you, set "
            "a new password, which ends every key:",
        ),
        "fr": _notice(
            "Une clé pour votre compte Kelmah a été créée",
            "Un programme peut agir pour vous avec une clé d'API créée pour votre compte Kelmah. Si ce n'était pas "
            "vous, choisissez un nouveau mot de passe, ce qui met fin à toutes les clés :",
        ),
    },
    "passkey_added": {
        "en": _notice(
            "A passkey was added to your Kelmah account",
            "A device can sign in to your Kelmah account with a passkey. If this was not you, remove it in your "
            "account, and set a new password at once:",
        ),
        "fr": _notice(
            "Une clé d'accès a été ajoutée à votre compte Kelmah",
            "Un appareil peut se connecter à votre compte Kelmah avec une clé d'accès. Si ce n'était pas vous, "
            "retirez-la dans votre compte et choisissez tout de suite un nouveau mot de passe :",
        ),
    },
    "passkey_removed": {
        "en": _notice(
            "A passkey was removed from your Kelmah account",
            "A passkey cannot sign in to your Kelmah account any more. If this was not you, set a new password at "
            "once:",
        ),
        "fr": _notice(
            "Une clé d'accès a été retirée de votre compte Kelmah",
            "Une clé d'accès ne permet plus de se connecter à votre compte Kelmah. Si ce n'était pas vous, choisissez "
            "tout de suite un nouveau mot de passe :",
        ),
    },
    "export_requested": {
        "en": _notice(
            "Somebody asked for a copy of your Kelmah data",
            "An archive of all that Kelmah keeps of you was asked for in your account. You will be told when it is "
            "ready. If this was not you, set a new password at once:",
        ),
        "fr": _notice(
            "Une copie de vos données Kelmah a été demandée",
            "Une archive de tout ce que Kelmah garde de vous a été demandée dans votre compte. Vous serez prévenu "
            "quand elle sera prête. Si ce n'était pas vous, choisissez tout de suite un nouveau mot de passe :",
        ),
    },
    "session_reused": {
        "en": _notice(
            "We ended one of your Kelmah sessions",
            "A key of one of your sessions was used twice, so somebody may have copied it. We ended that session. "
            "If you did not expect this, set a new password:",
        ),
        "fr": _notice(
            "Nous avons mis fin à l'une de vos sessions Kelmah",
            "Une clé de l'une de vos sessions a servi deux fois : quelqu'un l'a peut-être copiée. Nous avons mis fin à "
            "cette session. Si vous ne vous y attendiez pas, choisissez un nouveau mot de passe :",
        ),
    },
}
