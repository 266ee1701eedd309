"""Users and the connection token, for the window. Application users may not ask for any of it."""

from __future__ import annotations

from memphis_desktop.stations.access import APPLICATION, MANAGEMENT, ROOT, checked_pattern
from memphis_desktop.stations.control.routes import Context, Request, manage, management_answer
from memphis_desktop.stations.errors import Conflict, Refusal
from memphis_desktop.stations.metadata import replace
from memphis_desktop.stations.model import ConnectionToken, Permissions, User
from memphis_desktop.stations.users import checked_password, checked_user_name, hashed, set_password

_PERMISSIONS = {
    "allow_read": "allow_read_permissions",
    "allow_write": "allow_write_permissions",
    "deny_read": "deny_read_permissions",
    "deny_write": "deny_write_permissions",
}
_DETAILS = ("full_name", "team", "position", "description", "owner")
_MAX_DETAIL, _MAX_PATTERNS = 500, 1000


async def add(context: Context, request: Request) -> bytes:
    """Add a user."""
    await _check_manager(context, request)
    name = checked_user_name(request.text("name"))
    kind = request.text("type", APPLICATION).lower()
    if kind not in (APPLICATION, MANAGEMENT):
        raise Refusal("user type has to be one of the following management/application")
    password = checked_password(request.text("password"))
    user = replace(
        User(name, kind, await hashed(password), permissions=_permissions(request, kind)), **_details(request)
    )
    if name == ROOT:
        raise Refusal(f"User {name} already exists", "exists")
    try:
        await context.metadata.users.add(user)
    except Conflict:
        raise Refusal(f"User {name} already exists", "exists") from None
    await _audit(context, request, f"User {name} has been added")
    return management_answer(_shown(user))


async def edit(context: Context, request: Request) -> bytes:
    """Change a user's permissions and details; keys that are missing stay as they are."""
    await _check_manager(context, request)
    name = checked_user_name(request.text("name"))

    def decide(present: User | None) -> User:
        if present is None:
            raise Refusal(f"User {name} does not exist", "not_found")
        changes: dict[str, object] = dict(_details(request))
        if any(key in request.fields for key in _PERMISSIONS.values()):
            if present.type == ROOT:
                raise Refusal("root may do everything, always", "forbidden")
            changes["permissions"] = _permissions(request, present.type)
        return replace(present, **changes)

    user = await context.metadata.users.change((name,), decide)
    assert user is not None
    await _audit(context, request, f"User {name} has been changed")
    return management_answer(_shown(user))


async def remove(context: Context, request: Request) -> bytes:
    """Remove a user; its connections end."""
    await _check_manager(context, request)
    name = checked_user_name(request.text("name"))
    if name == ROOT:
        raise Refusal("root can not be removed", "forbidden")

    def decide(present: User | None) -> None:
        if present is None:
            raise Refusal(f"User {name} does not exist", "not_found")

    await context.metadata.users.change((name,), decide)
    await _audit(context, request, f"User {name} has been removed")
    return management_answer()


async def change_password(context: Context, request: Request) -> bytes:
    """Give a user another password; connections made with the old one end."""
    await _check_manager(context, request)
    name = checked_user_name(request.text("name"))
    user = await set_password(context.metadata, name, checked_password(request.text("password")))
    await _audit(context, request, f"The password of user {name} has been changed")
    return management_answer(_shown(user))


async def change_token(context: Context, request: Request) -> bytes:
    """Change the connection token; connections made with the old one stay."""
    await _check_manager(context, request)
    token = request.text("token")
    if not 1 <= len(token) <= 200 or not token.isascii() or not token.isprintable() or "::" in token:
        raise Refusal("a connection token has 1 to 200 printable characters of ASCII, without ::")
    await context.metadata.connection_token.put(ConnectionToken(token))
    await _audit(context, request, "The connection token has been changed")
    return management_answer()


async def _check_manager(context: Context, request: Request) -> None:
    user = await context.metadata.users.find(request.username) if request.username else None
    if user is not None and user.type == APPLICATION:
        raise Refusal(f"user {user.name} is not allowed to manage users", "forbidden")


async def _audit(context: Context, request: Request, text: str) -> None:
    by = f" by user {request.username}" if request.username else ""
    await context.audit(text + by, username=request.username)


def _permissions(request: Request, kind: str) -> Permissions | None:
    """Return the permissions a request names; none at all is everything, as in Memphis."""
    given = {}
    for name, key in _PERMISSIONS.items():
        patterns = request.texts(key)
        if len(patterns) > _MAX_PATTERNS:
            raise Refusal(f"{key} has more than {_MAX_PATTERNS} entries")
        given[name] = tuple(dict.fromkeys(map(checked_pattern, patterns)))
    if not any(given.values()):
        return None
    if kind != APPLICATION:
        raise Refusal("permissions are for application users")
    return Permissions(**given)


def _details(request: Request) -> dict[str, str]:
    details = {key: request.text(key) for key in _DETAILS if key in request.fields}
    if any(len(text) > _MAX_DETAIL for text in details.values()):
        raise Refusal(f"a user's details have at most {_MAX_DETAIL} characters each")
    return details


def _shown(user: User) -> User:
    """Return a user without the hash of the password, which is nobody's business."""
    return replace(user, password_hash="")


ROUTES = (
    manage("users.add", add),
    manage("users.edit", edit),
    manage("users.remove", remove),
    manage("users.change_password", change_password),
    manage("users.change_token", change_token),
)
