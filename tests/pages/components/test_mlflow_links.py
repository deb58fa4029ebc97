"""Links to MLflow tell what to do where they may lead nowhere."""

import pytest

from pages.components.mlflow_links import explain_address


def test_link_to_a_container_names_its_port_and_the_setting() -> None:
    text = explain_address("http://0.0.0.0:5003/#/experiments/1")
    assert text is not None
    assert "port 5003" in text
    assert "MLFLOW_PUBLIC_URI" in text


@pytest.mark.parametrize("url", ["", "http://127.0.0.1:5000/#/", "https://mlflow.example.org/#/experiments/1"])
def test_link_with_a_known_address_needs_no_help(url: str) -> None:
    assert explain_address(url) is None
