"""The user service's documents and every query on them."""

from kelmah.services.user.documents.analytics import ContactDocument, FactDocument
from kelmah.services.user.documents.bookmarks import BookmarkDocument
from kelmah.services.user.documents.profiles import ProfileDocument
from kelmah.services.user.documents.versions import ProfileVersionDocument
from kelmah.services.user.documents.words import WordDocument

DOCUMENTS = (ProfileDocument, ProfileVersionDocument, BookmarkDocument, FactDocument, ContactDocument, WordDocument)
