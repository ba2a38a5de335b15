// Reads hone's text forms (Target, Workload, Schedule, loop programs): words, numbers and marks,
// line by line, with errors that name line and column. All parsers use it; it knows no grammar.
#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "base/status.h"

namespace hone {

// A cursor over text. Blanks (not newlines) and `#` comments are skipped before each token.
// Words are [A-Za-z_][A-Za-z0-9_.@]*; a word may hold dots because loop names do ("c.i.0").
// The text must outlive the reader.
class TextReader {
 public:
  // `what` names the text in errors: "schedule", a file name.
  TextReader(absl::string_view text, absl::string_view what);

  // At the end of the text, after blanks, comments and newlines.
  bool AtEnd();
  // At the end of the current line, after blanks and comments.
  bool AtLineEnd();
  // Requires the line's end and moves to the next line that has something on it.
  Status EndLine();

  // Takes the mark (punctuation such as "[" or "->") if it comes next.
  bool TryMark(absl::string_view mark);
  Status Mark(absl::string_view mark);
  // Takes the word if exactly this word comes next.
  bool TryWord(absl::string_view word);
  StatusOr<std::string> Word(absl::string_view expected);
  // The word that comes next, or "" when it is something else; takes nothing.
  absl::string_view PeekWord();
  // The character that comes next on this line, or '\0' at its end; takes nothing.
  char PeekChar();

  // Decimal, with optional sign.
  StatusOr<int64_t> Integer();
  // Decimal or C99 hex float, "inf", "nan", with optional sign.
  StatusOr<double> Float();
  // True if the number that comes next is written as a float ("1.0", "0x1p3", "inf").
  bool NextIsFloat();
  bool NextIsNumber();
  // What stands between two double quotes on this line; no escapes.
  StatusOr<std::string> Quoted();
  // Everything up to the end of the line, trimmed.
  std::string RestOfLine();

  // "<what>:<line>:<column>: <message>", as InvalidArgument.
  Status Error(absl::string_view message) const;

 private:
  void SkipBlanks();
  void SkipToNextLine();
  size_t NumberLength() const;

  absl::string_view text_;
  std::string what_;
  size_t position_ = 0;
};

}  // namespace hone
