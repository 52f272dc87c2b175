"""A local server that behaves like Vinix, for trying out and testing code. The vendor itself offers no sandbox.

>>> async with Sandbox(accounts=3) as sandbox, sandbox.client() as client:
...     callflows = await client.callflows.list(sandbox.root_id).to_list()
"""

from .faults import Faults
from .http_handler import RecordedRequest
from .outages import Outage
from .server import Sandbox

__all__ = ["Faults", "Outage", "RecordedRequest", "Sandbox"]
