#include "rpc/certificate_keeper.h"

#include <utility>

#include "absl/time/clock.h"
#include "rpc/membership.h"

namespace hone {
namespace {

constexpr absl::Duration kPeriod = absl::Hours(1);

}  // namespace

CertificateKeeper::CertificateKeeper(std::string tracker, TlsFolder folder,
                                     std::function<void(const Status&)> told)
    : tracker_(std::move(tracker)),
      folder_(std::move(folder)),
      told_(std::move(told)),
      thread_([this] { Run(); }) {}

CertificateKeeper::~CertificateKeeper() {
  stopping_.Notify();
  thread_.join();
}

void CertificateKeeper::Run() {
  do {
    const StatusOr<bool> due = IsRenewalDue(folder_, absl::ToUnixMillis(absl::Now()));
    if (!due.ok()) {
      told_(due.status());
    } else if (*due) {
      told_(RenewMembership(tracker_, folder_).status());
    }
  } while (!stopping_.WaitForNotificationWithTimeout(kPeriod));
}

}  // namespace hone
