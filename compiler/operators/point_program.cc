// A tree walk where every node owns a row buffer: the cost of walking is paid once per row, the
// inner loops are plain. Nodes that depend on no row variable are computed once and spread.
// `select` passes a mask of the points whose value is wanted down each arm, so that a load in the
// arm not taken may lie outside its buffer.
#include "compiler/operators/point_program.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "compiler/ir/scalar.h"
#include "compiler/ir/tensor.h"

namespace hone {

struct PointProgram::Node {
  ExprKind kind;
  DType dtype;    // of the result
  DType operand;  // of the first operand; the result's where there is none
  UnaryOp unary{};
  BinaryOp binary{};
  bool varying = false;  // depends on a row variable
  bool rounded = false;  // the result, to its type
  bool has_otherwise = false;
  int variable = 0;  // kVar: index among row or uniform variables
  PointSource* source = nullptr;
  std::string name;
  std::vector<std::unique_ptr<Node>> args;
  std::vector<double> reals;       // the row, for float types
  std::vector<int64_t> ints;       // the row, for the others
  std::vector<uint8_t> mask;       // kSelect, kLoad
  std::vector<int64_t> positions;  // kLoad
  std::vector<double> read_reals;
  std::vector<int64_t> read_ints;
};

struct PointProgram::Context {
  const std::vector<const int64_t*>& rows;
  const std::vector<int64_t>& uniforms;
};

namespace {

double ApplyReal(UnaryOp op, double a) {
  switch (op) {
    case UnaryOp::kNeg:
      return -a;
    case UnaryOp::kAbs:
      return std::abs(a);
    case UnaryOp::kSqrt:
      return std::sqrt(a);
    case UnaryOp::kNot:
      return a == 0;
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
  }
  return 0;
}

int64_t ApplyInt(UnaryOp op, DType dtype, int64_t a) {
  switch (op) {
    case UnaryOp::kNeg:
      return static_cast<int64_t>(-static_cast<uint64_t>(a));
    case UnaryOp::kAbs:
      return IsSigned(dtype) && a < 0 ? static_cast<int64_t>(-static_cast<uint64_t>(a)) : a;
    case UnaryOp::kNot:
      return dtype == DType::kBool ? (a == 0) : ~a;
    case UnaryOp::kFloor:
    case UnaryOp::kCeil:
    case UnaryOp::kRound:
    case UnaryOp::kTrunc:
      return a;
    default:
      return static_cast<int64_t>(ApplyReal(op, static_cast<double>(a)));
  }
}

double ApplyReal(BinaryOp op, double a, double b) {
  switch (op) {
    case BinaryOp::kAdd:
      return a + b;
    case BinaryOp::kSub:
      return a - b;
    case BinaryOp::kMul:
      return a * b;
    case BinaryOp::kDiv:
      return a / b;
    case BinaryOp::kFloorDiv:
      return std::floor(a / b);
    case BinaryOp::kFloorMod:
      return a - b * std::floor(a / b);
    case BinaryOp::kMin:
      return a < b || std::isnan(a) ? a : b;
    case BinaryOp::kMax:
      return a > b || std::isnan(a) ? a : b;
    case BinaryOp::kPow:
      return std::pow(a, b);
    default:
      return 0;
  }
}

int64_t CompareReal(BinaryOp op, double a, double b) {
  switch (op) {
    case BinaryOp::kLess:
      return a < b;
    case BinaryOp::kLessEqual:
      return a <= b;
    case BinaryOp::kEqual:
      return a == b;
    case BinaryOp::kNotEqual:
      return a != b;
    default:
      return 0;
  }
}

bool LessInt(DType dtype, int64_t a, int64_t b) {
  return dtype == DType::kU64 ? static_cast<uint64_t>(a) < static_cast<uint64_t>(b) : a < b;
}

int64_t DivideInt(DType dtype, int64_t a, int64_t b) {
  if (b == 0) return 0;
  if (dtype == DType::kU64) {
    return static_cast<int64_t>(static_cast<uint64_t>(a) / static_cast<uint64_t>(b));
  }
  return b == -1 ? static_cast<int64_t>(-static_cast<uint64_t>(a)) : a / b;
}

int64_t FloorDivideInt(DType dtype, int64_t a, int64_t b) {
  const int64_t quotient = DivideInt(dtype, a, b);
  const bool inexact = b != 0 && b != -1 && IsSigned(dtype) && a % b != 0 && (a ^ b) < 0;
  return inexact ? quotient - 1 : quotient;
}

int64_t PowInt(int64_t base, int64_t exponent) {
  if (exponent < 0) return base == 1 ? 1 : base == -1 ? (exponent % 2 ? -1 : 1) : 0;
  uint64_t result = 1;
  for (uint64_t factor = base; exponent > 0; exponent >>= 1, factor *= factor) {
    if (exponent & 1) result *= factor;
  }
  return static_cast<int64_t>(result);
}

int64_t ApplyInt(BinaryOp op, DType dtype, int64_t a, int64_t b) {
  const uint64_t ua = static_cast<uint64_t>(a);
  const uint64_t ub = static_cast<uint64_t>(b);
  switch (op) {
    case BinaryOp::kAdd:
      return static_cast<int64_t>(ua + ub);
    case BinaryOp::kSub:
      return static_cast<int64_t>(ua - ub);
    case BinaryOp::kMul:
      return static_cast<int64_t>(ua * ub);
    case BinaryOp::kDiv:
      return DivideInt(dtype, a, b);
    case BinaryOp::kFloorDiv:
      return FloorDivideInt(dtype, a, b);
    case BinaryOp::kFloorMod:
      return static_cast<int64_t>(ua - ub * static_cast<uint64_t>(FloorDivideInt(dtype, a, b)));
    case BinaryOp::kMin:
      return LessInt(dtype, a, b) ? a : b;
    case BinaryOp::kMax:
      return LessInt(dtype, b, a) ? a : b;
    case BinaryOp::kPow:
      return PowInt(a, b);
    case BinaryOp::kLess:
      return LessInt(dtype, a, b);
    case BinaryOp::kLessEqual:
      return !LessInt(dtype, b, a);
    case BinaryOp::kEqual:
      return a == b;
    case BinaryOp::kNotEqual:
      return a != b;
    case BinaryOp::kAnd:
      return a & b;
    case BinaryOp::kOr:
      return a | b;
    case BinaryOp::kXor:
      return a ^ b;
    case BinaryOp::kShiftLeft:
      return ub < 64 ? static_cast<int64_t>(ua << ub) : 0;
    case BinaryOp::kShiftRight: {
      const int bits = static_cast<int>(DTypeBytes(dtype)) * 8;
      const uint64_t width_mask = bits == 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1;
      return ub < 64 ? static_cast<int64_t>((ua & width_mask) >> ub) : 0;
    }
  }
  return 0;
}

int64_t TruncateReal(double value) {
  if (std::isnan(value)) return 0;
  if (value >= 9223372036854775808.0) return std::numeric_limits<int64_t>::max();
  if (value <= -9223372036854775808.0) return std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(value);
}

}  // namespace

PointProgram::~PointProgram() = default;

StatusOr<std::unique_ptr<PointProgram>> PointProgram::Compile(
    const Expr& body, const std::vector<std::string>& row_variables,
    const std::vector<std::string>& uniform_variables,
    const std::function<StatusOr<PointSource*>(const std::string&)>& sources,
    Arithmetic arithmetic) {
  std::function<StatusOr<std::unique_ptr<Node>>(const Expr&)> compile =
      [&](const Expr& e) -> StatusOr<std::unique_ptr<Node>> {
    if (e.type().lanes != 1) {
      return absl::InvalidArgumentError("the oracle evaluates scalar expressions only");
    }
    auto node = std::make_unique<Node>();
    node->kind = e.kind();
    node->dtype = node->operand = e.type().dtype;
    node->unary = e->unary;
    node->binary = e->binary;
    node->name = e->name;
    node->has_otherwise = e->has_otherwise;
    node->rounded = arithmetic == Arithmetic::kSequential && IsFloat(node->dtype);
    if (IsFloat(node->dtype)) {
      node->reals.assign(kPointRow, e->float_value);
    } else {
      node->ints.assign(kPointRow, e->int_value);
    }
    if (e.kind() == ExprKind::kVar) {
      auto row = std::find(row_variables.begin(), row_variables.end(), e->name);
      auto uniform = std::find(uniform_variables.begin(), uniform_variables.end(), e->name);
      node->varying = row != row_variables.end();
      if (node->varying) {
        node->variable = static_cast<int>(row - row_variables.begin());
      } else if (uniform != uniform_variables.end()) {
        node->variable = static_cast<int>(uniform - uniform_variables.begin());
      } else {
        return absl::InvalidArgumentError(absl::StrCat("'", e->name, "' has no value here"));
      }
    }
    for (const Expr& arg : e.args()) {
      HONE_ASSIGN_OR_RETURN(auto compiled, compile(arg));
      node->varying |= compiled->varying;
      node->args.push_back(std::move(compiled));
    }
    if (!node->args.empty()) node->operand = node->args[0]->dtype;
    if (e.kind() == ExprKind::kLoad) {
      HONE_ASSIGN_OR_RETURN(node->source, sources(e->name));
      const size_t rank = e.args().size() - (e->has_otherwise ? 1 : 0);
      if (node->source->shape().size() != rank) {
        return absl::InvalidArgumentError(
            absl::StrCat("load of ", e->name, " has ", rank, " indices for ",
                         node->source->shape().size(), " dimensions"));
      }
      node->positions.resize(kPointRow);
      node->mask.resize(kPointRow);
      node->read_reals.resize(kPointRow);
      node->read_ints.resize(kPointRow);
    }
    if (e.kind() == ExprKind::kSelect) node->mask.resize(kPointRow);
    return node;
  };
  std::unique_ptr<PointProgram> program(new PointProgram());
  HONE_ASSIGN_OR_RETURN(program->root_, compile(body));
  return program;
}

StatusOr<PointRow> PointProgram::Evaluate(const std::vector<const int64_t*>& rows,
                                          const std::vector<int64_t>& uniforms, int count) {
  HONE_RETURN_IF_ERROR(Run(*root_, Context{rows, uniforms}, count, nullptr));
  return PointRow{.reals = root_->reals.data(), .ints = root_->ints.data()};
}

// Fills the first `count` entries of the node's row.
Status PointProgram::Run(Node& node, const Context& context, int count, const uint8_t* mask) {
  if (node.kind == ExprKind::kInt || node.kind == ExprKind::kFloat) return absl::OkStatus();
  if (node.varying) return Compute(node, context, count, mask);
  const uint8_t any = mask == nullptr || std::find(mask, mask + count, 1) != mask + count;
  HONE_RETURN_IF_ERROR(Compute(node, context, 1, &any));
  if (IsFloat(node.dtype)) {
    std::fill_n(node.reals.begin(), count, node.reals[0]);
  } else {
    std::fill_n(node.ints.begin(), count, node.ints[0]);
  }
  return absl::OkStatus();
}

Status PointProgram::Compute(Node& node, const Context& context, int count, const uint8_t* mask) {
  if (node.kind == ExprKind::kLoad) return ComputeLoad(node, context, count, mask);
  if (node.kind == ExprKind::kSelect) return ComputeSelect(node, context, count, mask);
  if (node.kind == ExprKind::kVar) {
    if (node.varying) {
      std::copy_n(context.rows[node.variable], count, node.ints.begin());
    } else {
      std::fill_n(node.ints.begin(), count, context.uniforms[node.variable]);
    }
    return absl::OkStatus();
  }
  for (auto& arg : node.args) HONE_RETURN_IF_ERROR(Run(*arg, context, count, mask));
  HONE_RETURN_IF_ERROR(Operate(node, count));
  for (int i = 0; i < count && node.rounded; ++i) {
    node.reals[i] = RoundToDType(node.reals[i], node.dtype);
  }
  return absl::OkStatus();
}

// Fills the row from those of the operands.
Status PointProgram::Operate(Node& node, int count) {
  const bool real = IsFloat(node.dtype);
  const bool real_operand = IsFloat(node.operand);
  double* reals = node.reals.data();
  int64_t* ints = node.ints.data();
  const double* ar = node.args[0]->reals.data();
  const int64_t* ai = node.args[0]->ints.data();
  switch (node.kind) {
    case ExprKind::kUnary:
      for (int i = 0; i < count && real; ++i) reals[i] = ApplyReal(node.unary, ar[i]);
      for (int i = 0; i < count && !real; ++i) {
        ints[i] = WrapToDType(ApplyInt(node.unary, node.operand, ai[i]), node.dtype);
      }
      return absl::OkStatus();
    case ExprKind::kBinary: {
      const double* br = node.args[1]->reals.data();
      const int64_t* bi = node.args[1]->ints.data();
      if (real) {
        for (int i = 0; i < count; ++i) reals[i] = ApplyReal(node.binary, ar[i], br[i]);
      } else if (real_operand) {
        for (int i = 0; i < count; ++i) ints[i] = CompareReal(node.binary, ar[i], br[i]);
      } else if (node.dtype == DType::kI64 && node.binary == BinaryOp::kAdd) {
        for (int i = 0; i < count; ++i) ints[i] = ai[i] + bi[i];
      } else {
        for (int i = 0; i < count; ++i) {
          ints[i] = WrapToDType(ApplyInt(node.binary, node.operand, ai[i], bi[i]), node.dtype);
        }
      }
      return absl::OkStatus();
    }
    case ExprKind::kFma:
      for (int i = 0; i < count; ++i) {
        reals[i] = std::fma(ar[i], node.args[1]->reals[i], node.args[2]->reals[i]);
      }
      return absl::OkStatus();
    case ExprKind::kCast:
      for (int i = 0; i < count; ++i) {
        if (real && real_operand) {
          const bool narrower = DTypeBytes(node.dtype) < DTypeBytes(node.operand);
          reals[i] = narrower ? RoundToDType(ar[i], node.dtype) : ar[i];
        } else if (real) {
          reals[i] = node.operand == DType::kU64 ? static_cast<double>(static_cast<uint64_t>(ai[i]))
                                                 : static_cast<double>(ai[i]);
        } else if (real_operand) {
          ints[i] = node.dtype == DType::kBool ? ar[i] != 0
                                               : WrapToDType(TruncateReal(ar[i]), node.dtype);
        } else {
          ints[i] = WrapToDType(ai[i], node.dtype);
        }
      }
      return absl::OkStatus();
    case ExprKind::kBitcast:
      for (int i = 0; i < count; ++i) {
        const uint64_t bits =
            BitsOf(node.operand, real_operand ? ar[i] : 0, real_operand ? 0 : ai[i]);
        if (real) {
          reals[i] = RealOf(node.dtype, bits);
        } else {
          ints[i] = WrapToDType(static_cast<int64_t>(bits), node.dtype);
        }
      }
      return absl::OkStatus();
    default:
      return absl::InvalidArgumentError("the oracle evaluates scalar expressions only");
  }
}

Status PointProgram::ComputeSelect(Node& node, const Context& context, int count,
                                   const uint8_t* mask) {
  Node& condition = *node.args[0];
  HONE_RETURN_IF_ERROR(Run(condition, context, count, mask));
  const bool real = IsFloat(node.dtype);
  for (int arm = 0; arm < 2; ++arm) {
    bool any = false;
    for (int i = 0; i < count; ++i) {
      const bool taken = (condition.ints[i] != 0) == (arm == 0);
      node.mask[i] = taken && (mask == nullptr || mask[i]);
      any |= node.mask[i];
    }
    if (!any) continue;
    Node& value = *node.args[1 + arm];
    HONE_RETURN_IF_ERROR(Run(value, context, count, node.mask.data()));
    for (int i = 0; i < count; ++i) {
      if (!node.mask[i]) continue;
      if (real) {
        node.reals[i] = value.reals[i];
      } else {
        node.ints[i] = value.ints[i];
      }
    }
  }
  return absl::OkStatus();
}

Status PointProgram::ComputeLoad(Node& node, const Context& context, int count,
                                 const uint8_t* mask) {
  const std::vector<int64_t>& shape = node.source->shape();
  for (auto& arg : node.args) HONE_RETURN_IF_ERROR(Run(*arg, context, count, mask));
  std::fill_n(node.positions.begin(), count, 0);
  std::fill_n(node.mask.begin(), count, 1);
  for (size_t d = 0; d < shape.size(); ++d) {
    const int64_t* index = node.args[d]->ints.data();
    const int64_t extent = shape[d];
    for (int i = 0; i < count; ++i) {
      node.mask[i] &= index[i] >= 0 && index[i] < extent;
      node.positions[i] = node.positions[i] * extent + index[i];
    }
  }
  // Points outside, or not wanted, are left out of the read.
  int wanted = 0;
  for (int i = 0; i < count; ++i) {
    const bool active = mask == nullptr || mask[i];
    if (active && !node.mask[i] && !node.has_otherwise) {
      std::vector<int64_t> index;
      for (size_t d = 0; d < shape.size(); ++d) index.push_back(node.args[d]->ints[i]);
      return absl::OutOfRangeError(absl::StrCat("load of ", node.name, " at ", ShapeText(index),
                                                " lies outside its shape ", ShapeText(shape)));
    }
    node.mask[i] &= active;
    if (node.mask[i]) node.positions[wanted++] = node.positions[i];
  }
  HONE_RETURN_IF_ERROR(node.source->Read(node.positions.data(), wanted, node.read_reals.data(),
                                         node.read_ints.data()));
  const bool real = IsFloat(node.dtype);
  const Node* otherwise = node.has_otherwise ? node.args.back().get() : nullptr;
  int next = 0;
  for (int i = 0; i < count; ++i) {
    if (real) {
      node.reals[i] = node.mask[i] ? node.read_reals[next] : otherwise ? otherwise->reals[i] : 0;
    } else {
      node.ints[i] = node.mask[i] ? node.read_ints[next] : otherwise ? otherwise->ints[i] : 0;
    }
    next += node.mask[i];
  }
  return absl::OkStatus();
}

}  // namespace hone
