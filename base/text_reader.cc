#include "base/text_reader.h"

#include <cctype>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace hone {
namespace {

bool IsWordStart(char c) { return std::isalpha(static_cast<unsigned char>(c)) || c == '_'; }
bool IsWordPart(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '@';
}

}  // namespace

TextReader::TextReader(absl::string_view text, absl::string_view what) : text_(text), what_(what) {}

void TextReader::SkipBlanks() {
  while (position_ < text_.size()) {
    char c = text_[position_];
    if (c == ' ' || c == '\t' || c == '\r') {
      ++position_;
    } else if (c == '#') {
      while (position_ < text_.size() && text_[position_] != '\n') ++position_;
    } else {
      break;
    }
  }
}

void TextReader::SkipToNextLine() {
  SkipBlanks();
  while (position_ < text_.size() && text_[position_] == '\n') {
    ++position_;
    SkipBlanks();
  }
}

bool TextReader::AtEnd() {
  SkipToNextLine();
  return position_ >= text_.size();
}

bool TextReader::AtLineEnd() {
  SkipBlanks();
  return position_ >= text_.size() || text_[position_] == '\n';
}

Status TextReader::EndLine() {
  if (!AtLineEnd()) return Error("expected the end of the line");
  SkipToNextLine();
  return absl::OkStatus();
}

bool TextReader::TryMark(absl::string_view mark) {
  SkipBlanks();
  if (text_.substr(position_, mark.size()) != mark) return false;
  position_ += mark.size();
  return true;
}

Status TextReader::Mark(absl::string_view mark) {
  if (TryMark(mark)) return absl::OkStatus();
  return Error(absl::StrCat("expected '", mark, "'"));
}

absl::string_view TextReader::PeekWord() {
  SkipBlanks();
  if (position_ >= text_.size() || !IsWordStart(text_[position_])) return "";
  size_t end = position_ + 1;
  while (end < text_.size() && IsWordPart(text_[end])) ++end;
  return text_.substr(position_, end - position_);
}

bool TextReader::TryWord(absl::string_view word) {
  if (PeekWord() != word) return false;
  position_ += word.size();
  return true;
}

StatusOr<std::string> TextReader::Word(absl::string_view expected) {
  absl::string_view word = PeekWord();
  if (word.empty()) return Error(absl::StrCat("expected ", expected));
  position_ += word.size();
  return std::string(word);
}

char TextReader::PeekChar() {
  SkipBlanks();
  if (position_ >= text_.size() || text_[position_] == '\n') return '\0';
  return text_[position_];
}

size_t TextReader::NumberLength() const {
  size_t end = position_;
  auto at = [&](size_t i) { return i < text_.size() ? text_[i] : '\0'; };
  if (at(end) == '-' || at(end) == '+') ++end;
  if (text_.substr(end, 3) == "inf" || text_.substr(end, 3) == "nan") {
    return IsWordPart(at(end + 3)) ? 0 : end + 3 - position_;
  }
  if (!std::isdigit(static_cast<unsigned char>(at(end)))) return 0;
  const bool hex = at(end) == '0' && (at(end + 1) == 'x' || at(end + 1) == 'X');
  if (hex) end += 2;
  while (true) {
    char c = at(end);
    char previous = at(end - 1);
    const bool exponent_sign =
        (c == '-' || c == '+') &&
        (previous == 'p' || previous == 'P' || (!hex && (previous == 'e' || previous == 'E')));
    const bool digit = hex ? std::isxdigit(static_cast<unsigned char>(c)) || c == 'p' || c == 'P'
                           : std::isdigit(static_cast<unsigned char>(c)) || c == 'e' || c == 'E';
    const bool point = c == '.' && at(end + 1) != '.';  // "1..8" is a range
    if (digit || point || exponent_sign) {
      ++end;
    } else {
      break;
    }
  }
  return end - position_;
}

bool TextReader::NextIsNumber() {
  SkipBlanks();
  return NumberLength() > 0;
}

bool TextReader::NextIsFloat() {
  SkipBlanks();
  absl::string_view number = text_.substr(position_, NumberLength());
  if (number.empty()) return false;
  return number.find_first_of(".xXpPn") != absl::string_view::npos ||
         number.find_first_of("eE") != absl::string_view::npos;
}

StatusOr<int64_t> TextReader::Integer() {
  SkipBlanks();
  absl::string_view number = text_.substr(position_, NumberLength());
  int64_t value = 0;
  if (number.empty() || !absl::SimpleAtoi(number, &value)) return Error("expected an integer");
  position_ += number.size();
  return value;
}

StatusOr<double> TextReader::Float() {
  SkipBlanks();
  std::string number(text_.substr(position_, NumberLength()));
  if (number.empty()) return Error("expected a number");
  char* end = nullptr;
  double value = std::strtod(number.c_str(), &end);
  if (*end != '\0') return Error(absl::StrCat("'", number, "' is not a number"));
  position_ += number.size();
  return value;
}

StatusOr<std::string> TextReader::Quoted() {
  HONE_RETURN_IF_ERROR(Mark("\""));
  const size_t end = text_.find_first_of("\"\n", position_);
  if (end == absl::string_view::npos || text_[end] != '"') {
    return Error("expected a closing '\"' on this line");
  }
  std::string content(text_.substr(position_, end - position_));
  position_ = end + 1;
  return content;
}

std::string TextReader::RestOfLine() {
  SkipBlanks();
  size_t end = text_.find('\n', position_);
  if (end == absl::string_view::npos) end = text_.size();
  absl::string_view rest = text_.substr(position_, end - position_);
  position_ = end;
  return std::string(absl::StripTrailingAsciiWhitespace(rest));
}

Status TextReader::Error(absl::string_view message) const {
  size_t line = 1;
  size_t line_start = 0;
  for (size_t i = 0; i < position_ && i < text_.size(); ++i) {
    if (text_[i] == '\n') {
      ++line;
      line_start = i + 1;
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat(what_, ":", line, ":", position_ - line_start + 1, ": ", message));
}

}  // namespace hone
