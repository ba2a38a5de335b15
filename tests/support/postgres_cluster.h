// A throw-away PostgreSQL server for the tests of one program: its files in a folder of its own, on
// a unix socket alone, with fsync. Gone with the program, however that ends.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "base/status.h"

namespace hone {

class PostgresCluster {
 public:
  // The one of this program, made when it is first asked for. NotFound where PostgreSQL is not
  // installed: tests skip, and say so.
  static StatusOr<PostgresCluster*> OfThisProgram();
  ~PostgresCluster();

  // Makes an empty database, and returns its address.
  std::string NewDatabase();
  // Runs SQL in a database behind the store's back; the first column of the first row, or "".
  std::string Run(const std::string& url, const std::string& sql);

  // Ends the server as a power cut would, and starts it again.
  void Crash();
  void Restart();
  const std::string& folder() const { return folder_; }

 private:
  PostgresCluster() = default;
  Status Init();
  std::string AddressOf(const std::string& database) const;

  std::string programs_;  // folder of initdb and postgres
  std::string folder_;
  pid_t server_ = 0;
  int databases_ = 0;
};

}  // namespace hone
