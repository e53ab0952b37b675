"""The suite judged by itself: a bank of real blocks, its noise, and changes made on purpose that the gate must see."""

from vlmgate.selftest.bank import Bank, Entry, read_bank, write_bank
from vlmgate.selftest.recording import record_blocks

__all__ = ["Bank", "Entry", "read_bank", "record_blocks", "write_bank"]
