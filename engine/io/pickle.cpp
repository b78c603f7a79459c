#include "engine/io/pickle.h"

#include <fmt/format.h>

#include <unordered_map>

#include "engine/io/pickle_reader.h"

namespace tdds {

namespace {

using Kind = PickleValue::Kind;

// CIFAR's largest file takes 350,000 steps; each step adds at most one value of about 130 bytes.
constexpr std::int64_t kMaxSteps = 1'000'000;

constexpr std::string_view kReconstruct = "numpy.core.multiarray._reconstruct";
constexpr std::string_view kReconstruct2 = "numpy._core.multiarray._reconstruct";
constexpr std::string_view kArrayType = "numpy.ndarray";
constexpr std::string_view kDtypeType = "numpy.dtype";

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
          constant(opcode) || string(opcode) || container(opcode) || memo(opcode) || numpy(opcode);
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
        require(protocol <= 4, fmt::format("has protocol {} where 0 to 4 are read", protocol));
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
      case 'V': {
        const std::string_view text = line();
        require(text.find('\\') == std::string_view::npos, "holds escaped text, which no CIFAR file has");
        return push_text(text);
      }
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
        return push_text(take(little_endian(8)));
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
    PickleValue* target = top_of(kind, kind == Kind::kList ? "appends to something that is no list"
                                                           : "adds a key to something that is no dict");
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

  // --- numpy arrays: _reconstruct(ndarray, (0,), b'b') or dtype('u1', ...), then BUILD with the state ---

  bool numpy(char opcode) {
    switch (opcode) {
      case 'c': {
        const std::string_view module = line();
        return push_global(module, line());
      }
      case '\x93': {
        const PickleValue* name = pop();
        const PickleValue* module = pop();
        require(name->kind == Kind::kString && module->kind == Kind::kString,
                "names a global by something else than text");
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
    std::string full = printable(module) + "." + printable(name);
    if (full != kReconstruct && full != kReconstruct2 && full != kArrayType && full != kDtypeType)
      fail(fmt::format("names '{}', which is not data and is never called", full));
    return push_text(document_.decoded_.emplace_back(std::move(full)), Kind::kGlobal);
  }

  bool reduce() {
    const PickleValue* arguments = pop();
    const PickleValue* callee = pop();
    require(callee->kind == Kind::kGlobal && arguments->kind == Kind::kTuple,
            "calls something that is no numpy type");
    const auto& items = arguments->items;
    if (callee->text == kReconstruct || callee->text == kReconstruct2) {
      require(!items.empty() && items[0]->kind == Kind::kGlobal && items[0]->text == kArrayType,
              "reconstructs something that is no numpy array");
      push(Kind::kArray);
      return true;
    }
    require(callee->text == kDtypeType && !items.empty() && items[0]->kind == Kind::kString,
            "calls something that is no numpy type");
    return push_text(items[0]->text, Kind::kDtype);
  }

  bool build() {
    const PickleValue* state = pop();
    PickleValue* target = top();
    require(state->kind == Kind::kTuple, "sets a state that is no tuple");
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
    require(target->kind == Kind::kArray, "sets the state of something that is no numpy array");
    return build_array(*target, state->items);
  }

  // (version, shape, dtype, is Fortran order, bytes)
  bool build_array(PickleValue& array, const std::vector<const PickleValue*>& state) {
    require(state.size() == 5 && state[1]->kind == Kind::kTuple && state[2]->kind == Kind::kDtype &&
                state[4]->kind == Kind::kString,
            "has a numpy array of unknown layout");
    require((state[3]->kind == Kind::kBool || state[3]->kind == Kind::kInt) && state[3]->number == 0,
            "has an array in Fortran order, where C order is needed");
    const std::string_view dtype = state[2]->text;
    require(dtype.size() == 2 && (dtype[0] == 'u' || dtype[0] == 'i') &&
                std::string_view("1248").find(dtype[1]) != std::string_view::npos,
            "has an array of something else than integers");
    std::uint64_t bytes = static_cast<std::uint64_t>(dtype[1] - '0');
    array.shape.clear();
    for (const PickleValue* extent : state[1]->items) {
      require(extent->kind == Kind::kInt && extent->number >= 0 && array.shape.size() < 8 &&
                  (extent->number == 0 || bytes <= size() / static_cast<std::uint64_t>(extent->number)),
              "has an array whose shape does not fit its file");
      bytes *= static_cast<std::uint64_t>(extent->number);
      array.shape.push_back(extent->number);
    }
    require(bytes == state[4]->text.size(),
            fmt::format("has an array of {} bytes whose shape needs {}", state[4]->text.size(), bytes));
    array.dtype = dtype;
    array.data = state[4]->text;
    return true;
  }

  PickleDocument& document_;
  std::vector<PickleValue*> stack_;
  std::vector<std::size_t> marks_;
  std::unordered_map<std::uint64_t, PickleValue*> memo_;
};

PickleDocument::PickleDocument(std::string_view bytes, std::string_view file) {
  root_ = PickleParser(bytes, file, *this).run();
}

}  // namespace tdds
