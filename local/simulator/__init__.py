"""A faithful, seeded simulator of Customer.io's exports, which knows the truth about them."""

from local.simulator.files import Expected, ExportFile, Misbehaviour, Sync
from local.simulator.physical import FORMS, PLAIN, Physical
from local.simulator.schemas import DATASETS, KEYS, SCHEMAS
from local.simulator.simulator import Simulator

__all__ = [
    "DATASETS",
    "FORMS",
    "KEYS",
    "PLAIN",
    "SCHEMAS",
    "Expected",
    "ExportFile",
    "Misbehaviour",
    "Physical",
    "Simulator",
    "Sync",
]
