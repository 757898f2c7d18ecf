"""Do on a laptop what the Functions platform does in Azure, over the real `function_app.py`."""

from local.host.blobs import Delivery
from local.host.engine import AppRejected, Function, FunctionFailed, HttpReply
from local.host.platform import Host, open_host
from local.host.settings import SettingsError, load_settings
from local.host.web import serving
from local.host.worker import Worker, open_worker

__all__ = [
    "AppRejected",
    "Delivery",
    "Function",
    "FunctionFailed",
    "Host",
    "HttpReply",
    "SettingsError",
    "Worker",
    "load_settings",
    "open_host",
    "open_worker",
    "serving",
]
