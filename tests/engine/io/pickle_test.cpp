#include "engine/io/pickle.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

#include "kernels/runtime/check.h"
#include "tests/paths.h"
#include "tests/temporary_folder.h"

namespace tdds {
namespace {

using Kind = PickleValue::Kind;
using namespace std::string_literals;

std::string from_hex(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2)
    bytes += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  return bytes;
}

// pickle.dumps of CPython 3.11 and numpy 2.4, protocols 3 and 4, of
// {b'data': np.arange(6, dtype=np.uint8).reshape(2, 3), b'labels': [3, 300, -1, 70000, 2**40],
//  b'names': ('a', 'é'), b'ok': True, b'none': None}
constexpr std::string_view kProtocol3 =
    "80037d7100284304646174617101636e756d70792e5f636f72652e6d756c746961727261790a5f7265636f6e7374727563740a71"
    "02636e75"
    "6d70790a6e6461727261790a71034b008571044301627105877106527107284b014b024b03867108636e756d70790a6474797065"
    "0a710958"
    "020000007531710a898887710b52710c284b0358010000007c710d4e4e4e4affffffff4affffffff4b0074710e62894306000102"
    "03040571"
    "0f7471106243066c6162656c7371115d7112284b034d2c014affffffff4a701101008a060000000000016543056e616d65737113"
    "58010000"
    "006171145802000000c3a9711586711643026f6b7117884304"
    "6e6f6e6571184e752e";
constexpr std::string_view kProtocol4 =
    "800495e1000000000000007d9428430464617461948c166e756d70792e5f636f72652e6d756c74696172726179948c0c5f726563"
    "6f6e7374"
    "727563749493948c056e756d7079948c076e6461727261799493944b0085944301629487945294284b014b024b03869468058c05"
    "64747970"
    "659493948c02753194898887945294284b038c017c944e4e4e4affffffff4affffffff4b00749462894306000102030405947494"
    "6243066c"
    "6162656c73945d94284b034d2c014affffffff4a701101008a060000000000016543056e616d6573948c0161948c02c3a9948694"
    "43026f6b"
    "948843046e6f6e65944e752e";

// {'data': uint8 [[0, 92, 39]], 'labels': [6, 9]} in protocol 0, written by Python 2 and numpy 1.
const std::string kProtocol0 =
    "(dp1\nS'data'\np2\ncnumpy.core.multiarray\n_reconstruct\np3\n(cnumpy\nndarray\np4\n(I0\ntS'b'\ntRp5\n("
    "I1\n(I1\n"
    "I3\ntcnumpy\ndtype\np6\n(S'u1'\nI0\nI1\ntRp7\n(I3\nS'|'\nNNNI-1\nI-1\nI0\ntbI00\nS\"\\x00\\\\'\"\ntbsS'"
    "labels'\n"
    "p8\n(lp9\nI6\naI9\nas.";

TEST(PickleTest, ReadsWhatPython3Writes) {
  for (const std::string_view hex : {kProtocol3, kProtocol4}) {
    const std::string bytes = from_hex(hex);
    const PickleDocument document(bytes, "f");
    const PickleValue& root = document.root();
    const PickleValue* data = root.find("data");
    ASSERT_NE(data, nullptr);
    ASSERT_EQ(data->kind, Kind::kArray);
    EXPECT_EQ(data->dtype, "u1");
    EXPECT_EQ(data->shape, (std::vector<std::int64_t>{2, 3}));
    EXPECT_EQ(data->data, "\x00\x01\x02\x03\x04\x05"s);
    const PickleValue* labels = root.find("labels");
    ASSERT_EQ(labels->items.size(), 5u);
    const std::int64_t expected[] = {3, 300, -1, 70000, std::int64_t{1} << 40};
    for (int i = 0; i < 5; ++i) EXPECT_EQ(labels->items[i]->number, expected[i]);
    EXPECT_EQ(root.find("names")->kind, Kind::kTuple);
    EXPECT_EQ(root.find("names")->items[1]->text, "\xc3\xa9");
    EXPECT_EQ(root.find("ok")->number, 1);
    EXPECT_EQ(root.find("none")->kind, Kind::kNone);
    EXPECT_EQ(root.find("absent"), nullptr);
  }
}

TEST(PickleTest, ReadsWhatPython2Wrote) {
  const PickleDocument document(kProtocol0, "f");
  const PickleValue* data = document.root().find("data");
  ASSERT_NE(data, nullptr);
  EXPECT_EQ(data->shape, (std::vector<std::int64_t>{1, 3}));
  EXPECT_EQ(data->data, "\x00\\'"s);
  EXPECT_EQ(document.root().find("labels")->items[1]->number, 9);
}

void expect_error(const std::string& bytes, const std::string& reason) {
  try {
    PickleDocument document(bytes, "f");
    ADD_FAILURE() << "accepted; expected: " << reason;
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find(reason), std::string::npos) << error.what();
  }
}

std::string golden_pickle(const std::string& name) {
  return test::read_text(golden_path("pickles/" + name + ".pkl"));
}

std::vector<std::string> golden_pickles() {
  std::vector<std::string> names;
  for (const int numpy : {1, 2})
    for (int protocol = 0; protocol <= 5; ++protocol)
      for (const char* keys : {"bytes", "text"})
        names.push_back(fmt::format("numpy{}_protocol{}_{}", numpy, protocol, keys));
  return names;
}

// The value of tests/golden/make_pickles.py. Before protocol 3, its byte strings are calls.
TEST(PickleTest, ReadsEveryProtocolOfPython3) {
  for (const std::string& name : golden_pickles()) {
    SCOPED_TRACE(name);
    const std::string bytes = golden_pickle(name);
    const PickleDocument document(bytes, name);
    const PickleValue& root = document.root();
    const PickleValue *data = root.find("data"), *empty = root.find("empty");
    ASSERT_TRUE(data && empty && data->kind == Kind::kArray && empty->kind == Kind::kArray);
    EXPECT_EQ(data->dtype, "u1");
    EXPECT_EQ(data->shape, (std::vector<std::int64_t>{2, 6}));
    EXPECT_EQ(data->data, "\x00\n\r\x1a\\\x7f'\x80\xc8\xfa\xfe\xff"s);
    EXPECT_EQ(empty->shape, (std::vector<std::int64_t>{0, 6}));
    std::vector<std::int64_t> labels;
    for (const PickleValue* label : root.find("labels")->items) labels.push_back(label->number);
    EXPECT_EQ(labels, (std::vector<std::int64_t>{3, 300, -1, 70000, std::int64_t{1} << 40}));
    std::vector<std::string_view> files;
    for (const PickleValue* file : root.find("filenames")->items) files.push_back(file->text);
    const bool of_bytes = name.ends_with("bytes");
    EXPECT_EQ(files,
              (std::vector<std::string_view>{"a\\b.png", of_bytes ? "caf\xe9\n" : "caf\xc3\xa9\n", ""}));
    EXPECT_EQ(root.find("batch_label")->text, "training batch 1 of 5");
    EXPECT_EQ(root.find("ok")->number, 1);
    EXPECT_EQ(root.find("none")->kind, Kind::kNone);
  }
}

TEST(PickleTest, BuffersOutsideTheFileAreRefusedByName) {
  for (const char* name : {"numpy1_protocol5_out_of_band", "numpy2_protocol5_out_of_band"})
    expect_error(golden_pickle(name), "refers to buffers outside the file");
  expect_error("\x80\x05\x97\x98."s, "refers to buffers outside the file");
}

TEST(PickleTest, AnEscapedByteHasTwoHexadecimalDigits) {
  const std::string digits = "0123456789abcdefABCDEF";
  for (int code = 0; code < 256; ++code) {
    const char c = static_cast<char>(code);
    if (c == '\n') continue;  // ends the string
    const std::string first = "S'\\x"s + c + "3'\n.", second = "S'\\x3"s + c + "'\n.";
    const std::size_t at = digits.find(c);
    if (at == std::string::npos) {
      expect_error(first, "unknown escape");
      expect_error(second, "unknown escape");
      continue;
    }
    const std::size_t value = at < 16 ? at : at - 6;
    EXPECT_EQ(PickleDocument(first, "f").root().text, std::string(1, static_cast<char>(16 * value + 3)));
    EXPECT_EQ(PickleDocument(second, "f").root().text, std::string(1, static_cast<char>(3 * 16 + value)));
  }
  const std::string names = "S'\\n\\t\\r\\\\\\'\\\"'\n.";
  EXPECT_EQ(PickleDocument(names, "f").root().text, "\n\t\r\\'\"");
}

// Python's raw-unicode-escape: a backslash after another one does not begin an escape.
TEST(PickleTest, TextOfProtocol0IsUnescaped) {
  const auto text = [](const std::string& line) {
    const std::string bytes = "V" + line + "\n.";
    return std::string(PickleDocument(bytes, "f").root().text);
  };
  EXPECT_EQ(text("a\xe9z"), "a\xc3\xa9z");
  EXPECT_EQ(text("\\u005cu0041"), "\\u0041");
  EXPECT_EQ(text("\\\\u0041"), "\\\\u0041");
  EXPECT_EQ(text("\\n\\"), "\\n\\");
  EXPECT_EQ(text("\\u65e5\\U0001F600"), "\xe6\x97\xa5\xf0\x9f\x98\x80");
}

TEST(PickleTest, CallsThatMakeByteStringsAcceptOnlyText) {
  const auto call = [](const std::string& function, const std::string& arguments) {
    return "c" + function + "\n(" + arguments + "tR.";
  };
  const auto bytes_of = [](const std::string& pickle) {
    return std::string(PickleDocument(pickle, "f").root().text);
  };
  EXPECT_EQ(bytes_of(call("_codecs\nencode", "Va\xff\nVlatin1\n")), "a\xff");
  EXPECT_EQ(bytes_of(call("__builtin__\nbytes", "")), "");
  EXPECT_EQ(bytes_of(call("__builtin__\nbytearray", "V\x80\nVlatin-1\n")), "\x80");
  EXPECT_EQ(bytes_of("\x80\x03"
                     "cbuiltins\nbytearray\nC\x02\x80\x81\x85R."s),
            "\x80\x81");
  expect_error(call("_codecs\nencode", "V\\u20ac\nVlatin1\n"), "text that Latin-1 does not have");
  expect_error(call("_codecs\nencode", "Va\nVutf-7\n"), "an encoding other than Latin-1");
  expect_error(call("_codecs\nencode", "I1\nVlatin1\n"), "from something other than text");
  expect_error(call("__builtin__\nbytes", "I1000000000\n"), "from something other than text");
  // A long text encoded again and again.
  std::string bomb = "V" + std::string(1000, 'x') + "\np0\n0";
  for (int i = 0; i < 100; ++i) bomb += "c_codecs\nencode\n(g0\nVlatin1\ntR0";
  expect_error(bomb + "N.", "encodes more text than it holds");
}

TEST(PickleTest, EveryTruncationIsAnErrorThatNamesFileAndOffset) {
  std::vector<std::string> pickles{from_hex(kProtocol3), from_hex(kProtocol4), kProtocol0};
  for (const std::string& name : golden_pickles()) pickles.push_back(golden_pickle(name));
  for (const std::string& bytes : pickles) {
    for (std::size_t length = 0; length < bytes.size(); ++length) {
      try {
        const PickleDocument document(std::string_view(bytes).substr(0, length), "batch_1");
        ADD_FAILURE() << "accepted " << length << " of " << bytes.size() << " bytes";
      } catch (const Error& error) {
        EXPECT_EQ(std::string(error.what()).find("batch_1, offset "), 0u) << error.what();
      }
    }
  }
}

// A changed byte gives a document or an Error, never a crash. This test is meant for the sanitizers.
TEST(PickleTest, AnyChangedByteIsSafe) {
  for (const std::string& bytes : {from_hex(kProtocol4), kProtocol0, golden_pickle("numpy2_protocol0_bytes"),
                                   golden_pickle("numpy2_protocol5_text")}) {
    for (std::size_t at = 0; at < bytes.size(); ++at) {
      for (int value = 0; value < 256; value += 3) {
        std::string changed = bytes;
        changed[at] = static_cast<char>(value);
        try {
          PickleDocument document(changed, "f");
        } catch (const Error&) {
        }
      }
    }
  }
}

TEST(PickleTest, NeverCallsAnything) {
  expect_error("cos\nsystem\n(S'echo hostile'\ntR.", "names 'os.system', which is not data");
  expect_error("\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x02id\x85R."s, "names 'posix.system'");
  expect_error("c__builtin__\neval\n(S'1'\ntR.", "names '__builtin__.eval'");
  expect_error("cos\x1b[2J\nsystem\n.", "names 'os?[2J.system'");
  expect_error("(S'x'\nios\nsystem\n.", "opcode 0x69");
  expect_error("S'ls'\n(tR.", "calls something that does not make a byte string or a numpy array");
  expect_error("cnumpy\nndarray\n(I9\ntR.",
               "calls something that does not make a byte string or a numpy array");
  expect_error("ccopy_reg\n_reconstructor\n(c__builtin__\nobject\nNtR.", "names 'copy_reg._reconstructor'");
  expect_error(
      "\x80\x04\x8c\x08"
      "builtins\x8c\x04"
      "eval\x93."s,
      "names 'builtins.eval'");
  expect_error("cnumpy.core.multiarray\nfrombuffer\n.", "names 'numpy.core.multiarray.frombuffer'");
  expect_error("P0\n.", "opcode 0x50");
}

TEST(PickleTest, RejectsMalformedPickles) {
  expect_error("", "is truncated");
  expect_error("I1\nI2\n.", "unbalanced stack");
  expect_error("(I1\n.", "unbalanced stack");
  expect_error(".", "unbalanced stack");
  expect_error("I1x\n.", "malformed number");
  expect_error("t.", "closes a group that it never opened");
  expect_error("(I1\nd.", "dict key without a value");
  expect_error("I1\nI2\na.", "appends to something that is not a list");
  expect_error("g7\n.", "never stored");
  expect_error("0.", "closes a group");
  expect_error("](0a.", "takes a value from an empty stack");
  expect_error("S'a\n.", "without its quotes");
  expect_error("S'\\q'\n.", "unknown escape");
  expect_error("\x80\x06."s, "protocol 6");
  expect_error("V\\u12\n.", "unknown escape");
  expect_error("V\\U00110000\n.", "unknown escape");
  expect_error("\x8a\x09\x01\x01\x01\x01\x01\x01\x01\x01\x01."s, "more than 64 bits");
}

TEST(PickleTest, HugeLengthsAreRefusedBeforeAnyAllocation) {
  expect_error("T\xff\xff\xff\x7fzz."s, "2147483647 bytes are announced and 3 are left");
  expect_error("B\xff\xff\xff\xffzz."s, "bytes are announced");
  expect_error("\x8e\xff\xff\xff\xff\xff\xff\xff\xffzz."s, "bytes are announced");
  expect_error("\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xff."s, "frame reaches beyond its end");
}

std::string array_pickle(const std::string& shape, const std::string& dtype, const std::string& order,
                         const std::string& fortran) {
  return "cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(" + shape +
         "tcnumpy\ndtype\n(S'" + dtype + "'\nI0\nI1\ntR(I3\nS'" + order + "'\nNNNI-1\nI-1\nI0\ntb" + fortran +
         "S'abcdef'\ntb.";
}

TEST(PickleTest, ArraysMustBePlain) {
  const PickleDocument document(array_pickle("I2\nI3\n", "u1", "|", "I00\n"), "f");
  EXPECT_EQ(document.root().data, "abcdef");
  expect_error(array_pickle("I2\nI4\n", "u1", "|", "I00\n"), "6 bytes whose shape needs 8");
  expect_error(array_pickle("I-2\nI-3\n", "u1", "|", "I00\n"), "shape does not fit");
  expect_error(array_pickle("I4294967296\nI4294967296\n", "u1", "|", "I00\n"), "shape does not fit");
  expect_error(array_pickle("I2\nI3\n", "u1", "|", "I01\n"), "Fortran order");
  expect_error(array_pickle("I3\n", "i2", ">", "I00\n"), "big-endian");
  expect_error(array_pickle("I6\n", "O8", "|", "I00\n"), "something other than integers");
}

TEST(PickleTest, DeepNestingAndCyclesCostNoStack) {
  std::string deep;
  for (int i = 0; i < 200'000; ++i) deep += "(";
  for (int i = 0; i < 200'000; ++i) deep += "l";
  const PickleDocument document(deep + ".", "f");
  EXPECT_EQ(document.root().kind, Kind::kList);
  const std::string cycle = "]q\x01h\x01"s + "a."s;
  EXPECT_EQ(PickleDocument(cycle, "f").root().items.size(), 1u);
}

TEST(PickleTest, RejectsMoreThanAMillionObjects) {
  expect_error(std::string(1'100'000, 'N') + ".", "more objects than any data file needs");
  expect_error(std::string(1'100'000, '(') + ".", "more objects than any data file needs");
}

}  // namespace
}  // namespace tdds
