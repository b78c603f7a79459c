#include "engine/io/pickle.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <unordered_map>

#include "engine/io/pickle_reader.h"

namespace tdds {

namespace {

using Kind = PickleValue::Kind;

// CIFAR's largest file takes 350,000 steps, or 700,000 in protocol 0 of Python 3. Each step adds at most one
// value of about 130 bytes.
constexpr std::int64_t kMaxSteps = 1'000'000;

// The modules have the names of numpy 2, and the built-in types those of Python 2.
constexpr std::string_view kReconstruct = "numpy._core.multiarray._reconstruct";
constexpr std::string_view kFromBuffer = "numpy._core.numeric._frombuffer";
constexpr std::string_view kArrayType = "numpy.ndarray", kDtypeType = "numpy.dtype";
constexpr std::string_view kEncode = "_codecs.encode";
constexpr std::string_view kBytes = "__builtin__.bytes", kByteArray = "__builtin__.bytearray";
constexpr std::string_view kGlobals[] = {kReconstruct, kFromBuffer, kArrayType, kDtypeType,
                                         kEncode,      kBytes,      kByteArray};

std::string old_or_new_name(std::string_view module, std::string_view name) {
  constexpr std::string_view kCore = "numpy.core.";
  if (module == "builtins") module = "__builtin__";
  if (module.starts_with(kCore)) return fmt::format("numpy._core.{}.{}", module.substr(kCore.size()), name);
  return fmt::format("{}.{}", module, name);
}

std::string printable(std::string_view text) {
  std::string out(text.substr(0, 60));
  for (char& c : out)
    if (c < ' ' || c > '~') c = '?';
  return out;
}

}  // namespace

const PickleValue* PickleValue::find(std::string_view key) const {
  if (kind != Kind::kDict) return nullptr;
  for (std::size_t i = items.size(); i >= 2; i -= 2) {
    const PickleValue* k = items[i - 2];
    if (k->kind == Kind::kString && k->text == key) return items[i - 1];
  }
  return nullptr;
}

class PickleParser : private PickleReader {
 public:
  PickleParser(std::string_view bytes, std::string_view file, PickleDocument& document)
      : PickleReader(bytes, file), document_(document) {}

  const PickleValue* run() {
    for (std::int64_t step_count = 0;; ++step_count) {
      require(step_count < kMaxSteps, "holds more objects than any data file needs");
      const char opcode = next_opcode();
      if (opcode == '.') break;
      const bool known =
          constant(opcode) || string(opcode) || container(opcode) || memo(opcode) || object(opcode);
      if (!known)
        fail(fmt::format("uses opcode 0x{:02x}, which plain data does not need",
                         static_cast<unsigned char>(opcode)));
    }
    require(marks_.empty() && stack_.size() == 1, "ends with an unbalanced stack");
    return stack_.back();
  }

 private:
  // --- Stack ---

  PickleValue& push(Kind kind) {
    PickleValue& value = document_.values_.emplace_back();
    value.kind = kind;
    stack_.push_back(&value);
    return value;
  }
  bool push_number(std::int64_t number, Kind kind = Kind::kInt) {
    push(kind).number = number;
    return true;
  }
  bool push_text(std::string_view text, Kind kind = Kind::kString) {
    push(kind).text = text;
    return true;
  }

  std::size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  PickleValue* top() const {
    require(stack_.size() > floor(), "takes a value from an empty stack");
    return stack_.back();
  }
  PickleValue* pop() {
    PickleValue* value = top();
    stack_.pop_back();
    return value;
  }
  std::vector<const PickleValue*> pop_to_mark() {
    require(!marks_.empty(), "closes a group that it never opened");
    std::vector<const PickleValue*> group(stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back()),
                                          stack_.end());
    stack_.resize(marks_.back());
    marks_.pop_back();
    return group;
  }
  PickleValue* top_of(Kind kind, std::string_view reason) const {
    require(top()->kind == kind, reason);
    return stack_.back();
  }

  // --- Opcodes: each function executes the ones it knows and says whether it did ---

  bool constant(char opcode) {
    switch (opcode) {
      case '\x80': {
        const auto protocol = little_endian(1);
        require(protocol <= 5, fmt::format("has protocol {}, but only 0 to 5 are read", protocol));
        return true;
      }
      case '\x95': {
        const auto length = little_endian(8);
        require(length <= left(), "is truncated: a frame reaches beyond its end");
        return true;
      }
      case 'N':
        push(Kind::kNone);
        return true;
      case '\x88':
        return push_number(1, Kind::kBool);
      case '\x89':
        return push_number(0, Kind::kBool);
      case 'I': {
        const std::string_view text = line();
        if (text == "00" || text == "01") return push_number(text == "01", Kind::kBool);
        return push_number(decimal(text));
      }
      case 'L':
        return push_number(decimal(line()));
      case 'J':
        return push_number(static_cast<std::int32_t>(little_endian(4)));
      case 'K':
        return push_number(static_cast<std::int64_t>(little_endian(1)));
      case 'M':
        return push_number(static_cast<std::int64_t>(little_endian(2)));
      case '\x8a':
        return push_number(long_integer(little_endian(1)));
      default:
        return false;
    }
  }

  bool string(char opcode) {
    switch (opcode) {
      case 'S':
        return push_text(document_.decoded_.emplace_back(unquoted(line())));
      case 'V':
        return push_text(document_.decoded_.emplace_back(unescaped(line())));
      case 'U':
      case 'C':
      case '\x8c':
        return push_text(take(little_endian(1)));
      case 'T':
      case 'B':
      case 'X':
        return push_text(take(little_endian(4)));
      case '\x8e':
      case '\x8d':
      case '\x96':
        return push_text(take(little_endian(8)));
      case '\x97':
      case '\x98':
        fail(
            "refers to buffers outside the file (it was made with buffer_callback), which only its maker "
            "has");
      default:
        return false;
    }
  }

  bool container(char opcode) {
    switch (opcode) {
      case '(':
        marks_.push_back(stack_.size());
        return true;
      case '0':
        if (stack_.size() == floor())
          pop_to_mark();
        else
          stack_.pop_back();
        return true;
      case '1':
        pop_to_mark();
        return true;
      case '2':
        stack_.push_back(top());
        return true;
      case ']':
        push(Kind::kList);
        return true;
      case '}':
        push(Kind::kDict);
        return true;
      case ')':
        push(Kind::kTuple);
        return true;
      case 'l':
        return push_group(Kind::kList);
      case 't':
        return push_group(Kind::kTuple);
      case 'd':
        return push_group(Kind::kDict);
      case '\x85':
      case '\x86':
      case '\x87':
        return push_tuple(opcode - '\x84');
      case 'a':
        return extend(Kind::kList, {pop()});
      case 'e':
        return extend(Kind::kList, pop_to_mark());
      case 's': {
        const PickleValue* value = pop();
        const PickleValue* key = pop();
        return extend(Kind::kDict, {key, value});
      }
      case 'u':
        return extend(Kind::kDict, pop_to_mark());
      default:
        return false;
    }
  }

  bool push_group(Kind kind) {
    std::vector<const PickleValue*> group = pop_to_mark();
    require(kind != Kind::kDict || group.size() % 2 == 0, "has a dict key without a value");
    push(kind).items = std::move(group);
    return true;
  }
  bool push_tuple(int count) {
    std::vector<const PickleValue*> items(count);
    for (int i = count - 1; i >= 0; --i) items[i] = pop();
    push(Kind::kTuple).items = std::move(items);
    return true;
  }
  bool extend(Kind kind, const std::vector<const PickleValue*>& items) {
    PickleValue* target = top_of(kind, kind == Kind::kList ? "appends to something that is not a list"
                                                           : "adds a key to something that is not a dict");
    require(kind != Kind::kDict || items.size() % 2 == 0, "has a dict key without a value");
    target->items.insert(target->items.end(), items.begin(), items.end());
    return true;
  }

  bool memo(char opcode) {
    switch (opcode) {
      case 'p':
        memo_[static_cast<std::uint64_t>(decimal(line()))] = top();
        return true;
      case 'q':
        memo_[little_endian(1)] = top();
        return true;
      case 'r':
        memo_[little_endian(4)] = top();
        return true;
      case '\x94':
        memo_[memo_.size()] = top();
        return true;
      case 'g':
        return recall(static_cast<std::uint64_t>(decimal(line())));
      case 'h':
        return recall(little_endian(1));
      case 'j':
        return recall(little_endian(4));
      default:
        return false;
    }
  }
  bool recall(std::uint64_t key) {
    const auto found = memo_.find(key);
    require(found != memo_.end(), "refers to a value that it never stored");
    stack_.push_back(found->second);
    return true;
  }

  // --- Byte strings: _codecs.encode('text', 'latin1') or bytes(), before protocol 3 ---
  // --- numpy arrays: _reconstruct(ndarray, (0,), b'b') or dtype('u1', ...), then BUILD with the state; or
  //     _frombuffer(bytes, dtype, shape, 'C') ---

  bool object(char opcode) {
    switch (opcode) {
      case 'c': {
        const std::string_view module = line();
        return push_global(module, line());
      }
      case '\x93': {
        const PickleValue* name = pop();
        const PickleValue* module = pop();
        require(name->kind == Kind::kString && module->kind == Kind::kString,
                "names a global by something other than text");
        return push_global(module->text, name->text);
      }
      case 'R':
        return reduce();
      case 'b':
        return build();
      default:
        return false;
    }
  }

  bool push_global(std::string_view module, std::string_view name) {
    const std::string full = old_or_new_name(printable(module), printable(name));
    const auto* known = std::find(std::begin(kGlobals), std::end(kGlobals), full);
    if (known == std::end(kGlobals))
      fail(fmt::format("names '{}.{}', which is not data and is never called", printable(module),
                       printable(name)));
    return push_text(*known, Kind::kGlobal);
  }

  bool reduce() {
    const PickleValue* arguments = pop();
    const PickleValue* callee = pop();
    require(callee->kind == Kind::kGlobal && arguments->kind == Kind::kTuple && callee->text != kArrayType,
            "calls something that does not make a byte string or a numpy array");
    const auto& items = arguments->items;
    if (callee->text == kReconstruct) {
      require(!items.empty() && items[0]->kind == Kind::kGlobal && items[0]->text == kArrayType,
              "reconstructs something that is not a numpy array");
      push(Kind::kArray);
      return true;
    }
    if (callee->text == kFromBuffer) {
      require(items.size() == 4 && items[3]->kind == Kind::kString, "has a numpy array of unknown layout");
      return set_array(push(Kind::kArray), items[2], items[1], items[3]->text != "C", items[0]);
    }
    if (callee->text == kDtypeType) {
      require(!items.empty() && items[0]->kind == Kind::kString, "has a numpy type without a name");
      return push_text(items[0]->text, Kind::kDtype);
    }
    return push_bytes(items);
  }

  bool push_bytes(const std::vector<const PickleValue*>& arguments) {
    if (arguments.empty()) return push_text("");
    require(arguments.size() <= 2 && arguments[0]->kind == Kind::kString,
            "makes a byte string from something other than text");
    const std::string_view text = arguments[0]->text;
    if (arguments.size() == 1) return push_text(text);
    require(arguments[1]->text == "latin1" || arguments[1]->text == "latin-1",
            "encodes text in an encoding other than Latin-1");
    // A sound file encodes each text once, and UTF-8 takes at most twice the bytes. More is an attack.
    encoded_ += text.size();
    require(encoded_ <= 2 * size(), "encodes more text than it holds");
    return push_text(document_.decoded_.emplace_back(latin1(text)));
  }

  bool build() {
    const PickleValue* state = pop();
    PickleValue* target = top();
    require(state->kind == Kind::kTuple, "sets a state that is not a tuple");
    if (target->kind == Kind::kDtype) {
      // (version, byte order, subtype, names, fields, item size, alignment, flags)
      const auto& items = state->items;
      require(items.size() >= 5 && items[1]->kind == Kind::kString &&
                  (items[1]->text == "|" || items[1]->text == "<"),
              "has an array type of big-endian or unknown byte order");
      require(items[2]->kind == Kind::kNone && items[3]->kind == Kind::kNone && items[4]->kind == Kind::kNone,
              "has an array of records, where plain numbers are needed");
      return true;
    }
    require(target->kind == Kind::kArray, "sets the state of something that is not a numpy array");
    return build_array(*target, state->items);
  }

  // (version, shape, dtype, is Fortran order, bytes)
  bool build_array(PickleValue& array, const std::vector<const PickleValue*>& state) {
    require(state.size() == 5 && (state[3]->kind == Kind::kBool || state[3]->kind == Kind::kInt),
            "has a numpy array of unknown layout");
    return set_array(array, state[1], state[2], state[3]->number != 0, state[4]);
  }

  bool set_array(PickleValue& array, const PickleValue* shape, const PickleValue* type, bool fortran,
                 const PickleValue* data) {
    require(shape->kind == Kind::kTuple && type->kind == Kind::kDtype && data->kind == Kind::kString,
            "has a numpy array of unknown layout");
    require(!fortran, "has an array in Fortran order, where C order is needed");
    const std::string_view dtype = type->text;
    require(dtype.size() == 2 && (dtype[0] == 'u' || dtype[0] == 'i') &&
                std::string_view("1248").find(dtype[1]) != std::string_view::npos,
            "has an array of something other than integers");
    std::uint64_t bytes = static_cast<std::uint64_t>(dtype[1] - '0');
    array.shape.clear();
    for (const PickleValue* extent : shape->items) {
      require(extent->kind == Kind::kInt && extent->number >= 0 && array.shape.size() < 8 &&
                  (extent->number == 0 || bytes <= size() / static_cast<std::uint64_t>(extent->number)),
              "has an array whose shape does not fit its file");
      bytes *= static_cast<std::uint64_t>(extent->number);
      array.shape.push_back(extent->number);
    }
    require(bytes == data->text.size(),
            fmt::format("has an array of {} bytes whose shape needs {}", data->text.size(), bytes));
    array.dtype = dtype;
    array.data = data->text;
    return true;
  }

  PickleDocument& document_;
  std::vector<PickleValue*> stack_;
  std::vector<std::size_t> marks_;
  std::unordered_map<std::uint64_t, PickleValue*> memo_;
  std::uint64_t encoded_ = 0;  // bytes of text
};

PickleDocument::PickleDocument(std::string_view bytes, std::string_view file) {
  root_ = PickleParser(bytes, file, *this).run();
}

}  // namespace tdds
