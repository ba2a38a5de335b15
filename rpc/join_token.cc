#include "rpc/join_token.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace hone {
namespace {

constexpr absl::string_view kVersion = "hone1";
constexpr size_t kSecretDigits = 32;
constexpr size_t kFingerprintDigits = 64;

bool IsHex(absl::string_view text, size_t digits) {
  return text.size() == digits && std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isdigit(c) || (c >= 'a' && c <= 'f');
         });
}

}  // namespace

std::string JoinTokenText::ToString() const {
  return absl::StrCat(kVersion, ".", port, ".", secret, ".", fingerprint);
}

StatusOr<JoinTokenText> ParseJoinToken(absl::string_view text) {
  const std::vector<std::string> parts =
      absl::StrSplit(absl::StripAsciiWhitespace(text), '.', absl::AllowEmpty());
  JoinTokenText token;
  if (parts.size() != 4 || parts[0] != kVersion || !absl::SimpleAtoi(parts[1], &token.port) ||
      token.port < 1 || token.port > 65535 || !IsHex(parts[2], kSecretDigits) ||
      !IsHex(parts[3], kFingerprintDigits)) {
    return absl::InvalidArgumentError(
        "this is no token, or not all of one; it looks like hone1.7711.SECRET.FINGERPRINT, as "
        "`hone farm token` prints it");
  }
  token.secret = parts[2];
  token.fingerprint = parts[3];
  return token;
}

}  // namespace hone
