"""A server to try and test against, since the vendor has none.

>>> async with Sandbox(accounts=3) as sandbox, sandbox.client() as client:
...     callflows = await client.callflows.list(sandbox.root_id).to_list()
"""

from ._faults import Faults
from ._server import Sandbox

__all__ = ["Faults", "Sandbox"]
