"""What this service keeps sealed (`kit.resealing`)."""

from kelmah.kit.resealing import Sealed, of_id, of_item
from kelmah.services.payment.service.importing import reference_place

SEALED = (
    Sealed("methods", {"token": of_id(), "customer": of_id()}),
    Sealed("deposits", {"method": of_id(), "customer": of_id()}),
    Sealed("withdrawals", {"destination": of_id()}),
    Sealed("bank_lines", {"text": of_id()}),
    Sealed("bank_payouts", {"destination": of_id()}),
    Sealed("webhooks", {"body": of_id()}),
    Sealed("disputes", {"evidence.file_name": of_item()}),
    Sealed("dispute_files", {"data": of_id()}),
    Sealed("legacy_transactions", {"reference": of_id(reference_place)}),
)
