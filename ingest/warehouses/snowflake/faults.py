"""What Snowflake's errors mean: for whom they are, whether trying again at once may help, and the way out, by table.

Sources: the connector's `errorcode` and `network` modules for 25xxxx and 39xxxx; Snowflake's pages "COPY INTO <table>",
"Transactions" and "Parameters" for the rest. An error in no table is retryable: a file is only rejected for an error
that is known to be about its data. Messages of errors about data are never passed on, for they hold values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from snowflake.connector import errors

from ingest.errors import BatchRefused, IngestError, WarehouseUnavailable


class Verdict(Enum):
    """Who has to act."""

    AGAIN = auto()
    """Nobody: trying again at once may help."""
    LATER = auto()
    """Somebody, or time: this invocation leaves, the next one tries again."""
    DATA = auto()
    """The data of some file does not fit."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What an error number means."""

    verdict: Verdict
    hint: str = ""


class Trouble(WarehouseUnavailable):
    """Snowflake did not do what it was asked; `number` is its error number, if it gave one."""

    def __init__(self, what: str, *, hint: str = "", number: int | None = None, transient: bool = True) -> None:
        super().__init__(what, hint=hint)
        self.number = number
        self.transient = transient


MISSING = 2003
"""Does not exist, or the role may not see it."""

_DOCTOR = "Ask `python -m ingest doctor`, which prints the SQL that mends it."
_SIGN_IN = f"Look at the user and its key, identity or token. {_DOCTOR}"
_AGAIN = Fault(Verdict.AGAIN)
_DATA = Fault(Verdict.DATA)

BY_NUMBER: Mapping[int, Fault] = {
    # The session or its token is over: a new connection signs in anew.
    390111: _AGAIN,  # session no longer exists
    390112: _AGAIN,  # session token expired
    390113: _AGAIN,  # master token not found
    390114: _AGAIN,  # master token expired
    390115: _AGAIN,  # master token invalid
    390195: _AGAIN,  # identity token invalid
    390318: Fault(Verdict.LATER, "The OAuth access token has expired: put a new one into SNOWFLAKE_TOKEN."),
    390303: Fault(Verdict.LATER, "The OAuth access token is not valid: put a new one into SNOWFLAKE_TOKEN."),
    # Signing in
    390100: Fault(Verdict.LATER, _SIGN_IN),
    390144: Fault(Verdict.LATER, f"The key pair does not fit the user's public key. {_SIGN_IN}"),
    390146: Fault(Verdict.LATER, _SIGN_IN),
    390186: Fault(Verdict.LATER, f"The role is not granted to the user. {_DOCTOR}"),
    390189: Fault(Verdict.LATER, f"The role does not exist, or is not granted to the user. {_DOCTOR}"),
    390420: Fault(Verdict.LATER, "Snowflake's network policy refuses this address."),
    390422: Fault(Verdict.LATER, "Snowflake's network policy refuses this address."),
    250001: Fault(Verdict.AGAIN, "Look at SNOWFLAKE_ACCOUNT and at the network if this lasts."),
    250003: _AGAIN,  # the request failed in the network
    250005: _AGAIN,  # sign-in did not answer in time
    250007: _AGAIN,  # the service did not answer
    # Running
    604: _AGAIN,  # the statement was cancelled
    606: Fault(Verdict.LATER, f"No virtual warehouse is active: look at SNOWFLAKE_WAREHOUSE. {_DOCTOR}"),
    608: _AGAIN,  # the warehouse was suspended
    609: _AGAIN,  # the warehouse cannot be resumed just now
    610: _AGAIN,  # the warehouse is starting
    625: _AGAIN,  # another transaction holds the lock
    627: _AGAIN,  # transaction aborted
    629: _AGAIN,  # transaction aborted
    630: Fault(Verdict.AGAIN, "A statement reached its time-out: a larger warehouse, or smaller batches, help."),
    90073: Fault(Verdict.LATER, "A resource monitor has suspended the warehouse."),
    90105: Fault(Verdict.LATER, f"The database cannot be used: look at SNOWFLAKE_DATABASE. {_DOCTOR}"),
    603: _AGAIN,  # an internal error of Snowflake's
    MISSING: Fault(Verdict.LATER, _DOCTOR),
    2043: Fault(Verdict.LATER, _DOCTOR),  # does not exist, or the operation cannot be performed
    3001: Fault(Verdict.LATER, f"The role lacks a privilege. {_DOCTOR}"),
    # A stage that cannot be read, through an integration that is gone or not consented to
    3167: Fault(Verdict.LATER, f"The storage integration cannot be used. {_DOCTOR}"),
    100016: _DATA,  # a file cannot be read
    # Values
    100035: _DATA,  # not an instant
    100037: _DATA,  # not a boolean
    100038: _DATA,  # not a number
    100039: _DATA,  # number out of range
    100046: _DATA,  # number out of the representable range
    100069: _DATA,  # cannot be parsed
    100071: _DATA,  # a variant that cannot be cast
    100072: _DATA,  # NULL in a column that takes none
    100078: _DATA,  # text too long
    100080: _DATA,  # another number of columns
    100090: Fault(Verdict.LATER, "A key came twice in one merge: this is a fault of the ingestor, please report it."),
    100132: _DATA,
    100145: _DATA,  # not parquet
    100183: _DATA,
}

BY_CLASS: Mapping[type[errors.Error], Fault] = {
    errors.OperationalError: _AGAIN,
    errors.InterfaceError: _AGAIN,
    errors.HttpError: _AGAIN,
    errors.InternalError: _AGAIN,
    errors.InternalServerError: _AGAIN,
    errors.ServiceUnavailableError: _AGAIN,
    errors.GatewayTimeoutError: _AGAIN,
    errors.RequestTimeoutError: _AGAIN,
    errors.BadGatewayError: _AGAIN,
    errors.TooManyRequests: _AGAIN,
    errors.OtherHTTPRetryableError: _AGAIN,
    errors.RequestExceedMaxRetryError: _AGAIN,
    errors.TokenExpiredError: _AGAIN,
    errors.RefreshTokenError: _AGAIN,
    errors.PresignedUrlExpiredError: _AGAIN,
    errors.BindUploadError: _AGAIN,
    errors.RevocationCheckError: Fault(Verdict.LATER, "The server's certificate could not be checked."),
    errors.NonRetryableTlsError: Fault(
        Verdict.LATER, "The connection cannot be trusted: look at proxies and certificates."
    ),
    errors.ForbiddenError: Fault(Verdict.LATER, _SIGN_IN),
    errors.MethodNotAllowed: Fault(Verdict.LATER),
    errors.BadRequest: Fault(Verdict.LATER),
    errors.MissingDependencyError: Fault(Verdict.LATER, "A Python package is missing: install requirements.txt."),
    errors.ConfigSourceError: Fault(Verdict.LATER, "Look at the connector's own configuration file."),
    errors.ConfigManagerError: Fault(Verdict.LATER, "Look at the connector's own configuration file."),
    errors.ProgrammingError: Fault(Verdict.LATER),
    errors.IntegrityError: Fault(Verdict.LATER),
    errors.DataError: Fault(Verdict.LATER),
    errors.NotSupportedError: Fault(Verdict.LATER),
    errors.DatabaseError: Fault(Verdict.LATER),
}
"""For errors whose number is in no table; the nearest class counts."""


def fault_of(error: errors.Error) -> Fault:
    """Look an error up, by its number and else by its class."""
    by_number = BY_NUMBER.get(error.errno if error.errno is not None else -1)
    if by_number is not None:
        return by_number
    return next((BY_CLASS[kind] for kind in type(error).__mro__ if kind in BY_CLASS), Fault(Verdict.LATER))


def translated(error: errors.Error, doing: str) -> IngestError:
    """Return an error of the connector's as one of ours. `doing` says what was asked, without values."""
    fault = fault_of(error)
    number = f"error {error.errno:06d}" if error.errno is not None and error.errno > 0 else type(error).__name__
    what = f"Snowflake failed with {number} to {doing}."
    if fault.verdict is Verdict.DATA:
        return BatchRefused(what)
    return Trouble(what, hint=fault.hint, number=error.errno, transient=fault.verdict is Verdict.AGAIN)
