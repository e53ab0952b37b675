"""The fixed words read as they are written, and an error that users can mend is an error."""

from vlmgate.spec import Outcome, VlmgateError, words


def test_a_word_is_its_own_text():
    assert f"{Outcome.WAIVED}" == "waived"
    assert Outcome("pass") is Outcome.PASS


def test_the_package_hands_on_the_same_words():
    assert words.Outcome is Outcome and issubclass(words.VlmgateError, Exception) and words.VlmgateError is VlmgateError
