// Requests to the farm's page, as anybody on the machine can send them: any bytes, in any pieces,
// are read by the server's limits, and answered or refused. What is answered over TCP named this
// machine.
#include <fuzzer/FuzzedDataProvider.h>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http.hpp>
#include <cstddef>
#include <cstdint>
#include <string>

#include "base/check.h"
#include "tracker/web_answer.h"
#include "tracker/web_server.h"

namespace hone {
namespace {

namespace http = boost::beast::http;

void Run(FuzzedDataProvider& input) {
  const bool tcp = input.ConsumeBool();
  const bool is_well = input.ConsumeBool();
  http::request_parser<http::string_body> parser;
  parser.header_limit(WebLimits().header_bytes_max);
  parser.body_limit(0);
  std::string bytes;
  while (!parser.is_done()) {
    if (input.remaining_bytes() == 0) return;
    bytes += input.ConsumeRandomLengthString(64);
    if (bytes.empty()) continue;  // the server hands on what it has read, never nothing
    boost::system::error_code error;
    const size_t taken = parser.put(boost::asio::buffer(bytes), error);
    bytes.erase(0, taken);
    if (error && error != http::error::need_more) return;
    if (bytes.size() > 8 << 10) return;
  }
  const auto view = [](boost::beast::string_view text) {
    return absl::string_view(text.data(), text.size());
  };
  const auto& request = parser.get();
  const WebQuestion question = {.method = view(request.method_string()),
                                .target = view(request.target()),
                                .host = view(request[http::field::host]),
                                .tcp = tcp};
  const WebSource source = {
      .snapshot = [](const pb::SnapshotRequest&) { return pb::FarmSnapshot(); },
      .health = [&] { return is_well ? absl::OkStatus() : absl::UnavailableError("disk full"); }};
  const WebAnswer answer = AnswerTo(question, source);
  HONE_CHECK(answer.status >= 200 && answer.status < 600);
  HONE_CHECK(answer.is_stream || !answer.body.empty());
  const bool names_us = question.host.find("localhost") != absl::string_view::npos ||
                        question.host.find("127.0.0.1") != absl::string_view::npos ||
                        question.host.find("::1") != absl::string_view::npos;
  HONE_CHECK(!tcp || names_us || answer.status == 405 || answer.status == 421);
}

}  // namespace
}  // namespace hone

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzedDataProvider input(data, size);
  hone::Run(input);
  return 0;
}
