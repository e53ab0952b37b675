"""The options that the plugin adds, as pytest's own parser reads them."""

import pytest

from vlmgate.plugin.options import add_options


@pytest.fixture
def parse(pytestconfig):
    def read(*words):
        parser = pytest.Parser(_ispytest=True)
        add_options(parser)
        return parser.parse_known_args(list(words))

    return read


def test_defaults_ask_for_the_default_tier_until_decided(parse):
    options = parse()
    assert (options.vlmgate_tier, options.vlmgate_blocks, options.vlmgate_strict) == ("default", None, False)


@pytest.mark.parametrize("words", [("--blocks", "0"), ("--blocks", "1.5"), ("--time-budget", "-3"), ("--rounds", "many")])
def test_numbers_are_above_zero(parse, words):
    with pytest.raises((SystemExit, pytest.UsageError)):
        parse(*words)


def test_numbers_are_read(parse):
    options = parse("--blocks", "7", "--time-budget", "2.5")
    assert (options.vlmgate_blocks, options.vlmgate_time_budget) == (7, 2.5)
