"""Reads a safetensors file by the published format, with Python's standard library alone. Prints the name, type, shape and
CRC-32 of each tensor, then the metadata. Fails if the file deviates from the format.

https://github.com/huggingface/safetensors#format
"""
import json
import math
import struct
import sys
import zlib

SIZES = {"F64": 8, "I64": 8, "F32": 4, "I32": 4, "F16": 2, "BF16": 2, "U8": 1}

content = open(sys.argv[1], "rb").read()
(length,) = struct.unpack("<Q", content[:8])
header, data = content[8:8 + length], content[8 + length:]
assert header[:1] == b"{" and header.rstrip(b" ")[-1:] == b"}" and length % 8 == 0, "the header or its padding"
entries = json.loads(header)
metadata = entries.pop("__metadata__", {})
at = 0
for name, entry in sorted(entries.items(), key=lambda item: item[1]["data_offsets"]):
    begin, end = entry["data_offsets"]
    size = SIZES[entry["dtype"]]
    assert begin == at and end - begin == size * math.prod(entry["shape"]) and begin % size == 0, name
    print(name, entry["dtype"], entry["shape"], zlib.crc32(data[begin:end]))
    at = end
assert at == len(data), "bytes follow the last tensor"
for key, value in sorted(metadata.items()):
    print(key, value)
