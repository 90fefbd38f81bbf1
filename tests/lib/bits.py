"""bits.py - float32 values as bits, and the shortest decimal, by a rule that shares nothing with the code under test

The bits of a decimal are those of the C library's strtof, which rounds correctly. A decimal is the shortest when no decimal with
fewer significant digits gives back the same bits; for each number of digits only the two neighbours of the exact value can.
"""
import ctypes
import decimal
import json
import struct

_strtof = ctypes.CDLL(None).strtof
_strtof.argtypes = [ctypes.c_char_p, ctypes.c_void_p]
_strtof.restype = ctypes.c_float

MOST_DIGITS = 9


def of(text):
    """Bits of the float32 nearest to a decimal."""
    return struct.unpack("<I", struct.pack("<f", _strtof(str(text).encode(), None)))[0]


def of_hex(text):
    """Bits written as eight hexadecimal digits, with or without 0x."""
    return int(text, 16)


def value(bit_pattern):
    return struct.unpack("<f", struct.pack("<I", bit_pattern))[0]


def digits(text):
    """Number of significant digits of a decimal as it is written, zeros at either end left out."""
    return max(1, len("".join(str(digit) for digit in decimal.Decimal(text).as_tuple().digits).strip("0")))


def fewest_digits(bit_pattern):
    """The least number of significant digits that gives back the float32."""
    exact = decimal.Decimal(value(bit_pattern))
    for count in range(1, MOST_DIGITS + 1):
        for rounding in (decimal.ROUND_FLOOR, decimal.ROUND_CEILING):
            if of(decimal.Context(prec=count, rounding=rounding).plus(exact)) == bit_pattern:
                return count
    raise AssertionError(f"{exact} takes more than {MOST_DIGITS} digits")


class Number(str):
    """A number of a JSON text, as it was written."""


def loads(text):
    """JSON with every number left as its text."""
    return json.loads(text, parse_float=Number, parse_int=Number, parse_constant=refuse)


def refuse(constant):
    raise AssertionError(f"{constant} is not JSON")


def of_all(values):
    """The bits of numbers, and of numbers in lists; None stays None."""
    if isinstance(values, list):
        return [of_all(item) for item in values]
    return None if values is None else of(values)


def flat(values):
    """All numbers of a list of numbers or of lists of numbers."""
    return [number for item in values for number in (flat(item) if isinstance(item, list) else [item])]
