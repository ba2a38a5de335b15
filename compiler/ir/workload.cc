#include "compiler/ir/workload.h"

#include <cmath>
#include <limits>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/digest.h"
#include "base/text_reader.h"
#include "compiler/ir/expr_text.h"

namespace hone {
namespace {

constexpr Combiner kCombiners[] = {Combiner::kNone, Combiner::kSum, Combiner::kProd, Combiner::kMax,
                                   Combiner::kMin};

void AppendDims(const std::vector<Dim>& dims, std::string* out) {
  out->push_back('[');
  for (const Dim& dim : dims) {
    absl::StrAppend(out, &dim == &dims[0] ? "" : ",", dim.name, ":", ToString(dim.extent));
  }
  out->push_back(']');
}

// Parses one text; holds what has been declared so far.
class WorkloadParser {
 public:
  explicit WorkloadParser(absl::string_view text) : reader_(text, "workload") {}

  StatusOr<Workload> Parse() {
    reader_.AtEnd();
    if (!reader_.TryWord("workload") || !reader_.TryMark("/1")) {
      return reader_.Error("expected 'workload/1'; is this from a newer hone?");
    }
    HONE_RETURN_IF_ERROR(reader_.EndLine());
    while (!reader_.AtEnd()) {
      HONE_ASSIGN_OR_RETURN(std::string word,
                            reader_.Word("param, input, constant, output or stage"));
      if (word == "param") {
        HONE_RETURN_IF_ERROR(ParseParam());
      } else if (word == "stage") {
        HONE_RETURN_IF_ERROR(ParseStage());
      } else if (word == "input" || word == "constant" || word == "output") {
        HONE_RETURN_IF_ERROR(ParseBuffer(word));
      } else {
        return reader_.Error(absl::StrCat("'", word, "' begins no line of a workload"));
      }
      HONE_RETURN_IF_ERROR(reader_.EndLine());
    }
    HONE_RETURN_IF_ERROR(workload_.Verify());
    return workload_;
  }

 private:
  Status ParseParam() {
    Param param;
    HONE_ASSIGN_OR_RETURN(param.name, reader_.Word("a parameter's name"));
    HONE_ASSIGN_OR_RETURN(param.min, reader_.Integer());
    HONE_RETURN_IF_ERROR(reader_.Mark(".."));
    HONE_ASSIGN_OR_RETURN(param.max, reader_.Integer());
    workload_.params.push_back(param);
    return absl::OkStatus();
  }

  // A constant or a parameter.
  StatusOr<Expr> ParseExtent() {
    if (reader_.NextIsNumber()) {
      HONE_ASSIGN_OR_RETURN(int64_t value, reader_.Integer());
      return Int(value);
    }
    HONE_ASSIGN_OR_RETURN(std::string name, reader_.Word("an extent"));
    for (const Param& param : workload_.params) {
      if (param.name == name) return Var(name);
    }
    return reader_.Error(absl::StrCat("'", name, "' is not a parameter"));
  }

  StatusOr<DType> ParseType() {
    HONE_ASSIGN_OR_RETURN(std::string name, reader_.Word("an element type"));
    auto dtype = ParseDType(name);
    if (!dtype.ok()) return reader_.Error(dtype.status().message());
    return *dtype;
  }

  Status ParseBuffer(absl::string_view role) {
    Buffer buffer;
    buffer.scope = Scope::kArgument;
    buffer.role = role == "input"      ? BufferRole::kInput
                  : role == "constant" ? BufferRole::kConstant
                                       : BufferRole::kOutput;
    HONE_ASSIGN_OR_RETURN(buffer.name, reader_.Word("a buffer's name"));
    HONE_ASSIGN_OR_RETURN(buffer.dtype, ParseType());
    HONE_RETURN_IF_ERROR(reader_.Mark("["));
    while (reader_.PeekChar() != ']') {
      if (!buffer.shape.empty()) HONE_RETURN_IF_ERROR(reader_.Mark(","));
      HONE_ASSIGN_OR_RETURN(Expr extent, ParseExtent());
      buffer.shape.push_back(extent);
    }
    HONE_RETURN_IF_ERROR(reader_.Mark("]"));
    workload_.buffers.push_back(std::move(buffer));
    return absl::OkStatus();
  }

  Status ParseDims(std::vector<Dim>* dims) {
    HONE_RETURN_IF_ERROR(reader_.Mark("["));
    while (reader_.PeekChar() != ']') {
      if (!dims->empty()) HONE_RETURN_IF_ERROR(reader_.Mark(","));
      Dim dim;
      HONE_ASSIGN_OR_RETURN(dim.name, reader_.Word("a dimension's name"));
      HONE_RETURN_IF_ERROR(reader_.Mark(":"));
      HONE_ASSIGN_OR_RETURN(dim.extent, ParseExtent());
      dims->push_back(std::move(dim));
    }
    return reader_.Mark("]");
  }

  Status ParseStage() {
    Stage stage;
    HONE_ASSIGN_OR_RETURN(stage.name, reader_.Word("a stage's name"));
    HONE_ASSIGN_OR_RETURN(stage.dtype, ParseType());
    HONE_RETURN_IF_ERROR(ParseDims(&stage.dims));
    for (Combiner combiner : kCombiners) {
      if (combiner != Combiner::kNone && reader_.TryWord(CombinerName(combiner))) {
        stage.combiner = combiner;
        HONE_RETURN_IF_ERROR(ParseDims(&stage.reduce));
      }
    }
    HONE_RETURN_IF_ERROR(reader_.Mark("="));
    ExprScope scope;
    scope.buffer = [this](absl::string_view name) -> StatusOr<DType> {
      if (const Buffer* buffer = workload_.FindBuffer(name)) return buffer->dtype;
      if (const Stage* stage = workload_.FindStage(name)) return stage->dtype;
      return absl::InvalidArgumentError(
          absl::StrCat("there is no buffer or earlier stage '", name, "'"));
    };
    scope.variable = [&](absl::string_view name) -> StatusOr<Type> {
      for (const std::vector<Dim>* dims : {&stage.dims, &stage.reduce}) {
        for (const Dim& dim : *dims) {
          if (dim.name == name) return Type{};
        }
      }
      for (const Param& param : workload_.params) {
        if (param.name == name) return Type{};
      }
      return absl::InvalidArgumentError(absl::StrCat("'", name, "' is no dimension of stage '",
                                                     stage.name, "' and no parameter"));
    };
    HONE_ASSIGN_OR_RETURN(stage.body, ParseExpr(reader_, scope));
    workload_.stages.push_back(std::move(stage));
    return absl::OkStatus();
  }

  TextReader reader_;
  Workload workload_;
};

Status VerifyExtent(const Workload& workload, const Expr& extent, absl::string_view where) {
  if (extent.IsInt()) {
    if (extent->int_value >= 0) return absl::OkStatus();
  } else if (extent.kind() == ExprKind::kVar) {
    for (const Param& param : workload.params) {
      if (param.name == extent->name) return absl::OkStatus();
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("workload: an extent of ", where,
                   " is neither a constant >= 0 nor a parameter: ", ToString(extent)));
}

int64_t MaxValue(const Workload& workload, const Expr& extent) {
  if (extent.IsInt()) return extent->int_value;
  for (const Param& param : workload.params) {
    if (extent.IsVar(param.name)) return param.max;
  }
  return 1;
}

double PointCount(const Workload& workload, const std::vector<Dim>& dims) {
  double count = 1;
  for (const Dim& dim : dims) count *= static_cast<double>(MaxValue(workload, dim.extent));
  return count;
}

}  // namespace

const Buffer* Workload::FindBuffer(absl::string_view name) const {
  for (const Buffer& buffer : buffers) {
    if (buffer.name == name) return &buffer;
  }
  return nullptr;
}

const Stage* Workload::FindStage(absl::string_view name) const {
  for (const Stage& stage : stages) {
    if (stage.name == name) return &stage;
  }
  return nullptr;
}

std::vector<Expr> Workload::ShapeOf(absl::string_view name) const {
  if (const Buffer* buffer = FindBuffer(name)) return buffer->shape;
  const Stage* stage = FindStage(name);
  HONE_CHECK(stage != nullptr) << "no buffer or stage " << name;
  std::vector<Expr> shape;
  for (const Dim& dim : stage->dims) shape.push_back(dim.extent);
  return shape;
}

DType Workload::DTypeOf(absl::string_view name) const {
  if (const Buffer* buffer = FindBuffer(name)) return buffer->dtype;
  const Stage* stage = FindStage(name);
  HONE_CHECK(stage != nullptr) << "no buffer or stage " << name;
  return stage->dtype;
}

Status Workload::Verify() const {
  auto bad = [](const auto&... parts) {
    return absl::InvalidArgumentError(absl::StrCat("workload: ", parts...));
  };
  for (const Param& param : params) {
    if (param.min < 0 || param.max < param.min)
      return bad("parameter '", param.name, "' has an empty or negative range");
  }
  std::set<std::string> names;
  std::set<std::string> readable;
  for (const Buffer& buffer : buffers) {
    if (!names.insert(buffer.name).second) return bad("two buffers are called '", buffer.name, "'");
    if (buffer.role != BufferRole::kOutput) readable.insert(buffer.name);
    for (const Expr& extent : buffer.shape) {
      HONE_RETURN_IF_ERROR(VerifyExtent(*this, extent, absl::StrCat("buffer '", buffer.name, "'")));
    }
  }
  std::set<std::string> written;
  for (const Stage& stage : stages) {
    if (!written.insert(stage.name).second) return bad("two stages are called '", stage.name, "'");
    const Buffer* output = FindBuffer(stage.name);
    if (output != nullptr) {
      if (output->role != BufferRole::kOutput)
        return bad("stage '", stage.name, "' has the name of an input");
      if (output->dtype != stage.dtype || output->shape.size() != stage.dims.size()) {
        return bad("stage '", stage.name, "' does not fit its output buffer");
      }
      for (size_t d = 0; d < stage.dims.size(); ++d) {
        if (!Equal(output->shape[d], stage.dims[d].extent))
          return bad("stage '", stage.name, "' does not fit its output buffer");
      }
    }
    std::set<std::string> dims;
    for (const std::vector<Dim>* list : {&stage.dims, &stage.reduce}) {
      for (const Dim& dim : *list) {
        if (!dims.insert(dim.name).second)
          return bad("stage '", stage.name, "' has two dimensions '", dim.name, "'");
        HONE_RETURN_IF_ERROR(
            VerifyExtent(*this, dim.extent, absl::StrCat("stage '", stage.name, "'")));
      }
    }
    if ((stage.combiner == Combiner::kNone) != stage.reduce.empty()) {
      return bad("stage '", stage.name,
                 "' has a combiner without reduce dimensions, or these without one");
    }
    if (!stage.body || stage.body.type() != Type{stage.dtype, 1}) {
      return bad("the body of stage '", stage.name, "' is not a ", DTypeName(stage.dtype));
    }
    Status status;
    Visit(stage.body, [&](const Expr& e) {
      if (e.kind() != ExprKind::kLoad || !status.ok()) return;
      if (!readable.count(e->name)) {
        status = bad("stage '", stage.name, "' reads '", e->name, "', which is not there yet");
      } else if (Indices(e).size() != ShapeOf(e->name).size()) {
        status = bad("stage '", stage.name, "' reads '", e->name, "' with ", Indices(e).size(),
                     " indices; it has ", ShapeOf(e->name).size());
      }
    });
    HONE_RETURN_IF_ERROR(status);
    readable.insert(stage.name);
  }
  for (const Buffer& buffer : buffers) {
    if (buffer.role == BufferRole::kOutput && !written.count(buffer.name))
      return bad("no stage writes output '", buffer.name, "'");
  }
  if (stages.empty()) return bad("it has no stage");
  return absl::OkStatus();
}

std::string Workload::ToString() const {
  std::string out = "workload/1\n";
  for (const Param& param : params) {
    absl::StrAppend(&out, "param ", param.name, " ", param.min, "..", param.max, "\n");
  }
  for (const Buffer& buffer : buffers) {
    absl::StrAppend(&out, RoleName(buffer.role), " ", buffer.name, " ", DTypeName(buffer.dtype),
                    " [");
    for (size_t d = 0; d < buffer.shape.size(); ++d) {
      absl::StrAppend(&out, d ? "," : "", hone::ToString(buffer.shape[d]));
    }
    absl::StrAppend(&out, "]\n");
  }
  for (const Stage& stage : stages) {
    absl::StrAppend(&out, "stage ", stage.name, " ", DTypeName(stage.dtype), " ");
    AppendDims(stage.dims, &out);
    if (stage.combiner != Combiner::kNone) {
      absl::StrAppend(&out, " ", CombinerName(stage.combiner), " ");
      AppendDims(stage.reduce, &out);
    }
    absl::StrAppend(&out, " = ", hone::ToString(stage.body), "\n");
  }
  return out;
}

StatusOr<Workload> Workload::Parse(absl::string_view text) { return WorkloadParser(text).Parse(); }

std::string Workload::Key() const { return Digest(ToString()); }

double FlopCount(const Workload& workload) {
  double flops = 0;
  for (const Stage& stage : workload.stages) {
    double per_point = stage.combiner == Combiner::kNone ? 0 : 1;
    Visit(stage.body, [&](const Expr& e) {
      // Of integers, what a reduction multiplies and sums.
      const DType dtype = e.type().dtype;
      const bool sums_integers =
          stage.combiner != Combiner::kNone && dtype == stage.dtype && dtype != DType::kI64;
      if (!IsFloat(dtype) && !sums_integers) return;
      if (e.kind() == ExprKind::kUnary || e.kind() == ExprKind::kBinary) per_point += 1;
      if (e.kind() == ExprKind::kFma) per_point += 2;
    });
    flops += per_point * PointCount(workload, stage.dims) * PointCount(workload, stage.reduce);
  }
  return flops;
}

int64_t ArgumentBytes(const Workload& workload) {
  int64_t bytes = 0;
  for (const Buffer& buffer : workload.buffers) {
    int64_t size = DTypeBytes(buffer.dtype);
    for (const Expr& extent : buffer.shape) size *= MaxValue(workload, extent);
    bytes += size;
  }
  return bytes;
}

Expr NeutralValue(Combiner combiner, DType dtype) {
  const Type type{dtype, 1};
  const bool is_float = IsFloat(dtype);
  const int64_t bits = DTypeBytes(dtype) * 8;
  switch (combiner) {
    case Combiner::kNone:
    case Combiner::kSum:
      return is_float ? Float(0, type) : Int(0, type);
    case Combiner::kProd:
      return is_float ? Float(1, type) : Int(1, type);
    case Combiner::kMax:
      if (is_float) return Float(-std::numeric_limits<double>::infinity(), type);
      if (!IsSigned(dtype)) return Int(0, type);
      return Int(std::numeric_limits<int64_t>::min() >> (64 - bits), type);
    case Combiner::kMin:
      if (is_float) return Float(std::numeric_limits<double>::infinity(), type);
      return Int(bits == 64 ? std::numeric_limits<int64_t>::max()
                            : (int64_t{1} << (IsSigned(dtype) ? bits - 1 : bits)) - 1,
                 type);
  }
  return Expr();
}

Expr Combine(Combiner combiner, Expr accumulator, Expr value) {
  switch (combiner) {
    case Combiner::kNone:
      return value;
    case Combiner::kSum:
      return accumulator + value;
    case Combiner::kProd:
      return accumulator * value;
    case Combiner::kMax:
      return Max(accumulator, value);
    case Combiner::kMin:
      return Min(accumulator, value);
  }
  return Expr();
}

absl::string_view CombinerName(Combiner combiner) {
  switch (combiner) {
    case Combiner::kNone:
      return "none";
    case Combiner::kSum:
      return "sum";
    case Combiner::kProd:
      return "prod";
    case Combiner::kMax:
      return "max";
    case Combiner::kMin:
      return "min";
  }
  return "";
}

}  // namespace hone
