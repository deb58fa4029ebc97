"""The tables of accounts; `migrations/` makes them, and a test holds the two together."""

from datetime import UTC, datetime

from sqlalchemy import DateTime, ForeignKey, Index, MetaData, String
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator
from typing_extensions import override

HEAD = "0001"  # the newest migration

OF_USER = "users.id"


class Moment(TypeDecorator[datetime]):
    """A time in UTC; SQLite keeps no zone, so it is put back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    @override
    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    @override
    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """What the tables share: names of keys and constraints."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ix": "ix_%(table_name)s_%(column_0_name)s",
        }
    )


class UserRow(Base):
    """A user: the name as written, and folded for look-ups."""

    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    key: Mapped[str] = mapped_column(String(400), unique=True)  # case folded, which may lengthen it
    disabled: Mapped[bool]
    created: Mapped[datetime] = mapped_column(Moment)
    credential: Mapped["CredentialRow | None"] = relationship(lazy="joined", cascade="all, delete-orphan")
    roles: Mapped[list["RoleRow"]] = relationship(lazy="selectin", cascade="all, delete-orphan")


class CredentialRow(Base):
    """The hash of a user's password."""

    __tablename__ = "credentials"

    user_id: Mapped[int] = mapped_column(ForeignKey(OF_USER, ondelete="CASCADE"), primary_key=True)
    hash: Mapped[str] = mapped_column(String(200))
    changed: Mapped[datetime] = mapped_column(Moment)


class RoleRow(Base):
    """A role of a user, and who granted it."""

    __tablename__ = "roles"

    user_id: Mapped[int] = mapped_column(ForeignKey(OF_USER, ondelete="CASCADE"), primary_key=True)
    role: Mapped[str] = mapped_column(String(20), primary_key=True)
    granted_by: Mapped[str] = mapped_column(String(100))
    granted: Mapped[datetime] = mapped_column(Moment)


class SignInRow(Base):
    """An attempt. `typed` is a hash of the name that was typed; without a user it is kept as long as it counts."""

    __tablename__ = "sign_ins"
    __table_args__ = (Index(None, "typed", "time"), Index(None, "origin", "time"), Index(None, "time"))

    id: Mapped[int] = mapped_column(primary_key=True)
    time: Mapped[datetime] = mapped_column(Moment)
    success: Mapped[bool]
    address: Mapped[str] = mapped_column(String(64))
    origin: Mapped[str] = mapped_column(String(64))  # what is counted: the address, or the network of an IPv6 address
    typed: Mapped[str | None] = mapped_column(String(64))
    user_id: Mapped[int | None] = mapped_column(ForeignKey(OF_USER, ondelete="CASCADE"), index=True)
    user: Mapped[UserRow | None] = relationship(lazy="joined")


class SessionRow(Base):
    """A session under the SHA-256 of its token, which nobody but the browser has."""

    __tablename__ = "sessions"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey(OF_USER, ondelete="CASCADE"), index=True)
    created: Mapped[datetime] = mapped_column(Moment)
    expires: Mapped[datetime] = mapped_column(Moment, index=True)
    address: Mapped[str] = mapped_column(String(64))
    user: Mapped[UserRow] = relationship(lazy="joined")
