// running STAGE BLOCK: an algorithm step. STAGE is a maximum over a dim; what follows are
// exponentials of the same values less the maximum, and sums over them. All become running ones,
// over blocks of the dim: each block has a maximum of its own, and where that raises the running
// maximum, the running sums are scaled down to it. No row is ever there as a whole (the "online
// softmax" of Milakov and Gimelshein, for weighted sums that of FlashAttention).
//
//   top[m] = max over l of p[m,l]
//   e[m,n] = exp(p[m,n] - top[m])
//   c[m,o] = sum over l of e[m,l] * v[l,o]
//     ->  top.b[m,t] = max over j of p[m,t*B+j]                      of the block t of B points
//         top.r[m,t] = max(top.b[m,t], top.r[m,t-1 else -inf])       so far: a scan
//         top.s[m,t] = top.r[m,t] == -inf ? 0 : top.r[m,t]           what is subtracted
//         top.f[m,t] = exp(top.r[m,t-1 else -inf] - top.s[m,t])      what the sums are scaled by
//         e[m,t,j]   = exp(p[m,t*B+j] - top.s[m,t])
//         c.b[m,t,o] = sum over j of e[m,t,j] * v[t*B+j,o]
//         c.r[m,t,o] = c.r[m,t-1,o else 0] * top.f[m,t] + c.b[m,t,o]
//
// t and j are called l.o and l.i. What reads top or c reads the last step of top.r or c.r instead.
// Points beyond the dim, in a last block that is not full, count as -inf, and a block of nothing
// but -inf adds nothing: a row is NaN where it is by the plain form, no earlier. Every sum is
// rounded once more a block.
#include <algorithm>
#include <limits>
#include <set>

#include "absl/strings/str_cat.h"
#include "compiler/schedule/scan.h"
#include "compiler/schedule/steps.h"

namespace hone {
namespace {

// The exponentials: a stage over the rows and one dim more.
struct Exponentials {
  StageNest* nest = nullptr;
  Expr difference;        // what the function is of, but for a min with 0
  std::vector<Expr> row;  // where the maximum is read
  size_t dim = 0;         // the one more
};

bool IsSubtractionOf(const Expr& e, const std::string& top) {
  return e.kind() == ExprKind::kBinary && e->binary == BinaryOp::kSub &&
         e.arg(1).kind() == ExprKind::kLoad && e.arg(1)->name == top;
}

// x - top of exp(x - top) or exp(min(0, x - top)); empty if the body is neither.
Expr DifferenceIn(const Expr& body, const std::string& top) {
  if (body.kind() != ExprKind::kUnary || body->unary != UnaryOp::kExp) return {};
  Expr of = body.arg(0);
  if (of.kind() == ExprKind::kBinary && of->binary == BinaryOp::kMin) {
    const Expr& zero = of.arg(0);
    if (zero.kind() == ExprKind::kFloat && zero->float_value == 0) of = of.arg(1);
  }
  return IsSubtractionOf(of, top) ? of : Expr();
}

// Whether the indices are different dims of the stage, all but one of them.
bool ReadsRows(const Stage& stage, const std::vector<Expr>& indices, size_t* other) {
  std::set<std::string> used;
  for (const Expr& index : indices) {
    if (index.kind() != ExprKind::kVar || !used.insert(index->name).second) return false;
  }
  if (used.size() + 1 != stage.dims.size()) return false;
  for (size_t d = 0; d < stage.dims.size(); ++d) {
    if (used.count(stage.dims[d].name) == 0) *other = d;
  }
  return used.count(stage.dims[*other].name) == 0;
}

int CountReads(const Expr& body, const std::string& tensor) {
  int reads = 0;
  Visit(body, [&](const Expr& e) { reads += e.kind() == ExprKind::kLoad && e->name == tensor; });
  return reads;
}

// The exponentials of what `top` is the maximum of, or nothing.
std::optional<Exponentials> MatchExponentials(StageNest& nest, const Stage& top) {
  const Stage& stage = nest.stage;
  const Expr difference = DifferenceIn(stage.body, top.name);
  if (!difference || stage.combiner != Combiner::kNone || CountReads(stage.body, top.name) != 1) {
    return std::nullopt;
  }
  Exponentials found{.nest = &nest, .difference = difference, .row = Indices(difference.arg(1))};
  if (!ReadsRows(stage, found.row, &found.dim)) return std::nullopt;
  const Dim& dim = stage.dims[found.dim];
  std::map<std::string, Expr> here = {{top.reduce[0].name, Var(dim.name)}};
  for (size_t d = 0; d < top.dims.size(); ++d) here[top.dims[d].name] = found.row[d];
  const bool same = Equal(Substitute(top.body, here), difference.arg(0)) &&
                    Equal(dim.extent, top.reduce[0].extent);
  return same ? std::optional(found) : std::nullopt;
}

// Whether `body` is `load`, or a product with it as one factor.
bool IsFactorOf(const Expr& load, const Expr& body) {
  if (body.get() == load.get()) return true;
  return body.kind() == ExprKind::kBinary && body->binary == BinaryOp::kMul &&
         (IsFactorOf(load, body.arg(0)) || IsFactorOf(load, body.arg(1)));
}

// The read of the exponentials in a sum over them, or empty: e[m,l], alone or times something.
Expr SummedRead(const Stage& sum, const Exponentials& e) {
  const std::string& name = e.nest->stage.name;
  if (sum.combiner != Combiner::kSum || sum.reduce.size() != 1 || CountReads(sum.body, name) != 1) {
    return {};
  }
  Expr load;
  Visit(sum.body, [&](const Expr& part) {
    if (part.kind() == ExprKind::kLoad && part->name == name) load = part;
  });
  if (load->has_otherwise || !IsFactorOf(load, sum.body)) return {};
  for (size_t d = 0; d < load.args().size(); ++d) {
    const Expr& index = load.arg(static_cast<int>(d));
    if (index.kind() != ExprKind::kVar) return {};
    if (index.IsVar(sum.reduce[0].name) != (d == e.dim)) return {};
  }
  return load;
}

// Makes the stages of one running maximum and of what hangs on it.
class RunningForm {
 public:
  RunningForm(const Stage& top, int64_t block)
      : top_(top),
        outer_(top.reduce[0].name + ".o"),
        inner_(top.reduce[0].name + ".i"),
        extent_(top.reduce[0].extent->int_value),
        block_(std::min(block, extent_)),
        blocks_((extent_ + block_ - 1) / block_) {}

  int64_t blocks() const { return blocks_; }
  // Where the dim of blocks stands among the maximum's own: after them.
  size_t TopPlace() const { return top_.dims.size(); }

  std::vector<Stage> Maxima() const {
    Stage block = Blocked("b", top_.dims.size());
    block.combiner = Combiner::kMax;
    block.reduce = {InnerDim()};
    const double infinity = std::numeric_limits<double>::infinity();
    const Expr nothing = Float(-infinity, Type{top_.dtype, 1});
    block.body = Within(top_.body, top_.reduce[0].name, nothing);

    Stage running = Blocked("r", top_.dims.size());
    const Expr now = Read(running);
    const Expr before = Read(running, nothing);
    running.body = Max(Read(block), before);

    // Of two times -inf the difference would be NaN.
    Stage shift = Blocked("s", top_.dims.size());
    const Expr zero = Float(0, Type{top_.dtype, 1});
    shift.body = Select(Binary(BinaryOp::kEqual, now, nothing), zero, now);

    Stage factor = Blocked("f", top_.dims.size());
    factor.body = Unary(UnaryOp::kExp, Min(zero, before - Read(shift)));
    return {block, running, shift, factor};
  }

  // The exponentials, in blocks: their own dim is now two.
  Stage InBlocks(const Exponentials& e) const {
    Stage stage = e.nest->stage;
    const std::string dim = stage.dims[e.dim].name;
    std::vector<Expr> row = e.row;
    row.push_back(Var(outer_));
    const double infinity = std::numeric_limits<double>::infinity();
    const Type type = e.difference.type();
    const Expr difference = Within(e.difference.arg(0), dim, Float(-infinity, type)) -
                            Load(top_.name + ".s", type.dtype, row);
    stage.body = Rewrite(stage.body, [&](const Expr& part) {
      return part.get() == e.difference.get() ? difference : Expr();
    });
    stage.dims[e.dim] = InnerDim();
    stage.dims.insert(stage.dims.begin() + static_cast<int64_t>(e.dim), OuterDim());
    return stage;
  }

  // Where the dim of blocks stands among the sum's own: after the last that says which row.
  static size_t SumPlace(const Stage& sum, const Expr& read) {
    size_t place = 0;
    for (size_t d = 0; d < sum.dims.size(); ++d) {
      if (UsesVar(read, sum.dims[d].name)) place = d + 1;
    }
    return place;
  }

  // The sum over a block and the running one.
  std::vector<Stage> Sums(const Stage& sum, const Exponentials& e, const Expr& read) const {
    const size_t place = SumPlace(sum, read);
    const Expr zero = Float(0, Type{sum.dtype, 1});
    Stage block = Blocked(sum, "b", place);
    block.combiner = Combiner::kSum;
    block.reduce = {InnerDim()};
    // All that the block's exponentials are multiplied by is guarded; they are 0 there themselves.
    std::vector<Expr> at = Indices(read);
    at[e.dim] = Var(inner_);
    at.insert(at.begin() + static_cast<int64_t>(e.dim), Var(outer_));
    block.body = BlockOfProduct(sum.body, read, Load(read->name, read.type().dtype, at),
                                sum.reduce[0].name, zero);

    Stage running = Blocked(sum, "r", place);
    std::vector<Expr> row;
    for (const Expr& index : e.row) {
      for (size_t d = 0; d < e.nest->stage.dims.size(); ++d) {
        if (index.IsVar(e.nest->stage.dims[d].name)) row.push_back(read.arg(static_cast<int>(d)));
      }
    }
    row.push_back(Var(outer_));
    running.body = Read(running, zero, place) * Load(top_.name + ".f", top_.dtype, row) +
                   Read(block, {}, place);
    return {block, running};
  }

  // A read of the plain form's tensor as one of the last step of STAGE.r.
  Expr LastStep(const Expr& load, size_t place) const {
    std::vector<Expr> at = Indices(load);
    at.insert(at.begin() + static_cast<int64_t>(place), Int(blocks_ - 1));
    return Load(load->name + ".r", load.type().dtype, std::move(at));
  }

 private:
  Dim OuterDim() const { return {outer_, Int(blocks_)}; }
  Dim InnerDim() const { return {inner_, Int(block_)}; }
  Expr Point() const { return Var(outer_) * block_ + Var(inner_); }

  Stage Blocked(const Stage& of, absl::string_view suffix, size_t place) const {
    Stage stage{.name = absl::StrCat(of.name, ".", suffix), .dtype = of.dtype, .dims = of.dims};
    stage.dims.insert(stage.dims.begin() + static_cast<int64_t>(place), OuterDim());
    return stage;
  }
  Stage Blocked(absl::string_view suffix, size_t place) const {
    return Blocked(top_, suffix, place);
  }

  // Reads the stage point by point; with `initial`, its step before, at `place` among its dims.
  Expr Read(const Stage& stage, const Expr& initial, size_t place) const {
    std::vector<Expr> at;
    for (const Dim& dim : stage.dims) at.push_back(Var(dim.name));
    if (initial) at[place] = at[place] - 1;
    return Load(stage.name, stage.dtype, std::move(at), initial);
  }
  Expr Read(const Stage& stage, const Expr& initial = {}) const {
    return Read(stage, initial, TopPlace());
  }

  // The value with the block's point for `dim`; `outside` where there is no such point.
  Expr Within(const Expr& value, const std::string& dim, const Expr& outside) const {
    const Expr at = Substitute(value, {{dim, Point()}});
    if (extent_ % block_ == 0 || !UsesVar(value, dim)) return at;
    if (at.kind() == ExprKind::kLoad && !at->has_otherwise) {
      return Load(at->name, at.type().dtype, Indices(at), outside);
    }
    return Select(Less(Point(), Int(extent_)), at, outside);
  }

  // A product with `read` in it, `read` replaced and every other factor guarded.
  Expr BlockOfProduct(const Expr& body, const Expr& read, const Expr& block, const std::string& dim,
                      const Expr& zero) const {
    if (body.get() == read.get()) return block;
    if (!UsesLoadOf(body, read)) return Within(body, dim, zero);
    return BlockOfProduct(body.arg(0), read, block, dim, zero) *
           BlockOfProduct(body.arg(1), read, block, dim, zero);
  }
  static bool UsesLoadOf(const Expr& body, const Expr& read) {
    return CountReads(body, read->name) > 0;
  }

  const Stage& top_;
  const std::string outer_, inner_;
  const int64_t extent_, block_, blocks_;
};

Status Refuse(const std::string& what) { return absl::InvalidArgumentError(what); }

// The maximum itself.
Status CheckMaximum(const StageNest& top, const RunningStep& step) {
  if (step.block < 1) return Refuse("a block has at least 1 point");
  const Stage& stage = top.stage;
  if (stage.combiner != Combiner::kMax || stage.reduce.size() != 1 || !IsFloat(stage.dtype)) {
    return Refuse(absl::StrCat("stage '", step.stage, "' is no maximum of floats over one dim"));
  }
  if (!stage.reduce[0].extent.IsInt() || stage.reduce[0].extent->int_value < 1) {
    return Refuse(absl::StrCat("the extent of '", stage.reduce[0].name,
                               "' is a run-time parameter: the number of blocks is not known"));
  }
  return absl::OkStatus();
}

}  // namespace

std::string ToString(const RunningStep& step) {
  return absl::StrCat("running ", step.stage, " ", step.block);
}

StatusOr<Step> ParseRunning(TextReader& reader) {
  RunningStep step;
  HONE_ASSIGN_OR_RETURN(step.stage, reader.Word("a stage that is a maximum"));
  HONE_ASSIGN_OR_RETURN(step.block, reader.Integer());
  return step;
}

Status Apply(const RunningStep& step, LoopNest& nest) {
  HONE_ASSIGN_OR_RETURN(StageNest * top_nest, nest.StageOrError(step.stage));
  HONE_RETURN_IF_ERROR(CheckMaximum(*top_nest, step));
  const Stage top = top_nest->stage;

  // What hangs on the maximum, and what reads the ends of it.
  std::vector<Exponentials> exponentials;
  for (const std::string& reader : nest.ConsumersOf(step.stage)) {
    std::optional<Exponentials> found = MatchExponentials(*nest.FindStage(reader), top);
    if (found) exponentials.push_back(*found);
  }
  if (exponentials.empty()) {
    return Refuse(absl::StrCat("no stage is the exponential of what '", step.stage,
                               "' is the maximum of, less the maximum"));
  }
  const RunningForm form(top, step.block);
  std::map<std::string, size_t> ends = {{step.stage, form.TopPlace()}};  // where blocks stand
  std::set<std::string> chain = {step.stage};
  std::set<std::string> subtract;  // the exponentials, which read the maximum as it runs
  std::vector<Stage> running = form.Maxima();
  for (const Exponentials& e : exponentials) {
    const std::string& name = e.nest->stage.name;
    chain.insert(name);
    subtract.insert(name);
    running.push_back(form.InBlocks(e));
    for (const std::string& reader : nest.ConsumersOf(name)) {
      const Stage& sum = nest.FindStage(reader)->stage;
      const Expr read = SummedRead(sum, e);
      if (!read) {
        return Refuse(absl::StrCat("'", reader, "' reads '", name,
                                   "' and is no sum of it, alone or times something, over '",
                                   e.nest->stage.dims[e.dim].name, "'"));
      }
      if (!chain.insert(reader).second) {
        return Refuse(absl::StrCat("'", reader, "' is a sum of two kinds of exponentials"));
      }
      ends[reader] = form.SumPlace(sum, read);
      for (Stage& stage : form.Sums(sum, e, read)) running.push_back(std::move(stage));
    }
  }

  // What reads the ends comes after them all.
  std::vector<StageNest> before;
  std::vector<StageNest> after;
  std::set<std::string> late;
  for (const StageNest& stage : nest.stages) {
    const std::string& name = stage.stage.name;
    bool reads_ends = false;
    Visit(stage.stage.body, [&](const Expr& e) {
      if (e.kind() != ExprKind::kLoad) return;
      const bool as_it_runs = e->name == step.stage && subtract.count(name) > 0;
      reads_ends |= late.count(e->name) > 0 || (ends.count(e->name) > 0 && !as_it_runs);
    });
    if (chain.count(name) > 0) {
      if (!stage.IsUnscheduled() || nest.layouts.count(name) > 0)
        return Refuse("running before any other step on the stages");
      if (reads_ends) {
        return Refuse(absl::StrCat("'", name, "' needs the last step of what it is a part of"));
      }
      if (nest.FindBuffer(name) != nullptr) {
        return Refuse(absl::StrCat("'", name, "' is an output, and would not be there as a whole"));
      }
      continue;
    }
    if (stage.placement == Placement::kAt && chain.count(stage.host) > 0) {
      return Refuse(absl::StrCat("stage '", name, "' has its place in '", stage.host,
                                 "' already; running first"));
    }
    if (reads_ends) late.insert(name);
    (reads_ends ? after : before).push_back(stage);
  }
  for (StageNest& stage : after) {
    stage.stage.body = Rewrite(stage.stage.body, [&](const Expr& e) {
      if (e.kind() != ExprKind::kLoad) return Expr();
      const auto end = ends.find(e->name);
      return end == ends.end() ? Expr() : form.LastStep(e, end->second);
    });
  }
  for (Stage& stage : running) {
    if (chain.count(stage.name) == 0 &&
        (nest.FindStage(stage.name) != nullptr || nest.FindBuffer(stage.name) != nullptr)) {
      return Refuse(absl::StrCat("there is a tensor '", stage.name, "' already"));
    }
    before.emplace_back(std::move(stage));
  }
  std::move(after.begin(), after.end(), std::back_inserter(before));
  nest.stages = std::move(before);
  return absl::OkStatus();
}

}  // namespace hone
