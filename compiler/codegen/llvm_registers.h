// Buffers of register scope as SSA values: the elements of each are divided into units, a unit
// being what all accesses treat as one value (a vector, or a scalar). Statement emission carries
// the units that a loop or branch changes through phis; there is never memory behind them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/status.h"
#include "compiler/ir/stmt.h"
#include "llvm/IR/IRBuilder.h"

namespace hone {

class RegisterFile {
 public:
  // Finds the register buffers allocated in `body` and divides them into units. InvalidArgument if
  // an access is not a constant or a ramp of stride 1 from a constant.
  static StatusOr<RegisterFile> Make(const Stmt& body);

  bool Has(absl::string_view buffer) const { return dtypes_.count(std::string(buffer)) > 0; }
  bool empty() const { return dtypes_.empty(); }

  llvm::Value* Read(llvm::IRBuilder<>& builder, absl::string_view buffer, const Expr& index);
  void Write(llvm::IRBuilder<>& builder, absl::string_view buffer, const Expr& index,
             llvm::Value* value);

  // The unit that an access of all of it names; nullopt if it names another part of the buffer.
  std::optional<int> UnitOf(absl::string_view buffer, const std::vector<Expr>& indices) const;

  // Units that `body` stores to and that outlive it, ascending.
  std::vector<int> StoredIn(const Stmt& body) const;
  // The value of a unit; poison where nothing was stored yet.
  llvm::Value* Get(llvm::LLVMContext& context, int unit) const;
  void Set(int unit, llvm::Value* value) { units_[unit].value = value; }

 private:
  struct Unit {
    Type type;
    llvm::Value* value = nullptr;
  };
  // First element and lanes.
  using Span = std::pair<int64_t, int>;

  void Divide(const std::string& buffer, std::vector<Span> spans);

  std::map<std::string, DType> dtypes_;
  std::map<std::pair<std::string, int64_t>, int> unit_of_;  // by buffer and first element
  std::vector<Unit> units_;
};

}  // namespace hone
