// Keys, certificates and requests as PEM, as files and peers bring them: any bytes are read or
// refused. Certificates of a real authority are mixed in, damaged or not: a damaged one is never
// taken for good.
#include <fuzzer/FuzzedDataProvider.h>

#include <cstddef>
#include <cstdint>
#include <string>

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

// A PEM of the farm with some bytes changed, or bytes of the fuzzer's own.
std::string NextPem(FuzzedDataProvider& input, const Farm& farm, bool* whole) {
  const std::string* const pems[] = {&farm.authority, &farm.member, &farm.request,
                                     &farm.member_key};
  *whole = false;
  const size_t which = input.ConsumeIntegralInRange<size_t>(0, 4);
  if (which == 4) return input.ConsumeRandomLengthString(2048);
  std::string pem = *pems[which];
  *whole = true;
  for (int changes = input.ConsumeIntegralInRange<int>(0, 3); changes > 0; --changes) {
    const size_t at = input.ConsumeIntegralInRange<size_t>(0, pem.size() - 1);
    const char before = std::exchange(pem[at], input.ConsumeIntegral<char>());
    *whole &= before == pem[at];
  }
  return pem;
}

void Run(FuzzedDataProvider& input, const Farm& farm) {
  bool whole = false;
  std::string pem = NextPem(input, farm, &whole);
  if (input.ConsumeBool()) pem += NextPem(input, farm, &whole);
  if (const auto facts = ReadCertificates(pem); facts.ok()) {
    HONE_CHECK(!facts->empty());
    HONE_CHECK(SplitCertificates(pem)->size() == facts->size());
    for (const CertificateFacts& certificate : *facts) (void)IdentityOfUris(certificate.uris);
  }
  (void)CheckKeyFits(farm.member_key, pem);
  (void)CheckKeyFits(pem, farm.member);
  (void)CheckCertificate(pem, farm.authority, kUnixMs);
  (void)CheckCertificate(farm.member, pem, kUnixMs);
  const auto signed_by_us =
      SignRequest(pem, farm.key, farm.authority,
                  {.uri = "hone:agent/a", .unix_ms = kUnixMs, .valid_ms = kDayMs});
  if (signed_by_us.ok()) {
    HONE_CHECK(ReadCertificates(*signed_by_us).ok());
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
