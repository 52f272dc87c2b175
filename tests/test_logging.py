"""VINIX_LOG."""

import logging
from collections.abc import Iterator

import pytest
from vinix_async._pipeline.log import configure_logging, logger

from vinix_async import ConfigurationError, VinixClient


@pytest.fixture(autouse=True)
def bare_logger() -> Iterator[None]:
    before = logger.level, list(logger.handlers)
    logger.handlers.clear()
    logger.setLevel(logging.NOTSET)
    yield
    logger.handlers[:] = before[1]
    logger.setLevel(before[0])


@pytest.mark.parametrize(("name", "level"), [("info", logging.INFO), ("DEBUG", logging.DEBUG)])
def test_the_variable_sends_the_log_to_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, level: int
) -> None:
    monkeypatch.setenv("VINIX_LOG", name)
    for _ in range(3):
        VinixClient(auth="a-token")
    assert (logger.level, len(logger.handlers)) == (level, 1)
    logger.info("hello")
    assert capsys.readouterr().err.endswith("INFO vinix_async: hello\n")


def test_without_it_logging_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VINIX_LOG", raising=False)
    configure_logging()
    assert (logger.level, logger.handlers) == (logging.NOTSET, [])


def test_another_value_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VINIX_LOG", "loud")
    with pytest.raises(ConfigurationError, match="info or debug"):
        VinixClient(auth="a-token")
