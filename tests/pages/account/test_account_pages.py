"""The pages account/profile.py and account/users.py in Streamlit's test harness, on real accounts."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from core.accounts.service import Accounts
from core.workspace import Workspace
from pages.components import auth
from pages.components.auth import SignedInUser
from tests.support.app_pages import click_button, open_page, read_page_text

PASSWORD, NEW_PASSWORD = "orage-violet-tambour-7", "falaise-radis-ocarina-3"
HOME_PAGE = "home/home.py"


@pytest.fixture
def accounts(page_workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Accounts]:
    """Accounts of Ada, an administrator who is signed in, and Ana, an analyst."""
    service = page_workspace.accounts
    service.add_user("ada", PASSWORD, ["administrator"])
    service.add_user("ana", PASSWORD, ["analyst"])
    monkeypatch.setattr("pages.components.auth.is_sign_in_required", lambda: True)
    sign_in_as(monkeypatch, service, "ada")
    yield service
    service.close()


def sign_in_as(monkeypatch: pytest.MonkeyPatch, accounts: Accounts, name: str) -> None:
    """Sign in as `name`. The functions that read cookies are replaced: the harness has none."""
    token = accounts.sign_in(name, PASSWORD, "203.0.113.5")

    def get_user() -> SignedInUser | None:
        session = accounts.find_session(token)
        return SignedInUser(session.user.name, session.user.roles, session.csrf) if session else None

    monkeypatch.setattr("pages.components.auth.current_user", get_user)
    monkeypatch.setattr("pages.components.auth.session_token", lambda: token)


def fill(app: AppTest, **values: str) -> AppTest:
    for key, value in values.items():
        app.text_input(key=key.replace("_", "-")).set_value(value)
    return app


def press(app: AppTest, label: str) -> AppTest:
    return next(button for button in app.button if button.label == label).click().run()


def test_profile_page_changes_password(page_workspace: Workspace, accounts: Accounts) -> None:
    elsewhere = accounts.sign_in("ada", PASSWORD, "203.0.113.6")
    app = press(
        fill(
            open_page("account/profile.py"),
            password_old=PASSWORD,
            password_new=NEW_PASSWORD,
            password_again=NEW_PASSWORD,
        ),
        "Change the password",
    )
    assert not app.exception
    assert "The password is changed" in app.success[0].value
    assert accounts.find_session(elsewhere) is None
    assert accounts.sign_in("ada", NEW_PASSWORD, "203.0.113.6")
    assert [(event.event, event.status, event.user) for event in page_workspace.events.read_events()] == [
        ("account_change", "completed", "ada")
    ]
    assert NEW_PASSWORD not in "".join(path.read_text() for path in page_workspace.events.folder.iterdir())


@pytest.mark.parametrize(
    ("old", "new", "again", "reason"),
    [
        ("wrong", NEW_PASSWORD, NEW_PASSWORD, "wrong"),
        (PASSWORD, NEW_PASSWORD, PASSWORD, "The two passwords do not match"),
        (PASSWORD, "short", "short", "5 characters"),
        (PASSWORD, "password1234", "password1234", "easy to guess"),
    ],
)
def test_profile_page_explains_refused_password(
    page_workspace: Workspace, accounts: Accounts, old: str, new: str, again: str, reason: str
) -> None:
    app = press(
        fill(open_page("account/profile.py"), password_old=old, password_new=new, password_again=again),
        "Change the password",
    )
    assert reason in app.error[0].value
    assert not app.success
    assert accounts.sign_in("ada", PASSWORD, "203.0.113.6")


def test_profile_page_lists_own_sign_ins_only(page_workspace: Workspace, accounts: Accounts) -> None:
    accounts.sign_in("ana", PASSWORD, "198.51.100.1")
    table = open_page("account/profile.py").dataframe[0].value
    assert list(table["address"]) == ["203.0.113.5"]
    assert list(table["outcome"]) == ["signed in"]


def test_profile_page_hides_password_of_provider_user(
    page_workspace: Workspace, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    accounts.add_user("eve@example.org", None, ["analyst"])
    monkeypatch.setattr(
        "pages.components.auth.current_user", lambda: SignedInUser("eve@example.org", frozenset({"analyst"}))
    )
    app = open_page("account/profile.py")
    assert not app.exception
    assert "Vigie stores no password for you" in read_page_text(app)
    assert not app.text_input


# ---- page of the users ----------------------------------------------------------------------------------------------


def test_users_page_adds_user(page_workspace: Workspace, accounts: Accounts) -> None:
    app = press(fill(open_page("account/users.py"), new_name="otto", new_password=NEW_PASSWORD), "Add")
    assert not app.exception
    assert not app.error
    assert "otto is added" in app.toast[0].value
    user = accounts.find_user("otto")
    assert user
    assert (user.roles, user.local) == ({"analyst"}, True)
    assert list(app.dataframe[0].value["name"]) == ["ada", "ana", "otto"]
    assert [event.details.inputs for event in page_workspace.events.read_events()] == [
        {"change": "added", "account": "otto"}
    ]


def test_users_page_adds_provider_user_without_password(page_workspace: Workspace, accounts: Accounts) -> None:
    app = open_page("account/users.py")
    app.toggle(key="new-local").set_value(False)
    press(fill(app, new_name="eve@example.org"), "Add")
    user = accounts.find_user("eve@example.org")
    assert user
    assert not user.local


@pytest.mark.parametrize(
    ("name", "password", "reason"),
    [
        ("ana", NEW_PASSWORD, "taken"),
        ("ANA", NEW_PASSWORD, "taken"),
        ("<img src=x onerror=alert(1)>", NEW_PASSWORD, "not accepted"),
        ("../../x", NEW_PASSWORD, "not accepted"),
        ("otto", "", "missing"),
        ("otto", "password1234", "easy to guess"),
        ("", NEW_PASSWORD, "not accepted"),
    ],
)
def test_users_page_explains_refused_user(
    page_workspace: Workspace, accounts: Accounts, name: str, password: str, reason: str
) -> None:
    app = press(fill(open_page("account/users.py"), new_name=name, new_password=password), "Add")
    assert not app.exception
    assert reason in app.error[0].value
    assert len(accounts.list_users()) == 2
    assert page_workspace.events.read_events() == []


def select_user(name: str) -> AppTest:
    return open_page("account/users.py").selectbox(key="edited").set_value(name).run()


def test_users_page_sets_roles(page_workspace: Workspace, accounts: Accounts) -> None:
    app = select_user("ana")
    app.multiselect(key="roles ana").set_value(["analyst", "operator"])
    press(app, "Save the roles")
    user = accounts.find_user("ana")
    assert user
    assert user.roles == {"analyst", "operator"}


def test_users_page_disables_and_enables_user(page_workspace: Workspace, accounts: Accounts) -> None:
    token = accounts.sign_in("ana", PASSWORD, "")
    app = click_button(select_user("ana"), "switch-state")
    assert accounts.find_session(token) is None
    assert list(app.dataframe[0].value["state"]) == ["active", "disabled"]
    click_button(app, "switch-state")
    assert accounts.sign_in("ana", PASSWORD, "")


def test_users_page_resets_password(page_workspace: Workspace, accounts: Accounts) -> None:
    press(fill(select_user("ana"), reset_password_to=NEW_PASSWORD), "Set the password")
    assert accounts.sign_in("ana", NEW_PASSWORD, "")


def test_users_page_protects_last_administrator(page_workspace: Workspace, accounts: Accounts) -> None:
    app = click_button(select_user("ada"), "switch-state")
    assert "last administrator" in app.error[0].value
    app.multiselect(key="roles ada").set_value(["analyst"])
    app = press(app, "Save the roles")
    assert "last administrator" in app.error[0].value
    user = accounts.find_user("ada")
    assert user
    assert (user.roles, user.disabled) == ({"administrator"}, False)


# ---- users of an identity provider ----------------------------------------------------------------------------------


@pytest.fixture
def provider_accounts(page_workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Accounts]:
    """Accounts without users; the identity provider has authenticated Mallory."""
    service = page_workspace.accounts
    monkeypatch.setattr("pages.components.auth.is_sign_in_required", lambda: True)
    monkeypatch.setattr("pages.components.auth.session_token", lambda: "")
    monkeypatch.setattr("pages.components.auth.external_identity", lambda: "mallory@example.org")
    yield service
    service.close()


def test_identity_provider_creates_no_first_user(page_workspace: Workspace, provider_accounts: Accounts) -> None:
    """Otherwise the setup token could no longer be used."""
    assert "No user exists yet" in read_page_text(open_page(HOME_PAGE))
    assert provider_accounts.is_empty()


def test_identity_provider_grants_no_role(page_workspace: Workspace, provider_accounts: Accounts) -> None:
    provider_accounts.add_user("ada", PASSWORD, ["administrator"])
    assert "Ask an administrator for one" in read_page_text(open_page(HOME_PAGE))
    user = provider_accounts.find_user("mallory@example.org")
    assert user
    assert user.roles == frozenset()
    open_page(HOME_PAGE)
    assert [(event.event, event.user) for event in page_workspace.events.read_events()] == [
        ("sign_in", "mallory@example.org")
    ]


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
def test_identity_provider_claims_give_user_name(
    monkeypatch: pytest.MonkeyPatch, claims: dict[str, object], name: str
) -> None:
    monkeypatch.setattr(auth.st, "user", SimpleNamespace(is_logged_in=True, to_dict=lambda: claims))
    assert auth.external_identity() == name
