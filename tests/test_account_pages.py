"""The pages account/profile.py and account/users.py in Streamlit's test harness, on real accounts."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from core.accounts.service import Accounts
from core.workspace import Workspace
from pages.components import auth
from pages.components.auth import SignedInUser
from tests.test_pages import at, clicked, opened, texts

__all__ = ["at"]  # the fixture

PASSWORD, OTHER = "orage-violet-tambour-7", "falaise-radis-ocarina-3"


@pytest.fixture
def accounts(at: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Accounts]:
    """Accounts of Ada, an administrator who is signed in, and Ana, an analyst."""
    found = at.accounts
    found.add_user("ada", PASSWORD, ["administrator"])
    found.add_user("ana", PASSWORD, ["analyst"])
    monkeypatch.setattr("pages.components.auth.sign_in_required", lambda: True)
    be(monkeypatch, found, "ada")
    yield found
    found.close()


def be(monkeypatch: pytest.MonkeyPatch, accounts: Accounts, name: str) -> None:
    """Sign in as `name`. The functions that read cookies are replaced: the harness has none."""
    token = accounts.sign_in(name, PASSWORD, "203.0.113.5")

    def person() -> SignedInUser | None:
        session = accounts.session(token)
        return SignedInUser(session.user.name, session.user.roles, session.csrf) if session else None

    monkeypatch.setattr("pages.components.auth.current_user", person)
    monkeypatch.setattr("pages.components.auth.session_token", lambda: token)


def fill(app: AppTest, **values: str) -> AppTest:
    for key, value in values.items():
        app.text_input(key=key.replace("_", "-")).set_value(value)
    return app


def press(app: AppTest, label: str) -> AppTest:
    return next(button for button in app.button if button.label == label).click().run()


def test_the_password_is_changed(at: Workspace, accounts: Accounts) -> None:
    elsewhere = accounts.sign_in("ada", PASSWORD, "203.0.113.6")
    app = press(
        fill(opened("account/profile.py"), password_old=PASSWORD, password_new=OTHER, password_again=OTHER),
        "Change the password",
    )
    assert not app.exception
    assert "The password is changed" in app.success[0].value
    assert accounts.session(elsewhere) is None
    assert accounts.sign_in("ada", OTHER, "203.0.113.6")
    assert [(event.event, event.status, event.user) for event in at.events.read()] == [
        ("account_change", "completed", "ada")
    ]
    assert OTHER not in "".join(path.read_text() for path in at.events.folder.iterdir())


@pytest.mark.parametrize(
    ("old", "new", "again", "reason"),
    [
        ("wrong", OTHER, OTHER, "wrong"),
        (PASSWORD, OTHER, PASSWORD, "not the same"),
        (PASSWORD, "short", "short", "5 characters"),
        (PASSWORD, "password1234", "password1234", "easy to guess"),
    ],
)
def test_a_password_that_is_not_changed_says_why(
    at: Workspace, accounts: Accounts, old: str, new: str, again: str, reason: str
) -> None:
    app = press(
        fill(opened("account/profile.py"), password_old=old, password_new=new, password_again=again),
        "Change the password",
    )
    assert reason in app.error[0].value
    assert not app.success
    assert accounts.sign_in("ada", PASSWORD, "203.0.113.6")


def test_ones_sign_ins_are_shown_and_no_others(at: Workspace, accounts: Accounts) -> None:
    accounts.sign_in("ana", PASSWORD, "198.51.100.1")
    table = opened("account/profile.py").dataframe[0].value
    assert list(table["address"]) == ["203.0.113.5"]
    assert list(table["outcome"]) == ["signed in"]


def test_who_signs_in_elsewhere_has_no_password_here(
    at: Workspace, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts.add_user("eve@example.org", None, ["analyst"])
    monkeypatch.setattr(
        "pages.components.auth.current_user", lambda: SignedInUser("eve@example.org", frozenset({"analyst"}))
    )
    app = opened("account/profile.py")
    assert not app.exception
    assert "no password of yours" in texts(app)
    assert not app.text_input


# ---- page of the users ----------------------------------------------------------------------------------------------


def test_a_user_is_added(at: Workspace, accounts: Accounts) -> None:
    app = press(fill(opened("account/users.py"), new_name="otto", new_password=OTHER), "Add")
    assert not app.exception
    assert not app.error
    assert "otto is added" in app.toast[0].value
    user = accounts.user("otto")
    assert user
    assert (user.roles, user.local) == ({"analyst"}, True)
    assert list(app.dataframe[0].value["name"]) == ["ada", "ana", "otto"]
    assert [event.details.inputs for event in at.events.read()] == [{"change": "added", "account": "otto"}]


def test_a_user_of_the_organisation_has_no_password(at: Workspace, accounts: Accounts) -> None:
    app = opened("account/users.py")
    app.toggle(key="new-local").set_value(False)
    press(fill(app, new_name="eve@example.org"), "Add")
    user = accounts.user("eve@example.org")
    assert user
    assert not user.local


@pytest.mark.parametrize(
    ("name", "password", "reason"),
    [
        ("ana", OTHER, "taken"),
        ("ANA", OTHER, "taken"),
        ("<img src=x onerror=alert(1)>", OTHER, "not accepted"),
        ("../../x", OTHER, "not accepted"),
        ("otto", "", "missing"),
        ("otto", "password1234", "easy to guess"),
        ("", OTHER, "not accepted"),
    ],
)
def test_a_user_that_is_not_added_says_why(
    at: Workspace, accounts: Accounts, name: str, password: str, reason: str
) -> None:
    app = press(fill(opened("account/users.py"), new_name=name, new_password=password), "Add")
    assert not app.exception
    assert reason in app.error[0].value
    assert len(accounts.users()) == 2
    assert at.events.read() == []


def edited(name: str) -> AppTest:
    return opened("account/users.py").selectbox(key="edited").set_value(name).run()


def test_roles_are_given(at: Workspace, accounts: Accounts) -> None:
    app = edited("ana")
    app.multiselect(key="roles ana").set_value(["analyst", "operator"])
    press(app, "Save the roles")
    user = accounts.user("ana")
    assert user
    assert user.roles == {"analyst", "operator"}


def test_a_user_is_disabled_and_enabled(at: Workspace, accounts: Accounts) -> None:
    token = accounts.sign_in("ana", PASSWORD, "")
    app = clicked(edited("ana"), "switch-state")
    assert accounts.session(token) is None
    assert list(app.dataframe[0].value["state"]) == ["active", "disabled"]
    clicked(app, "switch-state")
    assert accounts.sign_in("ana", PASSWORD, "")


def test_a_password_is_reset(at: Workspace, accounts: Accounts) -> None:
    press(fill(edited("ana"), reset_password_to=OTHER), "Set the password")
    assert accounts.sign_in("ana", OTHER, "")


def test_the_last_administrator_cannot_be_taken_away(at: Workspace, accounts: Accounts) -> None:
    app = clicked(edited("ada"), "switch-state")
    assert "last administrator" in app.error[0].value
    app.multiselect(key="roles ada").set_value(["analyst"])
    app = press(app, "Save the roles")
    assert "last administrator" in app.error[0].value
    user = accounts.user("ada")
    assert user
    assert (user.roles, user.disabled) == ({"administrator"}, False)


# ---- users of an identity provider ----------------------------------------------------------------------------------


@pytest.fixture
def vouched(at: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Accounts]:
    """Accounts without users; the identity provider has authenticated Mallory."""
    found = at.accounts
    monkeypatch.setattr("pages.components.auth.sign_in_required", lambda: True)
    monkeypatch.setattr("pages.components.auth.session_token", lambda: "")
    monkeypatch.setattr("pages.components.auth.external_identity", lambda: "mallory@example.org")
    yield found
    found.close()


def test_a_provider_makes_nobody_the_first_user(at: Workspace, vouched: Accounts) -> None:
    """Otherwise the setup token could no longer be used."""
    assert "Nobody can sign in yet" in texts(opened())
    assert vouched.empty()


def test_a_provider_gives_no_role(at: Workspace, vouched: Accounts) -> None:
    vouched.add_user("ada", PASSWORD, ["administrator"])
    assert "An administrator has to give you a role" in texts(opened())
    user = vouched.user("mallory@example.org")
    assert user
    assert user.roles == frozenset()
    opened()
    assert [(event.event, event.user) for event in at.events.read()] == [("sign_in", "mallory@example.org")]


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"email": "eve@example.org", "email_verified": True, "sub": "17"}, "eve@example.org"),
        ({"email": "eve@example.org", "sub": "17"}, "eve@example.org"),
        ({"email": "eve@example.org", "email_verified": False, "sub": "17"}, "17"),
        ({"sub": "17"}, "17"),
        ({}, ""),
    ],
)
def test_what_a_provider_calls_people(monkeypatch: pytest.MonkeyPatch, claims: dict[str, object], name: str) -> None:
    monkeypatch.setattr(auth.st, "user", SimpleNamespace(is_logged_in=True, to_dict=lambda: claims))
    assert auth.external_identity() == name
