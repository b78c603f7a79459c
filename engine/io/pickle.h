#pragma once
// Reads the subset of Python's pickle format (protocols 0 to 5, in band) that plain data files use, and
// executes nothing: integers, byte and text strings, lists, tuples, dicts and numpy arrays. The globals that
// byte strings and numpy arrays need are recognised by name alone; any other global, opcode or use of them is
// an error.
// Parsing does not recurse. Even for a hostile file, it allocates at most some 200 MB beyond the file's size.
// Source: CPython's pickletools.py describes each opcode.

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace tdds {

struct PickleValue {
  enum class Kind { kNone, kBool, kInt, kString, kList, kTuple, kDict, kArray, kDtype, kGlobal };

  Kind kind = Kind::kNone;
  std::int64_t number = 0;                // kBool, kInt
  std::string_view text;                  // kString: its bytes; kDtype: e.g. "u1"; kGlobal: "module.name"
  std::vector<const PickleValue*> items;  // kList, kTuple; kDict: key, value, key, value, ...
  std::string_view data;                  // kArray: product(shape) elements in C order
  std::vector<std::int64_t> shape;        // kArray
  std::string_view dtype;                 // kArray: e.g. "u1"

  // The last value under a string key; nullptr if the key is absent or this is not a dict.
  const PickleValue* find(std::string_view key) const;
};

// The values refer to each other and to `bytes`, which must outlive the document.
class PickleDocument {
 public:
  // `file` names the input in errors. Throws Error with the file, the offset and the reason.
  PickleDocument(std::string_view bytes, std::string_view file);
  PickleDocument(const PickleDocument&) = delete;
  PickleDocument& operator=(const PickleDocument&) = delete;

  const PickleValue& root() const { return *root_; }

 private:
  friend class PickleParser;
  std::deque<PickleValue> values_;
  std::deque<std::string> decoded_;
  const PickleValue* root_ = nullptr;
};

}  // namespace tdds
