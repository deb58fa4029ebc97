"""The background work of the app without its pages: `python -m tests.support.app_lifespan`, until SIGTERM."""

import asyncio
import signal

from core.lifespan import lifespan


async def run_until_terminated() -> None:
    """Run deliveries and the embedded worker until SIGTERM."""
    terminated = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminated.set)
    async with lifespan(None):
        await terminated.wait()


if __name__ == "__main__":
    asyncio.run(run_until_terminated())
