// What it becomes on x86-64 (operands: accumulators, temporaries, base addresses):
//
//   let t1 = broadcast(x[i*8+2];8)                  vbroadcastss 8($6), $4
//   let t2 = w[ramp(i*16,1;8)]                -->   vmovups 0($7), $5
//   a[ramp(0,1;8)] = fma(t1,t2,a[ramp(0,1;8)])      vfmadd231ps $4, $5, $0
//
// A value that is used once is an operand in memory instead. Temporaries are handed out in order of
// use, as few as there are values alive at a time: out-of-order cores rename them anyway.
#include "compiler/codegen/multiply_add_block.h"

#include <algorithm>
#include <deque>
#include <limits>
#include <optional>
#include <set>

#include "absl/strings/str_cat.h"
#include "compiler/codegen/llvm_values.h"
#include "llvm/IR/InlineAsm.h"

namespace hone {
namespace {

// Assembly is parsed by a parser of its own, so a few instructions are not worth it.
constexpr int kMultiplyAddsMin = 6;
// Base addresses are all in registers at once, beside the counters of the loops around.
constexpr size_t kBasesMax = 4;

bool ReadsMemory(const Expr& e) {
  return e.kind() == ExprKind::kLoad || std::any_of(e.args().begin(), e.args().end(), ReadsMemory);
}

bool IsPlainLoad(const Expr& e) {
  return e.kind() == ExprKind::kLoad && e.type().dtype == DType::kF32 && !e->has_otherwise &&
         e.args().size() == 1 && !ReadsMemory(e.arg(0));
}

bool IsContiguous(const Expr& index) {
  return index.kind() == ExprKind::kRamp && index.arg(1).IsInt(1);
}

// Names of `names` that `statements` from `begin` on use.
std::set<std::string> UsedAfter(const std::vector<Stmt>& statements, size_t begin,
                                const std::map<std::string, size_t>& names) {
  std::set<std::string> used;
  if (names.empty()) return used;
  for (size_t i = begin; i < statements.size(); ++i) {
    Visit(statements[i], nullptr, [&](const Expr& whole) {
      Visit(whole, [&](const Expr& e) {
        if (e.kind() == ExprKind::kVar && names.count(e->name) > 0) used.insert(e->name);
      });
    });
  }
  return used;
}

}  // namespace

bool MultiplyAddBlock::TakeLanes(int lanes, const NativeOps& native) {
  const int bytes = lanes * DTypeBytes(DType::kF32);
  if (lanes_ != 0) return lanes == lanes_;
  if (bytes != 16 && bytes != 32 && bytes != 64) return false;
  if (bytes > native.multiply_add_bytes) return false;
  lanes_ = lanes;
  return true;
}

bool MultiplyAddBlock::ReadLet(const Stmt& s, std::map<std::string, int>* values) {
  const Expr& value = s->value;
  Step step;
  if (IsPlainLoad(value) && IsContiguous(value.arg(0))) {
    step = {.kind = Kind::kLoad, .buffer = value->name, .index = value.arg(0).arg(0)};
  } else if (value.kind() == ExprKind::kBroadcast && IsPlainLoad(value.arg(0)) &&
             value.arg(0).type().lanes == 1) {
    step = {.kind = Kind::kSplat, .buffer = value.arg(0)->name, .index = value.arg(0).arg(0)};
  } else {
    return false;
  }
  (*values)[s->name] = static_cast<int>(steps_.size());
  steps_.push_back(std::move(step));
  return true;
}

bool MultiplyAddBlock::ReadStore(const Stmt& s, const RegisterFile& registers,
                                 const std::map<std::string, int>& values) {
  const Expr& value = s->value;
  if (value.kind() != ExprKind::kFma || value.type().dtype != DType::kF32) return false;
  const std::optional<int> unit = registers.UnitOf(s->name, s->indices);
  const Expr& sum = value.arg(2);
  if (!unit || sum.kind() != ExprKind::kLoad || sum->name != s->name || sum->has_otherwise ||
      registers.UnitOf(sum->name, Indices(sum)) != unit) {
    return false;
  }
  Step step{.kind = Kind::kMultiplyAdd, .unit = *unit};
  for (int i = 0; i < 2; ++i) {
    const Expr& factor = value.arg(i);
    const auto found = factor.kind() == ExprKind::kVar ? values.find(factor->name) : values.end();
    if (found == values.end()) return false;
    step.factors[i] = found->second;
  }
  steps_.push_back(step);
  return true;
}

MultiplyAddBlock MultiplyAddBlock::Find(const std::vector<Stmt>& statements, size_t begin,
                                        const NativeOps& native, const RegisterFile& registers) {
  MultiplyAddBlock block;
  if (native.multiply_add_bytes == 0 || registers.empty()) return block;
  std::map<std::string, int> values;
  std::map<std::string, size_t> names;  // and where they are given
  size_t end = begin;
  for (; end < statements.size(); ++end) {
    const Stmt& s = statements[end];
    if (s.kind() == StmtKind::kLet) {
      if (!block.TakeLanes(s->value.type().lanes, native) || registers.Has(s->name)) break;
      if (!block.ReadLet(s, &values) || registers.Has(block.steps_.back().buffer)) break;
      names[s->name] = end;
    } else if (s.kind() == StmtKind::kStore && registers.Has(s->name)) {
      if (!block.TakeLanes(s->value.type().lanes, native)) break;
      if (!block.ReadStore(s, registers, values)) break;
    } else if (s.kind() == StmtKind::kPrefetch && s->indices.size() == 1 &&
               !ReadsMemory(s->indices[0])) {
      block.steps_.push_back({.kind = Kind::kPrefetch, .buffer = s->name, .index = s->indices[0]});
    } else {
      break;
    }
  }
  // What is used further on has to be a value of LLVM's, so the block ends before it.
  for (std::set<std::string> used = UsedAfter(statements, end, names); !used.empty();
       used = UsedAfter(statements, end, names)) {
    for (const std::string& name : used) end = std::min(end, names.at(name));
    std::erase_if(names, [&](const auto& one) { return one.second >= end; });
  }
  block.steps_.resize(end - begin);
  if (block.CountUses() < kMultiplyAddsMin) return block;
  std::vector<int> temporaries;
  const int count = block.AssignTemporaries(&temporaries);
  block.worth_it_ = static_cast<int>(block.units_.size()) + count <= block.RegisterCount();
  return block;
}

int MultiplyAddBlock::CountUses() {
  units_.clear();
  for (Step& step : steps_) step.uses = 0;
  int multiply_adds = 0;
  for (size_t i = 0; i < steps_.size(); ++i) {
    const Step& step = steps_[i];
    if (step.kind != Kind::kMultiplyAdd) continue;
    ++multiply_adds;
    for (int factor : step.factors) {
      ++steps_[static_cast<size_t>(factor)].uses;
      steps_[static_cast<size_t>(factor)].last_use = static_cast<int>(i);
    }
    if (std::find(units_.begin(), units_.end(), step.unit) == units_.end()) {
      units_.push_back(step.unit);
    }
  }
  return multiply_adds;
}

MultiplyAddBlock MultiplyAddBlock::Head(size_t steps) const {
  size_t cut = 0;
  int last_use = -1;  // of the values so far
  for (size_t i = 0; i < steps; ++i) {
    if (steps_[i].uses > 0) last_use = std::max(last_use, steps_[i].last_use);
    if (last_use <= static_cast<int>(i)) cut = i + 1;
  }
  MultiplyAddBlock head = *this;
  head.steps_.resize(cut);
  head.worth_it_ = head.CountUses() > 0;
  return head;
}

// 512-bit instructions reach twice as many.
int MultiplyAddBlock::RegisterCount() const { return lanes_ == 16 ? 32 : 16; }

bool MultiplyAddBlock::IsFolded(int step, const Step& user) const {
  const Step& made = steps_[static_cast<size_t>(step)];
  if (made.uses != 1 || (made.kind == Kind::kSplat && lanes_ != 16)) return false;
  if (step == user.factors[0]) return true;
  // Of two that could be, one.
  const Step& other = steps_[static_cast<size_t>(user.factors[0])];
  return other.uses != 1 || (other.kind == Kind::kSplat && lanes_ != 16);
}

int MultiplyAddBlock::AssignTemporaries(std::vector<int>* temporaries) const {
  temporaries->assign(steps_.size(), -1);
  std::deque<int> free;
  int count = 0;
  for (size_t i = 0; i < steps_.size(); ++i) {
    const Step& step = steps_[i];
    if (step.kind == Kind::kMultiplyAdd) {
      for (int k = 0; k < 2; ++k) {
        const auto factor = static_cast<size_t>(step.factors[k]);
        const bool again = k == 1 && step.factors[0] == step.factors[1];
        if (steps_[factor].last_use == static_cast<int>(i) && (*temporaries)[factor] >= 0 &&
            !again) {
          free.push_back((*temporaries)[factor]);
        }
      }
    } else if (step.kind != Kind::kPrefetch && step.uses > 0) {
      const Step& user = steps_[static_cast<size_t>(step.last_use)];
      if (IsFolded(static_cast<int>(i), user)) continue;
      if (free.empty()) free.push_back(count++);
      (*temporaries)[i] = free.front();
      free.pop_front();
    }
  }
  return count;
}

size_t MultiplyAddBlock::Emit(llvm::IRBuilder<>& builder, ExprEmitter& exprs,
                              RegisterFile& registers) const {
  std::vector<int> temporaries;
  const int temporary_count = AssignTemporaries(&temporaries);
  const size_t outputs = units_.size() + static_cast<size_t>(temporary_count);
  std::vector<llvm::Value*> bases;
  std::vector<std::string> places(steps_.size());  // operands in memory
  std::map<std::pair<absl::string_view, const ExprNode*>, ExprEmitter::Place> known;
  const auto place_of = [&](const Step& step) -> std::optional<ExprEmitter::Place> {
    const OffsetIndex split = SplitOffset(step.index);
    auto found = known.find({step.buffer, split.index.get()});
    if (found == known.end()) {
      const std::optional<ExprEmitter::Place> place = exprs.PlaceOf(step.buffer, split.index);
      if (!place) return std::nullopt;
      found = known.insert({{step.buffer, split.index.get()}, *place}).first;
    }
    ExprEmitter::Place place = found->second;
    place.bytes += split.offset * DTypeBytes(exprs.MemoryDType(step.buffer));
    return place;
  };
  for (size_t i = 0; i < steps_.size(); ++i) {
    const Step& step = steps_[i];
    if (step.kind == Kind::kMultiplyAdd || (step.kind != Kind::kPrefetch && step.uses == 0)) {
      continue;
    }
    const std::optional<ExprEmitter::Place> place = place_of(step);
    if (!place || place->bytes < std::numeric_limits<int32_t>::min() ||
        place->bytes > std::numeric_limits<int32_t>::max()) {
      return 0;
    }
    auto base = std::find(bases.begin(), bases.end(), place->base);
    if (base == bases.end()) {
      if (bases.size() == kBasesMax) {
        const MultiplyAddBlock head = Head(i);
        return head.IsWorthIt() ? head.Emit(builder, exprs, registers) : 0;
      }
      base = bases.insert(bases.end(), place->base);
    }
    places[i] =
        absl::StrCat(place->bytes, "($", outputs + static_cast<size_t>(base - bases.begin()), ")");
    if (step.kind == Kind::kSplat && lanes_ == 16 && temporaries[i] < 0) places[i] += "{1to16}";
  }

  auto unit_operand = [&](int unit) {
    return absl::StrCat("$", std::find(units_.begin(), units_.end(), unit) - units_.begin());
  };
  auto operand = [&](size_t step) {
    if (temporaries[step] < 0) return places[step];
    return absl::StrCat("$", units_.size() + static_cast<size_t>(temporaries[step]));
  };
  std::string text;
  for (size_t i = 0; i < steps_.size(); ++i) {
    const Step& step = steps_[i];
    if (step.kind == Kind::kPrefetch) {
      absl::StrAppend(&text, "prefetcht1 ", places[i], "\n");
    } else if (step.kind == Kind::kMultiplyAdd) {
      // The first operand is the one that may be in memory.
      std::string first = operand(static_cast<size_t>(step.factors[0]));
      std::string second = operand(static_cast<size_t>(step.factors[1]));
      if (temporaries[static_cast<size_t>(step.factors[1])] < 0) std::swap(first, second);
      absl::StrAppend(&text, "vfmadd231ps ", first, ", ", second, ", ", unit_operand(step.unit),
                      "\n");
    } else if (temporaries[i] >= 0) {
      absl::StrAppend(&text, step.kind == Kind::kSplat ? "vbroadcastss " : "vmovups ", places[i],
                      ", ", operand(i), "\n");
    }
  }

  // Every result is written before the last address is read.
  std::string constraints;
  const char* vector_register = lanes_ == 16 ? "=&v" : "=&x";
  for (size_t i = 0; i < outputs; ++i) absl::StrAppend(&constraints, vector_register, ",");
  for (size_t i = 0; i < bases.size(); ++i) absl::StrAppend(&constraints, "r,");
  for (size_t i = 0; i < units_.size(); ++i) absl::StrAppend(&constraints, i, ",");
  constraints += "~{memory}";
  llvm::Type* vector = RegisterType(builder.getContext(), {DType::kF32, lanes_});
  std::vector<llvm::Value*> arguments = bases;
  for (int unit : units_) arguments.push_back(registers.Get(builder.getContext(), unit));
  std::vector<llvm::Type*> types;
  for (llvm::Value* argument : arguments) types.push_back(argument->getType());
  llvm::Type* result = vector;
  if (outputs > 1) {
    result = llvm::StructType::get(builder.getContext(), std::vector<llvm::Type*>(outputs, vector));
  }
  auto* type = llvm::FunctionType::get(result, types, false);
  llvm::Value* values = builder.CreateCall(
      llvm::InlineAsm::get(type, text, constraints, /*hasSideEffects=*/true), arguments);
  for (size_t i = 0; i < units_.size(); ++i) {
    registers.Set(units_[i], outputs > 1
                                 ? builder.CreateExtractValue(values, static_cast<unsigned>(i))
                                 : values);
  }
  exprs.CountRegisterStores(static_cast<int>(steps_.size()));
  return steps_.size();
}

}  // namespace hone
