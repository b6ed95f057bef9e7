"""What this service keeps sealed (`kit.resealing`)."""

from kelmah.kit.resealing import Sealed, of_id
from kelmah.services.user.service.certificates import number_place
from kelmah.services.user.service.profiles import private_place
from kelmah.services.user.service.versions import version_place

SEALED = (
    Sealed(
        "profiles",
        {
            "private": of_id(private_place),
            "certificates.number": lambda profile, entry: number_place(profile["_id"], entry["id"]),
        },
    ),
    Sealed("profile_versions", {"sealed": lambda edit, _: version_place(edit["user_id"], edit["version"])}),
)
