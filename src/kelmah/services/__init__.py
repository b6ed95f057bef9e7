"""One Litestar app and one Mongo database a service."""
