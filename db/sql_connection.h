// What the stores of db/ ask of a database that speaks SQL: statements, and changes that are whole
// or not at all, whatever happens to the connection. SqlStore is written against it;
// SqliteConnection and PostgresConnection implement it. It knows no table.
//
// The SQL is what both understand: places are ?1, ?2, ...; booleans are integers.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "base/status.h"

namespace hone {

// Used again and again: bind all places, Step until false, Reset. Places count from 1, columns from
// 0.
class SqlStatement {
 public:
  virtual ~SqlStatement() = default;

  virtual void BindText(int place, absl::string_view text) = 0;   // copies
  virtual void BindBlob(int place, absl::string_view bytes) = 0;  // copies
  virtual void BindInteger(int place, int64_t value) = 0;
  virtual void BindReal(int place, double value) = 0;
  virtual void BindNull(int place) = 0;

  // True when there is a row to read.
  virtual StatusOr<bool> Step() = 0;
  // For statements without rows: steps once and resets.
  Status Run();
  virtual void Reset() = 0;

  virtual std::string Text(int column) const = 0;
  virtual std::string Blob(int column) const = 0;
  virtual int64_t Integer(int column) const = 0;
  virtual double Real(int column) const = 0;
  virtual bool IsNull(int column) const = 0;
};

struct ResetStatement {
  void operator()(SqlStatement* statement) const { statement->Reset(); }
};
// A statement while it is used: the connection keeps it, for the next time.
using SqlCursor = std::unique_ptr<SqlStatement, ResetStatement>;

class SqlConnection {
 public:
  virtual ~SqlConnection() = default;

  // Compiled once: a program has a bounded number of different texts. Not to be asked for again
  // while it is used.
  virtual StatusOr<SqlCursor> Prepare(absl::string_view sql) = 0;
  // Runs statements that give no rows that matter.
  virtual Status Run(const std::string& sql) = 0;

  // Runs `ask`, which only reads. Perhaps more than once: what counts is what it left last.
  virtual Status Read(absl::FunctionRef<Status()> ask) = 0;
  // Runs `change` in a transaction, which is safe on disk when this returns OK, and without effect
  // when it returns what `change` did. Perhaps runs it more than once: what counts is what it left
  // last. Unavailable when it cannot be told which of the two: then whoever asks anew must be able
  // to find out.
  virtual Status Write(absl::FunctionRef<Status()> change) = 0;
  // Whether Write would work. Writes a little, and changes nothing.
  virtual Status Probe() = 0;

  // An expression: the database's own clock, in milliseconds since 1970.
  virtual absl::string_view now_unix_ms() const = 0;

  // The first column of the first row; 0 or "" without one.
  StatusOr<int64_t> QueryInteger(absl::string_view sql);
  StatusOr<std::string> QueryText(absl::string_view sql);
};

}  // namespace hone
