#include "compiler/ir/evaluate.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "compiler/ir/scalar.h"
#include "compiler/ir/tensor_intrinsic.h"

namespace hone {
namespace {

// One lane: integers and bool in `i` (sign- or zero-extended from their width), floats in `f`.
struct Lane {
  int64_t i = 0;
  double f = 0;
};

struct Value {
  Type type;
  std::vector<Lane> lanes;
};

// Which lanes may read memory; empty means all.
using Mask = std::vector<bool>;

uint64_t LowMask(DType dtype) {
  return DTypeBytes(dtype) == 8 ? ~uint64_t{0} : (uint64_t{1} << (DTypeBytes(dtype) * 8)) - 1;
}

uint64_t ToBits(const Lane& lane, DType dtype) { return BitsOf(dtype, lane.f, lane.i); }

Lane FromBits(uint64_t bits, DType dtype) {
  if (IsFloat(dtype)) return {.f = RealOf(dtype, bits)};
  return {.i = WrapToDType(static_cast<int64_t>(bits), dtype)};
}

// Truncates; what does not fit gives the smallest integer, as x86 does.
int64_t FloatToInt(double value, DType dtype) {
  if (dtype == DType::kU64) return static_cast<int64_t>(static_cast<uint64_t>(value));
  const bool wide = dtype == DType::kI64 || dtype == DType::kU32;
  const double limit = wide ? 0x1p63 : 0x1p31;
  const int64_t smallest = wide ? INT64_MIN : INT32_MIN;
  if (!(value > -limit - 1 && value < limit)) return WrapToDType(smallest, dtype);
  return WrapToDType(static_cast<int64_t>(value), dtype);
}

Lane CastLane(const Lane& lane, DType from, DType to) {
  Lane result;
  if (to == DType::kBool) {
    result.i = IsFloat(from) ? lane.f != 0 : lane.i != 0;
  } else if (IsFloat(to)) {
    double value = lane.f;
    if (!IsFloat(from)) {
      // Integers round once, straight to the result's type, except through f32 to the halves.
      const bool is_u64 = from == DType::kU64;
      if (to == DType::kF64) {
        value = is_u64 ? static_cast<double>(static_cast<uint64_t>(lane.i))
                       : static_cast<double>(lane.i);
      } else {
        value =
            is_u64 ? static_cast<float>(static_cast<uint64_t>(lane.i)) : static_cast<float>(lane.i);
      }
    }
    result.f = RoundToDType(value, to);
  } else {
    result.i = IsFloat(from) ? FloatToInt(lane.f, to) : WrapToDType(lane.i, to);
  }
  return result;
}

double FloatUnary(UnaryOp op, double a) {
  switch (op) {
    case UnaryOp::kNeg:
      return -a;
    case UnaryOp::kAbs:
      return std::fabs(a);
    case UnaryOp::kSqrt:
      return std::sqrt(a);
    case UnaryOp::kExp:
      return std::exp(a);
    case UnaryOp::kLog:
      return std::log(a);
    case UnaryOp::kTanh:
      return std::tanh(a);
    case UnaryOp::kErf:
      return std::erf(a);
    case UnaryOp::kSigmoid:
      return 1 / (1 + std::exp(-a));
    case UnaryOp::kSin:
      return std::sin(a);
    case UnaryOp::kCos:
      return std::cos(a);
    case UnaryOp::kFloor:
      return std::floor(a);
    case UnaryOp::kCeil:
      return std::ceil(a);
    case UnaryOp::kRound:
      return std::nearbyint(a);
    case UnaryOp::kTrunc:
      return std::trunc(a);
    case UnaryOp::kNot:
      break;
  }
  return a;
}

// Float arithmetic in double and rounded after: for f32 and narrower that is the operation itself.
double FloatArithmetic(BinaryOp op, double a, double b) {
  switch (op) {
    case BinaryOp::kAdd:
      return a + b;
    case BinaryOp::kSub:
      return a - b;
    case BinaryOp::kMul:
      return a * b;
    case BinaryOp::kDiv:
      return a / b;
    case BinaryOp::kMin:
      return a < b || std::isnan(a) ? a : b;
    case BinaryOp::kMax:
      return a > b || std::isnan(a) ? a : b;
    case BinaryOp::kPow:
      return std::pow(a, b);
    default:
      return a;
  }
}

template <typename T>
bool Compare(BinaryOp op, T a, T b) {
  switch (op) {
    case BinaryOp::kLess:
      return a < b;
    case BinaryOp::kLessEqual:
      return a <= b;
    case BinaryOp::kEqual:
      return a == b;
    default:
      return a != b;
  }
}

bool IsComparison(BinaryOp op) {
  return op == BinaryOp::kLess || op == BinaryOp::kLessEqual || op == BinaryOp::kEqual ||
         op == BinaryOp::kNotEqual;
}

// Wrapping arithmetic in 64 bits; the caller wraps to the type. A divisor of 0 counts as 1.
int64_t IntArithmetic(BinaryOp op, int64_t a, int64_t b, DType dtype) {
  const auto ua = static_cast<uint64_t>(a);
  const auto ub = static_cast<uint64_t>(b);
  const bool is_signed = IsSigned(dtype);
  const uint64_t bits = static_cast<uint64_t>(DTypeBytes(dtype)) * 8;
  switch (op) {
    case BinaryOp::kAdd:
      return static_cast<int64_t>(ua + ub);
    case BinaryOp::kSub:
      return static_cast<int64_t>(ua - ub);
    case BinaryOp::kMul:
      return static_cast<int64_t>(ua * ub);
    case BinaryOp::kDiv:
    case BinaryOp::kFloorDiv:
    case BinaryOp::kFloorMod: {
      if (b == 0) return op == BinaryOp::kFloorMod ? 0 : a;
      if (!is_signed) return static_cast<int64_t>(op == BinaryOp::kFloorMod ? ua % ub : ua / ub);
      if (b == -1) return op == BinaryOp::kFloorMod ? 0 : static_cast<int64_t>(0 - ua);
      const bool down = op != BinaryOp::kDiv && a % b < 0;
      if (op == BinaryOp::kFloorMod) return a % b + (down ? b : 0);
      return a / b - (down ? 1 : 0);
    }
    case BinaryOp::kMin:
      return (is_signed ? a < b : ua < ub) ? a : b;
    case BinaryOp::kMax:
      return (is_signed ? a > b : ua > ub) ? a : b;
    case BinaryOp::kAnd:
      return a & b;
    case BinaryOp::kOr:
      return a | b;
    case BinaryOp::kXor:
      return a ^ b;
    case BinaryOp::kShiftLeft:
      return ub >= bits ? 0 : static_cast<int64_t>(ua << ub);
    case BinaryOp::kShiftRight:
      return ub >= bits ? 0 : static_cast<int64_t>((ua & LowMask(dtype)) >> ub);
    default:
      return a;
  }
}

// A buffer while the program runs. Local ones own their bytes.
struct Storage {
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;
  char* bytes = nullptr;
  std::string own;

  int64_t Elements() const { return ElementCount(shape); }
};

constexpr int64_t kTileBytes = kTileRows * kTileRowBytes;

// What a tile holds, element by element.
std::vector<Lane> ElementsOf(const char* tile, DType dtype) {
  const auto bytes = static_cast<size_t>(DTypeBytes(dtype));
  std::vector<Lane> elements(static_cast<size_t>(kTileBytes) / bytes);
  for (size_t i = 0; i < elements.size(); ++i) {
    uint64_t bits = 0;
    std::memcpy(&bits, tile + i * bytes, bytes);
    elements[i] = FromBits(bits, dtype);
  }
  return elements;
}

// result[m,n] += sum of left[m, k] * right[k / group, n, k % group], as the instruction rounds: the
// products of each place in the group are summed in fp32 by themselves, then these sums, then the
// result.
void MultiplyTiles(const TensorIntrinsic& intrinsic, const char* left_tile, const char* right_tile,
                   char* result_tile) {
  const int64_t depth = intrinsic.tile.depth;
  const int64_t columns = intrinsic.tile.columns;
  const int64_t group = intrinsic.group;
  const bool is_float = IsFloat(intrinsic.result);
  const std::vector<Lane> left = ElementsOf(left_tile, intrinsic.left);
  const std::vector<Lane> right = ElementsOf(right_tile, intrinsic.right);
  const std::vector<Lane> result = ElementsOf(result_tile, intrinsic.result);
  for (int64_t m = 0; m < intrinsic.tile.rows; ++m) {
    for (int64_t n = 0; n < columns; ++n) {
      float sums[2] = {0, 0};
      int64_t integers = 0;
      for (int64_t k = 0; k < depth; ++k) {
        const Lane& a = left[m * depth + k];
        const Lane& b = right[(k / group * columns + n) * group + k % group];
        if (is_float) {
          float& sum = sums[k % group];
          sum = std::fma(static_cast<float>(a.f), static_cast<float>(b.f), sum);
        } else {
          integers += a.i * b.i;
        }
      }
      const int64_t at = m * columns + n;
      const Lane sum = {.i = result[at].i + integers,
                        .f = static_cast<float>(result[at].f) + (sums[0] + sums[1])};
      const uint64_t bits = ToBits(sum, intrinsic.result);
      std::memcpy(result_tile + at * 4, &bits, 4);
    }
  }
}

class Interpreter {
 public:
  Status Run(const Stmt& s);
  Value Eval(const Expr& e, const Mask& mask);

  void BindInt(const std::string& name, int64_t value) {
    variables_[name] = {Type{DType::kI64, 1}, {Lane{.i = value}}};
  }
  Status BindBuffer(const Buffer& buffer, Tensor* tensor);
  void BindTensor(const std::string& name, const Tensor& tensor) {
    buffers_[name] = {tensor.dtype, tensor.shape, const_cast<char*>(tensor.bytes.data()), ""};
  }
  const Status& status() const { return status_; }

 private:
  void Fail(Status status) { status_.Update(std::move(status)); }
  StatusOr<std::vector<int64_t>> ShapeOf(const Buffer& buffer);
  Status RunFor(const Stmt& s);
  Status RunStore(const Stmt& s);
  Status RunTile(const Stmt& s);
  // The bytes of the tile that index `i` of a tile statement numbers.
  StatusOr<char*> TileBytes(const std::string& name, const Stmt& s, int i);
  StatusOr<const Storage*> FindStorage(const std::string& name) const;
  // The element that `indices` name for a lane; -1 outside of the buffer.
  int64_t Offset(const Storage& storage, const std::vector<Value>& indices, size_t lane) const;
  Status OutOfBounds(const std::string& name, const Storage& storage,
                     const std::vector<Value>& indices, size_t lane) const;
  Value EvalUnary(const Expr& e, const Mask& mask);
  Value EvalBinary(const Expr& e, const Mask& mask);
  Value EvalFma(const Expr& e, const Mask& mask);
  Value EvalDot(const Expr& e);
  Value EvalSelect(const Expr& e, const Mask& mask);
  Value EvalLoad(const Expr& e, const Mask& mask);

  std::unordered_map<std::string, Value> variables_;
  std::unordered_map<std::string, Storage> buffers_;
  Status status_;
};

StatusOr<std::vector<int64_t>> Interpreter::ShapeOf(const Buffer& buffer) {
  std::vector<int64_t> shape;
  for (const Expr& extent : buffer.shape) shape.push_back(Eval(extent, {}).lanes[0].i);
  HONE_RETURN_IF_ERROR(status_);
  return shape;
}

Status Interpreter::BindBuffer(const Buffer& buffer, Tensor* tensor) {
  HONE_ASSIGN_OR_RETURN(std::vector<int64_t> shape, ShapeOf(buffer));
  Storage storage{buffer.dtype, std::move(shape), nullptr, ""};
  const int64_t bytes = storage.Elements() * DTypeBytes(buffer.dtype);
  if (tensor == nullptr) {
    // Contents are undefined: make what depends on them conspicuous.
    storage.own.assign(static_cast<size_t>(bytes), '\xEE');
  } else if (tensor->Bytes() != bytes || tensor->dtype != buffer.dtype) {
    return absl::InvalidArgumentError(
        absl::StrCat("evaluate: buffer '", buffer.name, "' is ", DTypeName(buffer.dtype),
                     ShapeText(storage.shape), ", its tensor ", DTypeName(tensor->dtype),
                     ShapeText(tensor->shape)));
  }
  Storage& bound = buffers_[buffer.name] = std::move(storage);
  bound.bytes = tensor == nullptr ? bound.own.data() : tensor->bytes.data();
  return absl::OkStatus();
}

Status Interpreter::Run(const Stmt& s) {
  switch (s.kind()) {
    case StmtKind::kBlock:
      for (const Stmt& child : s->body) HONE_RETURN_IF_ERROR(Run(child));
      return absl::OkStatus();
    case StmtKind::kFor:
      return RunFor(s);
    case StmtKind::kIf: {
      const bool taken = Eval(s->value, {}).lanes[0].i != 0;
      HONE_RETURN_IF_ERROR(status_);
      if (taken) return Run(s->body[0]);
      return s->body.size() > 1 ? Run(s->body[1]) : absl::OkStatus();
    }
    case StmtKind::kLet:
      variables_[s->name] = Eval(s->value, {});
      return status_;
    case StmtKind::kAllocate:
      return BindBuffer(s->buffer, nullptr);
    case StmtKind::kStore:
      return RunStore(s);
    case StmtKind::kPrefetch:
      return absl::OkStatus();
    case StmtKind::kTile:
      return RunTile(s);
  }
  return absl::OkStatus();
}

StatusOr<const Storage*> Interpreter::FindStorage(const std::string& name) const {
  const auto found = buffers_.find(name);
  if (found != buffers_.end()) return &found->second;
  return absl::InvalidArgumentError(absl::StrCat("evaluate: there is no buffer '", name, "'"));
}

StatusOr<char*> Interpreter::TileBytes(const std::string& name, const Stmt& s, int i) {
  HONE_ASSIGN_OR_RETURN(const Storage* tiles, FindStorage(name));
  const int64_t number = Eval(s->indices[i], {}).lanes[0].i;
  HONE_RETURN_IF_ERROR(status_);
  if (number >= 0 && (number + 1) * kTileBytes <= tiles->Elements() * DTypeBytes(tiles->dtype)) {
    return tiles->bytes + number * kTileBytes;
  }
  return absl::OutOfRangeError(absl::StrCat("evaluate: '", name, "' has no tile number ", number));
}

Status Interpreter::RunTile(const Stmt& s) {
  HONE_ASSIGN_OR_RETURN(char* tile, TileBytes(s->name, s, 0));
  if (s->tile_op == TileOp::kZero) {
    std::memset(tile, 0, kTileBytes);
    return absl::OkStatus();
  }
  if (s->tile_op == TileOp::kMultiply) {
    HONE_ASSIGN_OR_RETURN(const TensorIntrinsic* intrinsic, TensorIntrinsicOrError(s->intrinsic));
    HONE_ASSIGN_OR_RETURN(const char* left, TileBytes(s->source, s, 1));
    HONE_ASSIGN_OR_RETURN(const char* right, TileBytes(s->right, s, 2));
    MultiplyTiles(*intrinsic, left, right, tile);
    return absl::OkStatus();
  }
  HONE_ASSIGN_OR_RETURN(const Storage* memory, FindStorage(s->source));
  const int64_t at = Eval(s->indices[1], {}).lanes[0].i;
  const int64_t row_stride = Eval(s->indices[2], {}).lanes[0].i;
  HONE_RETURN_IF_ERROR(status_);
  const int64_t size = DTypeBytes(memory->dtype);
  for (int64_t row = 0; row < kTileRows; ++row) {
    const int64_t first = at + row * row_stride;
    if (first < 0 || first + kTileRowBytes / size > memory->Elements()) {
      return absl::OutOfRangeError(absl::StrCat("evaluate: row ", row, " of a tile, from element ",
                                                first, " on, is outside of '", s->source, "' of ",
                                                memory->Elements(), " elements"));
    }
    char* const in_memory = memory->bytes + first * size;
    char* const in_tile = tile + row * kTileRowBytes;
    if (s->tile_op == TileOp::kStore) {
      std::memcpy(in_memory, in_tile, kTileRowBytes);
    } else {
      std::memcpy(in_tile, in_memory, kTileRowBytes);
    }
  }
  return absl::OkStatus();
}

Status Interpreter::RunFor(const Stmt& s) {
  const int64_t extent = Eval(s->extent, {}).lanes[0].i;
  HONE_RETURN_IF_ERROR(status_);
  for (int64_t i = 0; i < extent; ++i) {
    // Iterations of a parallel loop have no order: take the one that nobody expects.
    BindInt(s->name, s->loop_kind == LoopKind::kParallel ? extent - 1 - i : i);
    HONE_RETURN_IF_ERROR(Run(s->body[0]));
  }
  return absl::OkStatus();
}

int64_t Interpreter::Offset(const Storage& storage, const std::vector<Value>& indices,
                            size_t lane) const {
  auto at = [&](size_t k) { return indices[k].lanes[indices[k].lanes.size() == 1 ? 0 : lane].i; };
  if (indices.size() != storage.shape.size()) {
    if (indices.size() != 1) return -1;
    return at(0) < storage.Elements() ? std::max<int64_t>(-1, at(0)) : -1;
  }
  int64_t offset = 0;
  for (size_t k = 0; k < indices.size(); ++k) {
    if (at(k) < 0 || at(k) >= storage.shape[k]) return -1;
    offset = offset * storage.shape[k] + at(k);
  }
  return offset;
}

Status Interpreter::OutOfBounds(const std::string& name, const Storage& storage,
                                const std::vector<Value>& indices, size_t lane) const {
  std::vector<int64_t> position;
  for (const Value& index : indices) {
    position.push_back(index.lanes[index.lanes.size() == 1 ? 0 : lane].i);
  }
  return absl::OutOfRangeError(absl::StrCat("evaluate: access outside of '", name, "': index ",
                                            ShapeText(position), " of shape ",
                                            ShapeText(storage.shape)));
}

Status Interpreter::RunStore(const Stmt& s) {
  const auto found = buffers_.find(s->name);
  if (found == buffers_.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("evaluate: there is no buffer '", s->name, "' to store to"));
  }
  const Storage& storage = found->second;
  std::vector<Value> indices;
  for (const Expr& index : s->indices) indices.push_back(Eval(index, {}));
  const Value value = Eval(s->value, {});
  HONE_RETURN_IF_ERROR(status_);
  if (value.type.dtype != storage.dtype) {
    return absl::InvalidArgumentError(absl::StrCat("evaluate: a ", DTypeName(value.type.dtype),
                                                   " is stored to '", s->name, "' of ",
                                                   DTypeName(storage.dtype)));
  }
  const int64_t size = DTypeBytes(storage.dtype);
  for (size_t lane = 0; lane < value.lanes.size(); ++lane) {
    const int64_t offset = Offset(storage, indices, lane);
    if (offset < 0) return OutOfBounds(s->name, storage, indices, lane);
    const uint64_t bits = ToBits(value.lanes[lane], storage.dtype);
    std::memcpy(storage.bytes + offset * size, &bits, static_cast<size_t>(size));
  }
  return absl::OkStatus();
}

Value Interpreter::Eval(const Expr& e, const Mask& mask) {
  Value value{e.type(), std::vector<Lane>(static_cast<size_t>(e.type().lanes))};
  if (!status_.ok()) return value;
  if (e.type().lanes == 1 && mask.size() > 1) {
    // A scalar is read if any of its lanes is wanted.
    const bool wanted = std::find(mask.begin(), mask.end(), true) != mask.end();
    return Eval(e, Mask{wanted});
  }
  switch (e.kind()) {
    case ExprKind::kInt:
      value.lanes[0].i = WrapToDType(e->int_value, e.type().dtype);
      return value;
    case ExprKind::kFloat:
      value.lanes[0].f = RoundToDType(e->float_value, e.type().dtype);
      return value;
    case ExprKind::kVar: {
      const auto found = variables_.find(e->name);
      if (found != variables_.end()) return found->second;
      Fail(absl::InvalidArgumentError(
          absl::StrCat("evaluate: there is no variable '", e->name, "'")));
      return value;
    }
    case ExprKind::kUnary:
      return EvalUnary(e, mask);
    case ExprKind::kBinary:
      return EvalBinary(e, mask);
    case ExprKind::kFma:
      return EvalFma(e, mask);
    case ExprKind::kSelect:
      return EvalSelect(e, mask);
    case ExprKind::kLoad:
      return EvalLoad(e, mask);
    case ExprKind::kCast:
    case ExprKind::kBitcast: {
      const Value a = Eval(e.arg(0), mask);
      for (size_t lane = 0; lane < a.lanes.size(); ++lane) {
        value.lanes[lane] = e.kind() == ExprKind::kCast
                                ? CastLane(a.lanes[lane], a.type.dtype, value.type.dtype)
                                : FromBits(ToBits(a.lanes[lane], a.type.dtype), value.type.dtype);
      }
      return value;
    }
    case ExprKind::kRamp: {
      const int64_t base = Eval(e.arg(0), mask).lanes[0].i;
      const int64_t stride = Eval(e.arg(1), mask).lanes[0].i;
      for (size_t lane = 0; lane < value.lanes.size(); ++lane) {
        value.lanes[lane].i =
            WrapToDType(base + static_cast<int64_t>(lane) * stride, e.type().dtype);
      }
      return value;
    }
    case ExprKind::kRepeat: {
      const Value a = Eval(e.arg(0), {});
      for (size_t lane = 0; lane < value.lanes.size(); ++lane) {
        value.lanes[lane] = a.lanes[lane % a.lanes.size()];
      }
      return value;
    }
    case ExprKind::kDot:
      return EvalDot(e);
    case ExprKind::kLookup: {
      const int64_t index = Eval(e.arg(0), {}).lanes[0].i;
      if (index < 0 || index >= static_cast<int64_t>(e->table->size())) {
        Fail(absl::InvalidArgumentError(
            absl::StrCat("evaluate: a lookup at ", index, " in a table of ", e->table->size())));
        return value;
      }
      value.lanes[0].i = (*e->table)[static_cast<size_t>(index)];
      return value;
    }
    case ExprKind::kBroadcast: {
      const Value a = Eval(e.arg(0), mask);
      std::fill(value.lanes.begin(), value.lanes.end(), a.lanes[0]);
      return value;
    }
  }
  return value;
}

Value Interpreter::EvalUnary(const Expr& e, const Mask& mask) {
  Value value = Eval(e.arg(0), mask);
  for (Lane& lane : value.lanes) {
    if (IsFloat(value.type.dtype)) {
      lane.f = RoundToDType(FloatUnary(e->unary, lane.f), value.type.dtype);
    } else if (e->unary == UnaryOp::kNeg) {
      lane.i =
          WrapToDType(static_cast<int64_t>(0 - static_cast<uint64_t>(lane.i)), value.type.dtype);
    } else if (e->unary == UnaryOp::kAbs) {
      const bool negate = IsSigned(value.type.dtype) && lane.i < 0;
      if (negate) {
        lane.i =
            WrapToDType(static_cast<int64_t>(0 - static_cast<uint64_t>(lane.i)), value.type.dtype);
      }
    } else if (e->unary == UnaryOp::kNot) {
      lane.i =
          value.type.dtype == DType::kBool ? lane.i == 0 : WrapToDType(~lane.i, value.type.dtype);
    } else {
      Fail(absl::InvalidArgumentError(
          absl::StrCat("evaluate: ", UnaryName(e->unary), " of an integer")));
    }
  }
  return value;
}

Value Interpreter::EvalBinary(const Expr& e, const Mask& mask) {
  const Value a = Eval(e.arg(0), mask);
  const Value b = Eval(e.arg(1), mask);
  const DType dtype = a.type.dtype;
  Value value{e.type(), std::vector<Lane>(a.lanes.size())};
  if (a.lanes.size() != b.lanes.size()) {
    Fail(absl::InvalidArgumentError(
        absl::StrCat("evaluate: operands of ", BinaryName(e->binary), " differ in lanes")));
    return value;
  }
  for (size_t lane = 0; lane < a.lanes.size(); ++lane) {
    const Lane& x = a.lanes[lane];
    const Lane& y = b.lanes[lane];
    if (IsComparison(e->binary)) {
      value.lanes[lane].i = IsFloat(dtype)         ? Compare(e->binary, x.f, y.f)
                            : dtype == DType::kU64 ? Compare(e->binary, static_cast<uint64_t>(x.i),
                                                             static_cast<uint64_t>(y.i))
                                                   : Compare(e->binary, x.i, y.i);
    } else if (IsFloat(dtype)) {
      value.lanes[lane].f = RoundToDType(FloatArithmetic(e->binary, x.f, y.f), dtype);
    } else {
      value.lanes[lane].i = WrapToDType(IntArithmetic(e->binary, x.i, y.i, dtype), dtype);
    }
  }
  return value;
}

Value Interpreter::EvalFma(const Expr& e, const Mask& mask) {
  const Value a = Eval(e.arg(0), mask);
  const Value b = Eval(e.arg(1), mask);
  Value c = Eval(e.arg(2), mask);
  const DType dtype = c.type.dtype;
  for (size_t lane = 0; lane < c.lanes.size(); ++lane) {
    const Lane& x = a.lanes[lane];
    const Lane& y = b.lanes[lane];
    Lane& z = c.lanes[lane];
    if (dtype == DType::kF64) {
      z.f = std::fma(x.f, y.f, z.f);
    } else if (IsFloat(dtype)) {
      const float rounded =
          std::fma(static_cast<float>(x.f), static_cast<float>(y.f), static_cast<float>(z.f));
      z.f = RoundToDType(rounded, dtype);
    } else {
      const int64_t product = IntArithmetic(BinaryOp::kMul, x.i, y.i, dtype);
      z.i = WrapToDType(IntArithmetic(BinaryOp::kAdd, product, z.i, dtype), dtype);
    }
  }
  return c;
}

Value Interpreter::EvalDot(const Expr& e) {
  Value sums = Eval(e.arg(0), {});
  const Value left = Eval(e.arg(1), {});
  const Value right = Eval(e.arg(2), {});
  const DType dtype = sums.type.dtype;
  const size_t group = left.lanes.size() / sums.lanes.size();
  for (size_t i = 0; i < left.lanes.size(); ++i) {
    const Lane& x = left.lanes[i];
    const Lane& y = right.lanes[i];
    Lane& sum = sums.lanes[i / group];
    if (IsFloat(dtype)) {
      sum.f = RoundToDType(sum.f + RoundToDType(x.f * y.f, dtype), dtype);
    } else {
      sum.i = WrapToDType(sum.i + x.i * y.i, dtype);
    }
  }
  return sums;
}

Value Interpreter::EvalSelect(const Expr& e, const Mask& mask) {
  const Value condition = Eval(e.arg(0), mask);
  Value value{e.type(), std::vector<Lane>(static_cast<size_t>(e.type().lanes))};
  Mask taken[2] = {Mask(value.lanes.size()), Mask(value.lanes.size())};
  bool any[2] = {false, false};
  for (size_t lane = 0; lane < value.lanes.size(); ++lane) {
    const bool first = condition.lanes[condition.lanes.size() == 1 ? 0 : lane].i != 0;
    const bool wanted = mask.empty() || mask[mask.size() == 1 ? 0 : lane];
    taken[first ? 0 : 1][lane] = wanted;
    any[first ? 0 : 1] = true;
  }
  for (int arm = 0; arm < 2; ++arm) {
    if (!any[arm]) continue;
    const Value from = Eval(e.arg(arm + 1), taken[arm]);
    for (size_t lane = 0; lane < value.lanes.size(); ++lane) {
      const bool first = condition.lanes[condition.lanes.size() == 1 ? 0 : lane].i != 0;
      if (first == (arm == 0)) value.lanes[lane] = from.lanes[lane];
    }
  }
  return value;
}

Value Interpreter::EvalLoad(const Expr& e, const Mask& mask) {
  Value value{e.type(), std::vector<Lane>(static_cast<size_t>(e.type().lanes))};
  const auto found = buffers_.find(e->name);
  if (found == buffers_.end() || found->second.dtype != e.type().dtype) {
    Fail(absl::InvalidArgumentError(absl::StrCat("evaluate: there is no buffer '", e->name, "' of ",
                                                 DTypeName(e.type().dtype))));
    return value;
  }
  const Storage& storage = found->second;
  std::vector<Value> indices;
  for (const Expr& index : Indices(e)) indices.push_back(Eval(index, mask));
  const Expr otherwise = Otherwise(e);
  const int64_t size = DTypeBytes(storage.dtype);
  for (size_t lane = 0; lane < value.lanes.size() && status_.ok(); ++lane) {
    if (!mask.empty() && !mask[mask.size() == 1 ? 0 : lane]) continue;
    const int64_t offset = Offset(storage, indices, lane);
    if (offset >= 0) {
      uint64_t bits = 0;
      std::memcpy(&bits, storage.bytes + offset * size, static_cast<size_t>(size));
      value.lanes[lane] = FromBits(bits, storage.dtype);
    } else if (otherwise) {
      const Value outside = Eval(otherwise, mask);
      value.lanes[lane] = outside.lanes[outside.lanes.size() == 1 ? 0 : lane];
    } else {
      Fail(OutOfBounds(e->name, storage, indices, lane));
    }
  }
  return value;
}

}  // namespace

Status Evaluate(const Program& program, const std::map<std::string, int64_t>& params,
                std::map<std::string, Tensor>& buffers) {
  Interpreter interpreter;
  for (const Param& param : program.params) {
    const auto found = params.find(param.name);
    if (found == params.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("evaluate: parameter '", param.name, "' has no value"));
    }
    interpreter.BindInt(param.name, found->second);
  }
  for (const Buffer& buffer : program.buffers) {
    const auto found = buffers.find(buffer.name);
    if (found == buffers.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("evaluate: buffer '", buffer.name, "' has no tensor"));
    }
    HONE_RETURN_IF_ERROR(interpreter.BindBuffer(buffer, &found->second));
  }
  if (program.prepare) HONE_RETURN_IF_ERROR(interpreter.Run(program.prepare));
  return program.run ? interpreter.Run(program.run) : absl::OkStatus();
}

StatusOr<Tensor> Evaluate(const Expr& e, const std::map<std::string, int64_t>& variables,
                          const std::map<std::string, Tensor>& buffers) {
  Interpreter interpreter;
  for (const auto& [name, value] : variables) interpreter.BindInt(name, value);
  for (const auto& [name, tensor] : buffers) interpreter.BindTensor(name, tensor);
  const Value value = interpreter.Eval(e, {});
  HONE_RETURN_IF_ERROR(interpreter.status());
  Tensor tensor = Tensor::Zeros(value.type.dtype, {static_cast<int64_t>(value.lanes.size())});
  const int64_t size = DTypeBytes(value.type.dtype);
  for (size_t lane = 0; lane < value.lanes.size(); ++lane) {
    const uint64_t bits = ToBits(value.lanes[lane], value.type.dtype);
    std::memcpy(tensor.bytes.data() + static_cast<int64_t>(lane) * size, &bits,
                static_cast<size_t>(size));
  }
  return tensor;
}

}  // namespace hone
