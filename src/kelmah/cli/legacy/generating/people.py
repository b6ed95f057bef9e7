"""Made-up people: who they are, how they log in, what they say of themselves."""

import json
from datetime import timedelta
from decimal import Decimal
from functools import cache

import bcrypt

from kelmah.cli.legacy.generating.world import END, Row, World
from kelmah.cli.seed import words

BCRYPT_COST = 4
PASSWORDS = 1_000


def password(number: int) -> str:
    """The password of the person with this number."""
    return f"old password {number % PASSWORDS}"


@cache
def _hash(number: int) -> str:
    return bcrypt.hashpw(password(number).encode(), bcrypt.gensalt(BCRYPT_COST)).decode()


def person(world: World, number: int) -> Row:
    random = world.random
    woman = world.chance(0.5)
    first, last = random.choice(words.WOMEN if woman else words.MEN), random.choice(words.SURNAMES)
    created = END - timedelta(days=random.random() * 1_400)
    created = created.replace(microsecond=random.randrange(1_000) * 1_000)
    is_worker = number % 5 < 3
    verified = world.chance(0.9)
    user: Row = {
        "id": world.id(),
        "email": f"{first}.{last}.{number}@example.com"
        if world.chance(0.3)
        else f"{first.lower()}{number}@example.com",
        "phone": f"02{random.choice('04567')} {random.randrange(100, 999)} {random.randrange(1000, 9999)}",
        "first_name": first,
        "last_name": last,
        "role": "worker" if is_worker else "client",
        "status": "active" if verified else "pending",
        "email_verified_at": created + timedelta(hours=1) if verified else None,
        "last_login_at": world.when(created, days=300),
        "created_at": created,
        "updated_at": world.when(created, days=300),
        "deleted_at": None,
    }
    if world.chance(0.02):
        user["status"] = random.choice(("suspended", "banned"))
    elif world.chance(0.02):
        user |= {"status": "deleted", "deleted_at": world.when(created, days=100)}
    world.add("users", user)
    world.add(
        "credentials",
        {
            "user_id": user["id"],
            "password_hash": _hash(number % PASSWORDS),
            "algorithm": "bcrypt",
            "failed_attempts": random.choice((0, 0, 0, 1, 7)),
            "totp_secret": "JBSWY3DPEHPK3PXP" if world.chance(0.03) else None,
            "totp_enabled": False,
            "changed_at": created,
        },
    )
    if world.chance(0.2):
        provider = random.choice(("google", "google", "linkedin", "facebook"))
        world.add(
            "social_logins",
            {
                "id": world.id(),
                "user_id": user["id"],
                "provider": provider,
                "subject": str(random.getrandbits(60)),
                "access_token": "gone",
                "created_at": created,
            },
        )
    world.add(
        "refresh_tokens",
        {
            "id": world.id(),
            "user_id": user["id"],
            "token_hash": f"{random.getrandbits(256):064x}",
            "user_agent": "Mozilla/5.0",
            "ip": "41.66.200.1",
            "expires_at": END,
            "revoked_at": None,
            "created_at": created,
        },
    )
    _profile(world, user, is_worker=is_worker)
    world.wallets[user["id"]] = world.add(
        "wallets",
        {
            "id": world.id(),
            "user_id": user["id"],
            "currency": "GHS",
            "balance": Decimal(0),
            "created_at": created,
            "updated_at": created,
        },
    )
    return user


def _profile(world: World, user: Row, *, is_worker: bool) -> None:
    random, key, created = world.random, user["id"], user["created_at"]
    city = random.choice(words.CITIES)
    trades = random.sample(list(world.skills), 2)
    if world.chance(0.9):
        world.add(
            "profiles",
            {
                "user_id": key,
                "headline": f"{trades[0]} in {city.name}" if is_worker else None,
                "bio": f"I live in {city.name} and know my trade." if world.chance(0.6) else None,
                "company": f"{user['last_name']} and Sons" if world.chance(0.2) else None,
                "hourly_rate": Decimal(random.randrange(20, 200)) if is_worker else None,
                "currency": "GHS",
                "languages": json.dumps(["en", random.choice(("tw", "ee", "ha", "gaa"))]),
                "availability": random.choice(("available", "available", "busy", "away")),
                "is_public": world.chance(0.95),
                "avatar_url": f"https://cdn.example.com/{key}.jpg",
                "date_of_birth": (created - timedelta(days=random.randrange(7_000, 20_000))).date(),
                "created_at": created,
                "updated_at": user["updated_at"],
            },
        )
    if world.chance(0.8):
        world.add(
            "addresses",
            {
                "id": world.id(),
                "user_id": key,
                "line1": f"House {random.randrange(1, 400)}",
                "line2": None,
                "city": city.name,
                "region": city.region,
                "country": "GH",
                "latitude": Decimal(str(round(city.latitude + random.random() / 50, 6))),
                "longitude": Decimal(str(round(city.longitude + random.random() / 50, 6))),
                "is_primary": True,
                "created_at": created,
                "deleted_at": None,
            },
        )
    for trade in trades if is_worker else ():
        world.add(
            "user_skills",
            {
                "id": world.id(),
                "user_id": key,
                "skill_id": world.skills[trade],
                "years_experience": random.randrange(30),
                "created_at": created,
            },
        )
    if is_worker and world.chance(0.4):
        world.add(
            "portfolio_items",
            {
                "id": world.id(),
                "user_id": key,
                "title": f"{trades[0]} at a house in {city.name}",
                "description": None,
                "completed_on": created.date(),
                "image_urls": json.dumps(["https://cdn.example.com/1.jpg"]) if world.chance(0.3) else "[]",
                "created_at": created,
                "deleted_at": None,
            },
        )
    if world.chance(0.8):
        world.add(
            "settings",
            {
                "user_id": key,
                "locale": random.choice(("en", "en_GH", "fr")),
                "time_zone": "Africa/Accra",
                "currency": "GHS",
                "notifications": json.dumps({"email": True, "sms": world.chance(0.3), "push": True}),
                "updated_at": created,
            },
        )
