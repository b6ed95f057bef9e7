"""How complaints of the web framework become problems."""

from litestar.exceptions import ValidationException

from kelmah.contracts.common import FieldError
from kelmah.kit import problem


def test_a_query_parameter_is_named_as_the_client_wrote_it() -> None:
    error = ValidationException(
        detail="no", extra=[{"message": "Expected `float` > 0.0", "key": "radius_km", "source": "query"}]
    )
    assert problem.translate(error).errors == [FieldError(field="radiusKm", message="Expected `float` > 0.0")]
