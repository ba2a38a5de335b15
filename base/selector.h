// Selector: which devices a piece of work may go to, as people write it: "arch=aarch64,sve",
// "gpu.sm>=80", "board=rpi4|rpi5,!shared". Users give one with their work, the tracker holds it
// against what devices say of themselves. An immutable value with one text form; never looks at
// load, leases or time.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/status.h"

namespace hone {

// What is known of a device, in words: all that a selector can ask for.
struct DeviceFacts {
  std::map<std::string, std::string, std::less<>> values;  // "arch" -> "aarch64", "cores" -> "4"
  std::set<std::string, std::less<>> words;                // its name, features and labels: "sve"
};

class Selector {
 public:
  // Clauses between commas, all of which must hold:
  //   WORD  !WORD               the device is called so, or has the feature or label; has not
  //   KEY=VALUE  KEY!=VALUE     the fact has this value, or one of several: board=rpi4|rpi5; two
  //                             numbers are equal however they are written: l1=32K
  //   KEY>=NUMBER  <= > <       the fact is a number; K, M, G, T are powers of 1024: memory>=8G
  // A fact that the device does not state satisfies only the negations. "" matches every device.
  // InvalidArgument names the clause that cannot be read.
  static StatusOr<Selector> Parse(absl::string_view text);

  // What names, labels, keys and values are made of: letters, digits and _ - . / :
  static bool IsWord(absl::string_view text);

  // Clauses sorted, without repetitions: equal selectors have equal texts.
  const std::string& ToString() const { return text_; }
  bool Matches(const DeviceFacts& facts) const { return Unmet(facts).empty(); }
  // The clauses that the device does not satisfy, as text.
  std::vector<std::string> Unmet(const DeviceFacts& facts) const;

  friend bool operator==(const Selector& a, const Selector& b) { return a.text_ == b.text_; }

 private:
  enum class Relation { kHas, kHasNot, kIs, kIsNot, kAtLeast, kAtMost, kAbove, kBelow };
  struct Clause {
    std::string text;
    std::string key;
    Relation relation = Relation::kHas;
    std::vector<std::string> values;  // one of them
    double number = 0;                // of the four that compare
  };

  static StatusOr<Clause> ParseClause(absl::string_view text);
  static bool Holds(const Clause& clause, const DeviceFacts& facts);

  std::vector<Clause> clauses_;
  std::string text_;
};

}  // namespace hone
