// Every parser of a text form takes any bytes and answers with a value or an error. The first byte
// chooses the parser.
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "base/target.h"
#include "compiler/ir/layout.h"
#include "compiler/ir/program_text.h"
#include "compiler/ir/workload.h"
#include "compiler/schedule/schedule.h"
#include "tuner/space/sketch.h"

namespace hone {
namespace {

// What parsed must print as a text that parses to the same print.
template <typename T>
void CheckRoundTrip(const StatusOr<T>& parsed) {
  if (!parsed.ok()) return;
  const std::string text = parsed->ToString();
  const StatusOr<T> again = T::Parse(text);
  HONE_CHECK(again.ok()) << again.status() << "\n" << text;
  HONE_CHECK(again->ToString() == text) << text;
}

}  // namespace
}  // namespace hone

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const absl::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 6) {
    case 0:
      hone::CheckRoundTrip(hone::Target::Parse(text));
      break;
    case 1:
      hone::CheckRoundTrip(hone::Layout::Parse(text));
      break;
    case 2:
      hone::CheckRoundTrip(hone::Workload::Parse(text));
      break;
    case 3:
      hone::CheckRoundTrip(hone::Schedule::Parse(text));
      break;
    case 4:
      hone::CheckRoundTrip(hone::Sketch::Parse(text));
      break;
    case 5:
      (void)hone::ParseProgram(text);
      break;
  }
  return 0;
}
