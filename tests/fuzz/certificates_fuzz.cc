// Keys, certificates and requests as PEM, as files and peers bring them: any bytes, and those of a
// real farm with some bytes changed, are read or refused; a member's certificate that was changed
// never passes. An input is used in one way, mostly only read: OpenSSL takes a millisecond for what
// has to do with keys.
#include <fuzzer/FuzzedDataProvider.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "rpc/certificates.h"
#include "rpc/identity.h"

namespace hone {
namespace {

constexpr int64_t kUnixMs = 1'700'000'000'000;
constexpr int64_t kDayMs = 86'400'000;

struct Farm {
  std::string key = *MakePrivateKey();
  std::string authority = *MakeAuthority(key, "fuzz", kUnixMs, 10);
  std::string member_key = *MakePrivateKey();
  std::string request = *MakeSigningRequest(member_key);
  std::string member = *SignRequest(
      request, key, authority, {.uri = "hone:agent/a", .unix_ms = kUnixMs, .valid_ms = kDayMs});
};

// A document whose bytes lie within words.
struct Pem {
  std::string begin;
  std::string bytes;  // DER
  std::string end;
  std::string ToString() const {
    return absl::StrCat(begin, "\n", absl::Base64Escape(bytes), "\n", end, "\n");
  }
};

Pem TakeApart(const std::string& text) {
  const size_t begin = text.find('\n');
  const size_t end = text.rfind("-----END");
  Pem pem = {.begin = text.substr(0, begin), .end = text.substr(end, text.find('\n', end) - end)};
  HONE_CHECK(absl::Base64Unescape(text.substr(begin, end - begin), &pem.bytes));
  return pem;
}

struct Document {
  std::string text;
  bool is_changed = false;
};

Document NextDocument(FuzzedDataProvider& input, const Farm& farm) {
  static const Pem pems[] = {TakeApart(farm.authority), TakeApart(farm.member),
                             TakeApart(farm.request), TakeApart(farm.member_key)};
  const size_t which = input.ConsumeIntegralInRange<size_t>(0, 15);
  if (which == 4) return {input.ConsumeRandomLengthString(2048), true};
  Pem pem = pems[which % 4];
  if (which > 4) {
    // Bytes of the fuzzer's own where the real ones were.
    pem.bytes = input.ConsumeRandomLengthString(1024);
    return {pem.ToString(), true};
  }
  const std::string before = pem.bytes;
  for (int changes = input.ConsumeIntegralInRange<int>(0, 3); changes > 0; --changes) {
    const size_t at = input.ConsumeIntegralInRange<size_t>(0, pem.bytes.size() - 1);
    pem.bytes[at] = input.ConsumeIntegral<char>();
  }
  return {pem.ToString(), pem.bytes != before};
}

void Read(const std::string& pem) {
  const auto facts = ReadCertificates(pem);
  if (!facts.ok()) return;
  HONE_CHECK(!facts->empty());
  HONE_CHECK(SplitCertificates(pem)->size() == facts->size());
  for (const CertificateFacts& certificate : *facts) (void)IdentityOfUris(certificate.uris);
}

void Run(FuzzedDataProvider& input, const Farm& farm) {
  const int use = input.ConsumeIntegralInRange<int>(0, 31);
  const Document document = NextDocument(input, farm);
  const std::string& pem = document.text;
  switch (use) {
    case 0:
      (void)CheckKeyFits(farm.member_key, pem);
      return;
    case 1:
      (void)CheckKeyFits(pem, farm.member);
      return;
    case 2:
      HONE_CHECK(!document.is_changed || !CheckCertificate(pem, farm.authority, kUnixMs).ok());
      return;
    case 3:
      // An authority is taken at its word: its own signature says nothing.
      (void)CheckCertificate(farm.member, pem, kUnixMs);
      return;
    case 4: {
      const auto certificate =
          SignRequest(pem, farm.key, farm.authority,
                      {.uri = "hone:agent/a", .unix_ms = kUnixMs, .valid_ms = kDayMs});
      HONE_CHECK(!certificate.ok() || ReadCertificates(*certificate).ok());
      return;
    }
    case 5:
      return Read(pem + NextDocument(input, farm).text);
    default:
      return Read(pem);
  }
}

}  // namespace
}  // namespace hone

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const hone::Farm farm;  // made once: making keys takes longer than reading them
  FuzzedDataProvider input(data, size);
  hone::Run(input, farm);
  return 0;
}
